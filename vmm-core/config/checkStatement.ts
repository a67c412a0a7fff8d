/**
 * What is wrong inside one statement, whatever the others say: value rules of vmd (vm.conf's grammar is parse.ts's), and what the host
 * has to say about the files and accounts it names. The result depends on the statement and the host only, so an editor keeps it.
 */
import type { ConfigHost } from './configHost.ts';
import { checkVm } from './checkVm.ts';
import { byPlace, type Problem, type ProblemCode, type Severity } from './problem.ts';
import { byteLength } from './sourceFile.ts';
import { type Dialect, type DirectiveNode, spanOf, type Statement, type ValueNode } from './syntaxTree.ts';
import type { Token } from './token.ts';
import {
  isGroupName,
  isInterfaceName,
  isNoLladdr,
  parseForwardEnd,
  parseLladdr,
  prefixProblem,
} from './values.ts';

const MAX_AGENTX_CONTEXT = 32;
/** sun_path of OpenBSD, less the NUL at its end. */
const MAX_SOCKET_PATH_BYTES = 103;
const MAX_RDOMAIN = 255;

/** Collects problems; the severities of what vmd -n does not check, and of what depends on the machine, go by the dialect. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly host: ConfigHost;
  readonly dialect: Dialect;

  constructor(host: ConfigHost, dialect: Dialect) {
    this.host = host;
    this.dialect = dialect;
  }

  /** vmd -n refuses it. */
  error(at: ValueNode | readonly Token[], code: ProblemCode, message: string, subject?: string): void {
    this.#add('error', at, code, message, subject);
  }

  /** vmd -n accepts it, loading it fails. */
  loadError(at: ValueNode | readonly Token[], code: ProblemCode, message: string, subject?: string): void {
    this.#add(this.dialect === 'vmd' ? 'warning' : 'error', at, code, message, subject);
  }

  /** vmd -n refuses it on a machine like this one; files are often written for another. */
  hostError(at: ValueNode | readonly Token[], code: ProblemCode, message: string, subject?: string): void {
    this.#add(this.dialect === 'vmd' ? 'error' : 'warning', at, code, message, subject);
  }

  warning(at: ValueNode | readonly Token[], code: ProblemCode, message: string, subject?: string): void {
    this.#add('warning', at, code, message, subject);
  }

  #add(
    severity: Severity,
    at: ValueNode | readonly Token[],
    code: ProblemCode,
    message: string,
    subject?: string,
  ): void {
    const { file, start, end } = spanOf('tokens' in at ? at.tokens : at);
    // Hot, as in the parser: without spreading.
    if (subject === undefined) this.problems.push({ severity, code, message, file, start, end });
    else this.problems.push({ severity, code, message, file, start, end, subject });
  }
}

export function checkStatement(statement: Statement, host: ConfigHost, dialect: Dialect): readonly Problem[] {
  const { node } = statement;
  if (node === undefined) return [];
  const findings = new Findings(host, dialect);
  if (node.id === 'vm') checkVm(node, findings);
  else if (node.id === 'switch') checkSwitch(node, findings, statement.problems.length === 0);
  else checkGlobal(node, findings);
  return findings.problems.sort(byPlace); // in order already when all problems are sorted with every key press
}

function checkGlobal(node: DirectiveNode, findings: Findings): void {
  if (node.id === 'localPrefix') checkPrefix(node.args['address/length'], 'inet', findings);
  else if (node.id === 'localInet6') checkPrefix(node.args['address/length'], 'inet6', findings);
  else if (node.id === 'socketOwner') checkOwner(node.args['owner'], findings);
  else if (node.id === 'agentx') checkAgentx(node, findings);
}

function checkPrefix(value: ValueNode | undefined, family: 'inet' | 'inet6', findings: Findings): void {
  const problem = value === undefined ? undefined : prefixProblem(value.text, family);
  if (value !== undefined && problem !== undefined) findings.error(value, 'value', problem);
}

