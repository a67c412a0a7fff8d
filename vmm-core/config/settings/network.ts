/** Network interfaces. */
import type { DirectiveFindings, Written } from '../directive.ts';
import { checkGroup, checkLladdr, checkRange, checkRdomain } from '../directiveChecks.ts';
import { listFlag, listOf } from '../optionTable.ts';
import type { ConfigProblem } from '../rows.ts';
import type { Setting } from '../setting.ts';
import { byteLength, isInterfaceName, MAX_INTERFACES, MAX_NAME_BYTES } from '../values.ts';
import { forwardsClash, forwardText } from './forwards.ts';
import {
  INTERFACE_BLOCK,
  isSwitchName,
  network,
  NETWORK_BLOCK,
  NETWORK_TEXTS,
  type NetworkConfig,
  networkFromFlag,
  SWITCH_RULE,
  VHOST_OR_LOCKED,
} from './networkOptions.ts';
import {
  checkForward,
  checkGuestForward,
  checkOptions,
  interfaceKind,
  networksOf,
} from './writtenNetworks.ts';

/** Each may be a PCI function, as disks are. */
const MOST_NETWORKS = 8;

const TAP = { name: 'tap', kind: 'word', isOptional: true, means: 'tap' } as const;
const ADDRESS = { name: 'address', kind: 'word', isOptional: true, means: 'etherAddress' } as const;

/** Those described, plus unattached ones up to the number that `interfaces` asks for. Absent: none. */
export const networks = {
  value: listOf(network, 'networks', MOST_NETWORKS),
  isOptional: true,
  launch: {
    key: 'networks',
    default: undefined,
    missing: undefined,
    description: `Network interfaces, at most ${MOST_NETWORKS}; none when not given. \`"user"\` needs no privileges: addresses by DHCP, names by the host, connections to the outside. Others are \`"tap0"\`, \`"local"\` (a private link to the host), \`"switch:NAME"\` (joins all VMs that name it), \`"stream:SOCKET"\` (QEMU's framing) and \`"passt"\`. Or objects with \`kind\` and any of these. ${NETWORK_TEXTS}.`,
  },
  flag: listFlag(
    {
      name: 'net',
      placeholder: 'N[,OPTION]',
      text: 'user, tap0, local, switch:NAME, stream:SOCKET or passt; user,forward=tcp:2222:22 …',
    },
    networkFromFlag,
    network,
  ),
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
        text: `A network interface, at most ${MAX_INTERFACES} for vmd and ${MOST_NETWORKS} for us: \`tap\`, \`tapN\` or, when not given, any free tap(4). Its options are in braces, on separate lines or in a row without commas, or on the same line without braces, where commas may follow all but the first; options of our own only in braces. With \`local\` it is a private link to the host.`,
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
        check: checkNetwork('user'),
      },
      networkStream: {
        block: 'vm',
        words: ['network', 'stream'],
        args: [{ name: 'socket', kind: 'string', means: 'path' }],
        opens: 'network',
        isExtension: true,
        form: '`network stream` *socket* [`{` … `}`]',
        snippet: ' "$1"',
        text: 'A network interface at a stream socket: the path of a unix socket, or `"`*address*`:`*port*`"`. Each frame comes after its length in four bytes, as QEMU\'s `-netdev stream` has it. Counts as an interface.',
        check: checkNetwork('stream'),
      },
      networkPasst: {
        block: 'vm',
        words: ['network', 'passt'],
        args: [{ name: 'socket', kind: 'string', means: 'path', isOptional: true }],
        opens: 'network',
        isExtension: true,
        form: '`network passt` [*socket*] [`{` … `}`]',
        text: 'A network interface at passt(1): at the socket of one that runs already, or one of its own. Counts as an interface.',
        check: checkNetwork('passt'),
      },
      ifSwitch: {
        block: 'interface',
        words: ['switch'],
        args: [{ name: 'name', kind: 'string', means: 'switch' }],
        form: '`switch` *name*',
        snippet: ' "$1"',
        text: 'Puts the interface on a switch, with all others that name it, in VMs of other files, too: it needs no tap then. For us a name with a `/` is the path of a folder, of a switch that users share. vmd silently ignores a name that it does not know.',
        check: ({ args: { name } }, findings) => {
          if (name === undefined) return;
          if (byteLength(name.text) > MAX_NAME_BYTES)
            findings.error('name', 'too-long', `the switch's name is longer than ${MAX_NAME_BYTES} bytes`);
          else if (!isSwitchName(name.text))
            findings.remark('name', `"${name.text}" cannot name a switch of ours: write ${SWITCH_RULE}`);
        },
      },
      ifGroup: {
        block: 'interface',
        words: ['group'],
        args: [{ name: 'group', kind: 'string' }],
        form: '`group` *group*',
        text: 'Puts the interface into an interface group of OpenBSD: at most 15 characters, not ending in a digit. We ignore it.',
        check: (written, findings) => {
          checkGroup(written, findings);
          findings.remark('group', "interface groups are OpenBSD's: this one is ignored");
        },
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
        text: "The guest's Ethernet address, six bytes with colons; when not given or zero a random one for vmd, for us one made of the VM's name and the interface's number. With `locked` the guest can use no other.",
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
      ...INTERFACE_BLOCK,
      forward: {
        block: 'network',
        words: ['forward'],
        args: [
          { name: 'protocol', kind: ['tcp', 'udp'] },
          { name: 'from', kind: 'size', means: 'hostPort' },
          { name: 'to', kind: 'size', after: 'to' },
        ],
        isExtension: true,
        form: '`forward` (`tcp` | `udp`) [*address*`:`]*port*[`-`*port*] `to` [*address*`:`]*port*',
        snippet: ' ${1|tcp,udp|} ${2:2222} to ${3:22}',
        text: 'Connects a port of the host, of 127.0.0.1 when no address is given, to a port of the guest; a range to as many ports from there on. `unix:`*path* is a unix socket of the host; IPv6 addresses are in brackets and quoted: `"[::1]:2222"`.',
        check: checkForward,
      },
      guestForward: {
        block: 'network',
        words: ['guest', 'forward'],
        args: [
          { name: 'from', kind: 'size' },
          { name: 'to', kind: 'size', after: 'to' },
        ],
        isExtension: true,
        form: '`guest forward` *address*`:`*port* `to` [*address*`:`]*port*',
        snippet: ' ${1:10.0.2.100:80} to ${2:8080}',
        text: 'Connects an address and port of the virtual network, by TCP, to a port of the host, of 127.0.0.1 when no address is given, or to the unix socket `unix:`*path*.',
        check: checkGuestForward,
      },
      ...NETWORK_BLOCK,
      allowInterface: {
        block: 'allow',
        words: ['interface'],
        args: [],
        form: '`interface`',
        text: 'Instances may have interfaces of their own.',
      },
    },
    isInherited: true,
    read: networksOf,
    unsupported: ({ items }) =>
      items.some(({ id }) => id === 'ifRdomain') ? 'routing domains of interfaces' : undefined,
  },
} as const satisfies Setting<readonly NetworkConfig[]>;

