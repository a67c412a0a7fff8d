/**
 * The value rules of the language's own directives: vmd's, and whether the accounts they name exist on the
 * host.
 */
import type { Directive } from '../config/directive.ts';
import { checkGroup, checkRdomain } from '../config/directiveChecks.ts';
import {
  byteLength,
  isHostInterface,
  isInterfaceName,
  networkProblem,
  plainPrefix,
  prefixProblem,
} from '../config/values.ts';

type Check = NonNullable<Directive['check']>;

const MAX_AGENTX_CONTEXT = 32;
/** OpenBSD's sun_path, less the final NUL. */
const MAX_SOCKET_PATH_BYTES = 103;
const PREFIX = 'address/length';

export function checkPrefix(family: 'inet' | 'inet6'): Check {
  return ({ args }, findings) => {
    const value = args[PREFIX];
    if (value === undefined) return;
    const problem = prefixProblem(value.text, family);
    if (problem !== undefined) return findings.error(PREFIX, 'value', problem);
    // vmd takes it; `vmm run` does not.
    const plain = plainPrefix(value.text, family);
    const unusable = plain === undefined ? undefined : networkProblem(plain, family);
    if (unusable !== undefined) findings.warning(PREFIX, 'value', unusable);
  };
}

export const checkContext: Check = ({ args: { context } }, findings) => {
  if (context === undefined || byteLength(context.text) <= MAX_AGENTX_CONTEXT) return;
  const message = `the AgentX context must not be longer than ${MAX_AGENTX_CONTEXT} bytes`;
  findings.error('context', 'too-long', message);
};

export const checkSocketPath: Check = ({ args: { path } }, findings) => {
  if (path === undefined) return;
  const message = `the path of a socket must not be longer than ${MAX_SOCKET_PATH_BYTES} bytes`;
  if (byteLength(path.text) > MAX_SOCKET_PATH_BYTES) findings.error('path', 'too-long', message);
  if (!path.text.startsWith('/')) findings.error('path', 'value', 'the AgentX path must be absolute');
};

/** Of the host: for us any bridge or tap. */
export const checkSwitchInterface: Check = ({ args }, findings) => {
  const name = args['interface'];
  if (name === undefined || isInterfaceName(name.text, ['bridge', 'veb'])) return;
  if (isHostInterface(name.text)) {
    const message = `"${name.text}" is no switch for OpenBSD's vmd, which takes bridge or veb and a number`;
    return findings.hostError('interface', 'value', message);
  }
  const message = `"${name.text}" is not a switch: write bridge or veb and a number, such as bridge0`;
  findings.error('interface', 'value', message);
};

export const checkSwitchGroup: Check = (written, findings) => {
  checkGroup(written, findings);
  findings.remark('group', "interface groups are OpenBSD's: this one is ignored");
};

export const checkSwitchRdomain: Check = (written, findings) => {
  checkRdomain(written, findings);
  findings.remark('id', "routing domains are OpenBSD's: this one is ignored");
};

/** A number is taken as it is; names are looked up. */
export const checkOwner: Check = ({ args: { owner } }, findings) => {
  if (owner === undefined || owner.isNumber) return;
  const { host } = findings;
  const colon = owner.text.indexOf(':');
  const user = colon < 0 ? owner.text : owner.text.slice(0, colon);
  const group = colon < 0 ? '' : owner.text.slice(colon + 1);
  if (user !== '' && host.userExists?.(user) === false) {
    findings.hostError('owner', 'unknown-user', `there is no user "${user}" on this machine`, user);
  }
  if (group !== '' && host.groupExists?.(group) === false) {
    findings.hostError('owner', 'unknown-group', `there is no group "${group}" on this machine`, group);
  }
};