function checkAgentx(node: DirectiveNode, findings: Findings): void {
  for (const { args } of node.items) {
    const { context, path } = args;
    if (context !== undefined && byteLength(context.text) > MAX_AGENTX_CONTEXT) {
      findings.error(
        context,
        'too-long',
        `the AgentX context must not be longer than ${MAX_AGENTX_CONTEXT} bytes`,
      );
    }
    if (path !== undefined && byteLength(path.text) > MAX_SOCKET_PATH_BYTES) {
      findings.error(
        path,
        'too-long',
        `the path of a socket must not be longer than ${MAX_SOCKET_PATH_BYTES} bytes`,
      );
    }
    if (path !== undefined && !path.text.startsWith('/'))
      findings.error(path, 'value', 'the AgentX path must be absolute');
  }
}

/** `isWhole`: every option in it could be read. */
function checkSwitch(node: DirectiveNode, findings: Findings, isWhole: boolean): void {
  for (const item of node.items) {
    checkInterfaceOption(item, findings);
    const name = item.args['interface'];
    if (
      item.id === 'switchInterface' &&
      name !== undefined &&
      !isInterfaceName(name.text, ['bridge', 'veb'])
    ) {
      findings.error(
        name,
        'value',
        `"${name.text}" is not a switch: write bridge or veb and a number, such as bridge0`,
      );
    }
  }
  if (isWhole && !node.items.some((it) => it.id === 'switchInterface')) {
    const name = node.args['name'];
    const message = `switch "${name?.text ?? ''}" needs an interface, such as "interface bridge0"`;
    findings.error(name ?? node.words, 'missing', message);
  }
}

/** Options that switches and interfaces of VMs have alike. */
export function checkInterfaceOption(item: DirectiveNode, findings: Findings): void {
  const { group, id, address } = item.args;
  if (group !== undefined && !isGroupName(group.text)) {
    findings.error(
      group,
      'value',
      `"${group.text}" is not an interface group: at most 15 characters, not ending in a digit`,
    );
  }
  if (id !== undefined && !(Number(id.text) >= 0 && Number(id.text) <= MAX_RDOMAIN)) {
    findings.error(id, 'value', `a routing domain is a number from 0 to ${MAX_RDOMAIN}`);
  }
  if (address !== undefined) {
    const bytes = parseLladdr(address.text);
    if (bytes === undefined) {
      findings.error(
        address,
        'value',
        `"${address.text}" is not an Ethernet address, such as fe:e1:bb:d1:00:01`,
      );
    } else if (!isNoLladdr(bytes) && ((bytes[0] ?? 0) & 1) === 1) {
      findings.warning(address, 'value', `${address.text} is a group address: the first byte must be even`);
    }
  }
}

export function checkForward(item: DirectiveNode, findings: Findings): void {
  const { from, to } = item.args;
  for (const value of [from, to]) {
    const end = value === undefined ? undefined : parseForwardEnd(value.text);
    if (value === undefined || (end !== undefined && (value === from || !value.text.includes(':')))) continue;
    findings.error(
      value,
      'value',
      `"${value.text}" is not a port from 1 to 65535${value === from ? ', or an address, a colon and a port' : ''}`,
    );
  }
}

/** A number is taken as it is; names are looked up. */
export function checkOwner(owner: ValueNode | undefined, findings: Findings): void {
  if (owner === undefined || owner.isNumber) return;
  const { host } = findings;
  const colon = owner.text.indexOf(':');
  const user = colon < 0 ? owner.text : owner.text.slice(0, colon);
  const group = colon < 0 ? '' : owner.text.slice(colon + 1);
  if (user !== '' && host.userExists?.(user) === false) {
    findings.hostError(owner, 'unknown-user', `there is no user "${user}" on this machine`, user);
  }
  if (group !== '' && host.groupExists?.(group) === false) {
    findings.hostError(owner, 'unknown-group', `there is no group "${group}" on this machine`, group);
  }
}