/** What the row cannot see of one. */
export function networksProblem({
  networks: all = [],
}: {
  readonly networks?: readonly NetworkConfig[];
}): ConfigProblem | undefined {
  const problem = (index: number, message: string): ConfigProblem => ({
    key: `${networks.launch.key}[${index}]`,
    message,
  });
  for (const [i, it] of all.entries()) {
    const before = all.slice(0, i);
    if (it.lladdr !== undefined && before.some(({ lladdr }) => lladdr === it.lladdr))
      return problem(i, `has the address ${it.lladdr}, which another interface has: give it one of its own`);
    if (it.tap !== undefined && before.some(({ tap }) => tap === it.tap))
      return problem(i, `has the tap ${it.tap}, which another interface has: give it one of its own`);
    const others = before.flatMap(({ forwards = [] }) => forwards);
    for (const [j, forward] of (it.forwards ?? []).entries()) {
      const clash = [...others, ...(it.forwards ?? []).slice(0, j)].find((at) => forwardsClash(at, forward));
      if (clash !== undefined)
        return problem(i, `forwards ${forwardText(forward)}, where ${forwardText(clash)} listens already`);
    }
  }
  return undefined;
}

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
  if (seen > MOST_NETWORKS)
    findings.error(undefined, 'value', `a VM can have at most ${MOST_NETWORKS} interfaces`);
  else if (seen > MAX_INTERFACES)
    findings.hostError(
      undefined,
      'value',
      `a VM can have at most ${MAX_INTERFACES} interfaces in OpenBSD's vmd`,
    );
}

function checkInterface(written: Written, findings: DirectiveFindings): void {
  const { tap } = written.args;
  count(findings);
  const { id, items } = written;
  const has = (...ids: readonly string[]): boolean => items.some((it) => ids.includes(it.id));
  checkOptions('interface', written, findings, interfaceKind(id, has('ifSwitch')));
  if (has('interfaceVhost') && has('lockedLladdr'))
    findings.error(undefined, 'conflict', `vhost ${VHOST_OR_LOCKED}`);
  if (tap === undefined || tap.text === 'tap' || isInterfaceName(tap.text, ['tap'])) return;
  const message = `"${tap.text}" is not a tap interface: write tap or, for a certain one, tap0`;
  findings.error('tap', 'value', message);
}

function checkNetwork(kind: NetworkConfig['kind']) {
  return (written: Written, findings: DirectiveFindings): void => {
    count(findings);
    if (written.args['socket']?.text === '')
      findings.error('socket', 'value', 'the socket is empty: name a path, or "ADDRESS:PORT"');
    checkOptions('network', written, findings, kind);
  };
}
