/** Network interfaces. */
import type { DirectiveFindings, Written, WrittenValue } from '../directive.ts';
import { checkGroup, checkLladdr, checkRange, checkRdomain } from '../directiveChecks.ts';
import type { Setting, WrittenVm } from '../setting.ts';
import { notYet } from '../valueKinds.ts';
import {
  byteLength,
  isInterfaceName,
  isNoLladdr,
  lladdrText,
  MAX_INTERFACES,
  MAX_NAME_BYTES,
  parseForwardEnd,
  parseLladdr,
} from '../values.ts';

export interface InterfaceConfig {
  readonly kind: 'tap' | 'local' | 'user';
  /** `tap7`; absent: any free one. */
  readonly tap?: string;
  readonly switch?: string;
  readonly group?: string;
  readonly rdomain?: number;
  readonly isDown?: boolean;
  /** Six bytes with colons; absent: random. */
  readonly lladdr?: string;
  readonly isLocked?: boolean;
  readonly forwards?: readonly ForwardConfig[];
}

export interface ForwardConfig {
  readonly protocol: 'tcp' | 'udp';
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

const TAP = { name: 'tap', kind: 'word', isOptional: true, means: 'tap' } as const;
const ADDRESS = { name: 'address', kind: 'word', isOptional: true, means: 'etherAddress' } as const;

/** Those described, plus unattached ones up to the number that `interfaces` asks for. */
export const interfaces = {
  value: notYet<readonly InterfaceConfig[]>(),
  isOptional: true,
  launch: undefined,
  flag: undefined,
  vmConf: {
    directives: {
      interfaces: {
        block: 'vm',
        words: ['interfaces'],
        args: [{ name: 'count', kind: 'number' }],
        form: '`interfaces` *count*',
        text: 'The least number of network interfaces, 0 to 4: missing ones are added, attached to nothing.',
        isApart: true,
        check: checkMinimum,
      },
      interface: {
        block: 'vm',
        words: ['interface'],
        args: [TAP],
        opens: 'interface',
        form: '[`local`] `interface` [*tap*] [`{` … `}`]',
        text: 'A network interface, at most four: `tap`, `tapN` or, when not given, any free tap(4). Its options are in braces, on separate lines or in a row without commas, or on the same line without braces, where commas may follow all but the first. With `local` it is a private link to the host.',
        check: checkInterface,
      },
      localInterface: {
        block: 'vm',
        words: ['local', 'interface'],
        args: [TAP],
        opens: 'interface',
        form: '`local interface` [*tap*] [`{` … `}`]',
        text: "A private link to the host: the guest gets its address by DHCP from the local prefix, the host's end is its router and name server.",
        check: checkInterface,
      },
      networkUser: {
        block: 'vm',
        words: ['network', 'user'],
        opens: 'network',
        isExtension: true,
        form: '`network user` [`{` … `}`]',
        text: 'A network interface that needs no privileges: addresses by DHCP, names by the host, connections to the outside through the VMM. Counts as an interface.',
        check: (_, findings) => count(findings),
      },
      ifSwitch: {
        block: 'interface',
        words: ['switch'],
        args: [{ name: 'name', kind: 'string', means: 'switch' }],
        form: '`switch` *name*',
        snippet: ' "$1"',
        text: 'Puts the interface on a switch. vmd silently ignores a name that it does not know.',
        check: ({ args: { name } }, findings) => {
          if (name === undefined || byteLength(name.text) <= MAX_NAME_BYTES) return;
          findings.error('name', 'too-long', `the switch's name is longer than ${MAX_NAME_BYTES} bytes`);
        },
      },
      ifGroup: {
        block: 'interface',
        words: ['group'],
        args: [{ name: 'group', kind: 'string' }],
        form: '`group` *group*',
        text: 'Puts the interface into an interface group: at most 15 characters, not ending in a digit.',
        check: checkGroup,
      },
      ifRdomain: {
        block: 'interface',
        words: ['rdomain'],
        args: [{ name: 'id', kind: 'number' }],
        form: '`rdomain` *id*',
        text: "The interface's routing domain, 0 to 255.",
        check: checkRdomain,
      },
      ifUp: {
        block: 'interface',
        words: ['up'],
        args: [],
        form: '`up`',
        text: 'The interface is brought up. This is the default.',
      },
      ifDown: {
        block: 'interface',
        words: ['down'],
        args: [],
        form: '`down`',
        text: 'The interface stays down.',
      },
      lladdr: {
        block: 'interface',
        words: ['lladdr'],
        args: [ADDRESS],
        form: '[`locked`] `lladdr` [*address*]',
        snippet: ' ${1:fe:e1:bb:d1:00:01}',
        text: "The guest's Ethernet address, six bytes with colons; a random one when not given or zero. With `locked` the guest can use no other.",
        check: checkLladdr,
      },
      lockedLladdr: {
        block: 'interface',
        words: ['locked', 'lladdr'],
        args: [ADDRESS],
        form: '`locked lladdr` [*address*]',
        text: 'The Ethernet address, and frames from or to any other are dropped.',
        check: checkLladdr,
      },
      forward: {
        block: 'network',
        words: ['forward'],
        args: [
          { name: 'protocol', kind: ['tcp', 'udp'] },
          { name: 'from', kind: 'size' },
          { name: 'to', kind: 'size', after: 'to' },
        ],
        isExtension: true,
        form: '`forward` (`tcp` | `udp`) [*address*`:`]*port* `to` *port*',
        snippet: ' ${1|tcp,udp|} ${2:2222} to ${3:22}',
        text: 'Connects a port of the host, of 127.0.0.1 when no address is given, to a port of the guest.',
        check: checkForward,
      },
      allowInterface: {
        block: 'allow',
        words: ['interface'],
        args: [],
        form: '`interface`',
        text: 'Instances may have interfaces of their own.',
      },
    },
    isInherited: true,
    read: interfacesOf,
    unsupported: ({ id, args }) =>
      id === 'interfaces' && Number(args['count']?.text) === 0 ? undefined : 'network interfaces',
  },
} as const satisfies Setting<readonly InterfaceConfig[]>;

/** `interfaces 0` may come before another. */
function checkMinimum({ args: { count: minimum } }: Written, findings: DirectiveFindings): void {
  const key = 'interfaces at least';
  const range = { min: 0, max: MAX_INTERFACES, what: 'the number of interfaces' };
  if (minimum === undefined) return;
  if ((findings.tally.get(key) ?? 0) !== 0)
    findings.error(undefined, 'repeated', '"interfaces" is given more than once');
  else if (checkRange(minimum, 'count', range, findings)) findings.tally.set(key, Number(minimum.text));
}

function count(findings: DirectiveFindings): void {
  const seen = (findings.tally.get('interfaces') ?? 0) + 1;
  findings.tally.set('interfaces', seen);
  if (seen > MAX_INTERFACES)
    findings.error(undefined, 'value', `a VM can have at most ${MAX_INTERFACES} interfaces`);
}

function checkInterface({ args: { tap } }: Written, findings: DirectiveFindings): void {
  count(findings);
  if (tap === undefined || tap.text === 'tap' || isInterfaceName(tap.text, ['tap'])) return;
  const message = `"${tap.text}" is not a tap interface: write tap or, for a certain one, tap0`;
  findings.error('tap', 'value', message);
}

function checkForward({ args: { from, to } }: Written, findings: DirectiveFindings): void {
  const wrong = (value: WrittenValue, hint: string): string =>
    `"${value.text}" is not a port from 1 to 65535${hint}`;
  if (from !== undefined && parseForwardEnd(from.text) === undefined)
    findings.error('from', 'value', wrong(from, ', or an address, a colon and a port'));
  if (to !== undefined && (parseForwardEnd(to.text) === undefined || to.text.includes(':')))
    findings.error('to', 'value', wrong(to, ''));
}

function interfacesOf(vm: WrittenVm): readonly InterfaceConfig[] | undefined {
  const described = vm.all('interface', 'localInterface', 'networkUser').map(interfaceOf);
  const wanted = Number(vm.last('interfaces')?.args['count']?.text ?? 0);
  while (described.length < wanted) described.push({ kind: 'tap' });
  return described.length === 0 ? undefined : described;
}

function interfaceOf({ id, args, items }: Written): InterfaceConfig {
  if (id === 'networkUser') return { kind: 'user', forwards: items.flatMap(forwardOf) };
  const find = (...ids: readonly string[]): Written | undefined =>
    items.findLast((it) => ids.includes(it.id));
  const name = find('ifSwitch')?.args['name']?.text;
  const group = find('ifGroup')?.args['group']?.text;
  const rdomain = find('ifRdomain')?.args['id']?.text;
  const bytes = parseLladdr(find('lladdr', 'lockedLladdr')?.args['address']?.text ?? '');
  const tap = args['tap']?.text;
  return {
    kind: id === 'localInterface' ? 'local' : 'tap',
    ...(tap === undefined || tap === 'tap' ? {} : { tap }),
    ...(name === undefined ? {} : { switch: name }),
    ...(group === undefined ? {} : { group }),
    ...(rdomain === undefined ? {} : { rdomain: Number(rdomain) }),
    ...(find('ifUp', 'ifDown')?.id === 'ifDown' ? { isDown: true } : {}),
    ...(bytes === undefined || isNoLladdr(bytes) ? {} : { lladdr: lladdrText(bytes) }),
    ...(find('lockedLladdr') === undefined ? {} : { isLocked: true }),
  };
}

function forwardOf({ args }: Written): ForwardConfig[] {
  const from = parseForwardEnd(args['from']?.text ?? '');
  const to = parseForwardEnd(args['to']?.text ?? '');
  if (from === undefined || to === undefined) return [];
  const protocol = args['protocol']?.text === 'udp' ? 'udp' : 'tcp';
  return [{ protocol, hostAddress: from.address, hostPort: from.port, guestPort: to.port }];
}
