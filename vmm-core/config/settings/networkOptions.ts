/**
 * What can be said of a network interface besides what it is wired to, a row each: see optionTable.ts for who
 * uses the rows.
 */
import type { Directive, Written, WrittenValue } from '../directive.ts';
import {
  blockId,
  blockOf,
  described,
  type Described,
  fromBlock,
  fromFlag,
  givenAgain,
  listOf,
  ON_OFF,
  type OptionRow,
  type OptionRows,
  type OptionTable,
  optionTexts,
} from '../optionTable.ts';
import type { Complain, ValueKind } from '../setting.ts';
import { choice, describe, flag, plain, wholeNumber } from '../valueKinds.ts';
import {
  isHostInterface,
  isIpv4,
  isIpv6,
  isNoLladdr,
  lladdrText,
  MAX_HOST_INTERFACE_BYTES,
  networkProblem,
  parseLladdr,
  PLAIN_LLADDR,
} from '../values.ts';
import { forward, guestForward } from './forwards.ts';

export type { ForwardConfig, GuestForwardConfig } from './forwards.ts';

export const NETWORK_KINDS = ['user', 'tap', 'local', 'switch', 'stream', 'passt'] as const;
export type NetworkKind = (typeof NETWORK_KINDS)[number];

const TRANSPORTS = ['pci', 'mmio'] as const;
const MIN_MTU = 68;
/** What fits into an IP datagram with an Ethernet header and some slack: QEMU's, too. */
const MAX_MTU = 65520;
/** Virtio 1.2 §5.1.5 allows more; a VM of ours gains nothing from them. */
const MAX_QUEUE_PAIRS = 4;
const SWITCH_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
export const SWITCH_RULE =
  'the name of a switch, of at most 63 letters, digits, ".", "-" and "_", or the path of a folder that its users share, with a "/"';
export const VHOST_OR_LOCKED = 'cannot be together with locked: the kernel lets all frames pass';
/** Of each direction. */
export const MAX_FORWARDS = 256;
const MAX_BOOTFILE_BYTES = 127;
/** RFC 1123 §2.1, with dots. */
const HOSTNAME = /^(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*$/;

const lladdr = plain<string>({ type: 'string' }, (written, complain) => {
  const bytes = typeof written === 'string' && PLAIN_LLADDR.test(written) ? parseLladdr(written) : undefined;
  if (bytes === undefined || isNoLladdr(bytes))
    return complain(`must be six bytes such as "52:54:00:12:34:56", not ${describe(written)}`);
  if (((bytes[0] ?? 0) & 1) === 1)
    return complain(
      `must be the address of one interface: ${describe(written)} is a group's, its first byte is odd`,
    );
  return lladdrText(bytes);
});

const prefix = (family: 'inet' | 'inet6', example: string): ValueKind<string> =>
  plain({ type: 'string' }, (written, complain) => {
    if (typeof written !== 'string')
      return complain(`must be a network such as "${example}", not ${describe(written)}`);
    const problem = networkProblem(written, family);
    return problem === undefined ? written : complain(`is no network that can be used: ${problem}`);
  });

const matching = (isRight: (text: string) => boolean, rule: string): ValueKind<string> =>
  plain({ type: 'string' }, (written, complain) =>
    typeof written === 'string' && isRight(written)
      ? written
      : complain(`must be ${rule}, not ${describe(written)}`),
  );

/** Of a network of one guest. vmd's of `local` are others. */
const USER_PREFIXES = {
  prefix: { shortest: 8, rule: 'must have a length of 8 to 27 for a network of kind user' },
  prefix6: { shortest: 64, rule: 'must have a length of 64 for a network of kind user' },
} as const;

function isTooWide(key: keyof typeof USER_PREFIXES, written: string): boolean {
  return Number(written.split('/')[1]) < USER_PREFIXES[key].shortest;
}

/** The row's, where the kind is known. */
const userPrefix = (key: keyof typeof USER_PREFIXES, kind: ValueKind<string>): ValueKind<string> =>
  plain(kind.schema, (written, complain) => {
    const value = kind.read(written, complain);
    return value !== undefined && isTooWide(key, value) ? complain(USER_PREFIXES[key].rule) : value;
  });

const tapName = matching(
  isHostInterface,
  `the name of an interface, at most ${MAX_HOST_INTERFACE_BYTES} bytes`,
);

/** Empty would be the folder that paths start from. */
const somePath: ValueKind<string> = {
  ...matching((it) => it !== '' && !it.includes('\0'), 'a path'),
  resolve: (value, absolute) => absolute(value),
};

/** A name is the user's own switch, a path the folder of one that users share. */
const switchName: ValueKind<string> = {
  ...matching(isSwitchName, SWITCH_RULE),
  resolve: (value, absolute) => pathOfSwitch(value, absolute),
};

/** A path, or ADDRESS:PORT, which stays as it is when paths are made absolute. */
const socket: ValueKind<string> = {
  ...matching((it) => it !== '' && !it.includes('\0'), 'the path of a unix socket, or ADDRESS:PORT'),
  resolve: (value, absolute) => pathOfSocket(value, absolute),
};

export interface NetworkRow<T> extends OptionRow<T> {
  /** Absent: of all kinds. */
  readonly of?: readonly NetworkKind[];
}

const USER = ['user'] as const;

/** In the order in which they are listed everywhere. */
export const NETWORK_OPTIONS = {
  lladdr: {
    key: 'mac',
    word: 'lladdr',
    value: lladdr,
    text: "the guest's Ethernet address; when not given one is made of the VM's name and the interface's number, the same at each start, and of the process for a VM that has only its kernel's name: another each time",
    argument: { kind: 'word', form: ' *address*', means: 'etherAddress' },
  },
  isLocked: {
    key: 'locked',
    value: flag,
    text: 'frames from or to any other Ethernet address are dropped',
    argument: ON_OFF,
  },
  isDown: { key: 'down', value: flag, text: 'the link is down at the start', argument: ON_OFF },
  mtu: {
    value: wholeNumber(MIN_MTU, MAX_MTU),
    text: `the largest IP datagram, ${MIN_MTU} to ${MAX_MTU} (1500)`,
    argument: { kind: 'number', form: ' *bytes*' },
  },
  queues: {
    value: wholeNumber(1, MAX_QUEUE_PAIRS),
    text: 'pairs of queues: one for each CPU when not given, at most 4',
    argument: { kind: 'number', form: ' *count*' },
  },
  transport: {
    value: choice(TRANSPORTS),
    text: 'where the virtio device is: `pci`, the default, or `mmio`',
    argument: { kind: TRANSPORTS, form: ' (`pci` | `mmio`)' },
  },
  iothread: { value: flag, text: 'the interface has an I/O thread of its own', argument: ON_OFF },
  capture: {
    value: somePath,
    text: 'a pcapng file that all frames are written to, from the start',
    argument: { kind: 'string', form: ' *path*', means: 'path' },
  },
  forwards: {
    of: USER,
    one: 'forward',
    value: listOf(forward, 'forwards', MAX_FORWARDS),
    text: 'ports of the host that lead to the guest: `tcp:2222:22`, `tcp:0.0.0.0:8000-8010:80`, `udp:[::1]:53:53`, `tcp:unix:/path:22`; on loopback unless an address is given',
    argument: undefined,
  },
  guestForwards: {
    of: USER,
    one: 'guestForward',
    value: listOf(guestForward, 'forwards', MAX_FORWARDS),
    text: 'addresses and ports of the virtual network that lead to the host: `10.0.2.100:80:8080`, `10.0.2.100:80:unix:/path`',
    argument: undefined,
  },
  isRestricted: {
    of: USER,
    key: 'restrict',
    value: flag,
    text: "nothing but the network's own services and what is forwarded",
    argument: ON_OFF,
  },
  prefix: {
    of: ['user', 'local'],
    value: prefix('inet', '10.0.2.0/24'),
    text: "the network's IPv4 addresses (`10.0.2.0/24`): the host is .2, the name server .3, the guest from .15 on",
    argument: { kind: 'string', form: ' *address*`/`*length*' },
  },
  prefix6: {
    of: ['user', 'local'],
    value: prefix('inet6', 'fd00::/64'),
    text: 'its IPv6 addresses: a /64, one of our own when not given; of `local` the prefix that the link has a /64 of (`fd00::/8`), and no IPv6 when not given',
    argument: { kind: 'string', form: ' *address*`/64`' },
  },
  hostname: {
    of: USER,
    value: matching((it) => HOSTNAME.test(it) && it.length <= 253, 'a host name such as "guest"'),
    text: "what DHCP calls the guest; the VM's name when not given",
    argument: { kind: 'string', form: ' *name*' },
  },
  dns: {
    of: USER,
    value: matching((it) => isIpv4(it) || isIpv6(it), 'the address of a name server'),
    text: "the name server that the guest's questions go to; the host's when not given",
    argument: { kind: 'string', form: ' *address*' },
  },
  tftp: {
    of: USER,
    value: somePath,
    text: "a folder that the host's address serves by TFTP, read-only",
    argument: { kind: 'string', form: ' *path*', means: 'path' },
  },
  http: {
    of: USER,
    value: somePath,
    text: "a folder that the host's address serves by HTTP, read-only",
    argument: { kind: 'string', form: ' *path*', means: 'path' },
  },
  bootfile: {
    of: USER,
    value: matching(
      (it) => /^[\x20-\x7e]+$/.test(it) && it.length <= MAX_BOOTFILE_BYTES,
      `a file name or URL, at most ${MAX_BOOTFILE_BYTES} ASCII characters`,
    ),
    text: 'what DHCP names for network boot: a file of the TFTP folder, or a URL',
    argument: { kind: 'string', form: ' *name*' },
  },
  tap: {
    of: ['tap', 'local'],
    value: tapName,
    text: 'the tap interface of the host; a new one when not given',
    argument: undefined,
  },
  vhost: {
    of: ['tap'],
    value: flag,
    text: "the host's kernel moves the frames (/dev/vhost-net) while they are not captured; without it the VMM does",
    argument: ON_OFF,
  },
  switch: {
    of: ['switch'],
    value: switchName,
    text: 'the name of the switch, which joins all VMs of this user that name it; or the path of a folder, with a `/`, of a switch that users share',
    argument: undefined,
  },
  uplink: {
    of: ['switch'],
    value: tapName,
    text: "the tap or the bridge of the host that joins the switch to the host's network, by one member at a time for all; none when not given",
    argument: undefined,
  },
  socket: {
    of: ['stream', 'passt'],
    value: socket,
    text: 'the unix socket, or ADDRESS:PORT, of the program at the other end; for `passt`, one that runs already',
    argument: undefined,
  },
} as const satisfies Readonly<Record<string, NetworkRow<unknown>>>;

const ROWS: readonly (readonly [string, NetworkRow<unknown>])[] = Object.entries(NETWORK_OPTIONS);

const TABLE = {
  key: 'kind',
  value: choice(NETWORK_KINDS),
  description:
    'What it is wired to: `user`, `tap`, `local` (a private link to the host), `switch`, `stream` or `passt`.',
  missing: `is required: one of ${NETWORK_KINDS.join(', ')}`,
  form: '"user", "tap0" or an object such as { "kind": "user", "forwards": ["tcp:2222:22"] }',
  options: NETWORK_OPTIONS,
  ofText,
  suggestions: ['user', 'local', 'passt', 'tap0', 'switch:lan'],
} as const satisfies OptionTable<'kind', NetworkKind, OptionRows>;

/** Absent options are off, or as the table says. */
export type NetworkConfig = Described<'kind', NetworkKind, typeof NETWORK_OPTIONS>;

export const NETWORK_TEXTS = optionTexts(TABLE);

const single = described(TABLE);

/** A kind, `tap7`, `switch:name`, `stream:path`, or an object. */
export const network: ValueKind<NetworkConfig> = {
  ...single,
  read: (written, complain) => whole(single.read(written, complain), complain),
  check: (value, complain) => whole(single.check(value, complain), complain),
};

/** `user,forward=tcp:2222:22,mtu=9000`, as launch.json has it; see fromFlag. */
export function networkFromFlag(given: string, refuse: (message: string) => void): Record<string, unknown> {
  return fromFlag(TABLE, given, refuse);
}

/** What an interface of vmd's has of it, too. */
const { mtu, queues, transport, iothread, capture, vhost } = NETWORK_OPTIONS;
const INTERFACE_OPTIONS = { mtu, queues, transport, iothread, capture, vhost };
const INTERFACE_TABLE = { ...TABLE, options: INTERFACE_OPTIONS };
const { prefix: ownPrefix, prefix6: ownPrefix6 } = NETWORK_OPTIONS;
/**
 * Taps are interfaces, of vmd's. In the block `network` prefixes are of kind user: a wider one is told where
 * it is written.
 */
const OF_NETWORKS: OptionRows = {
  ...Object.fromEntries(ROWS.filter(([name]) => name !== 'vhost')),
  prefix: { ...ownPrefix, value: userPrefix('prefix', ownPrefix.value) },
  prefix6: { ...ownPrefix6, value: userPrefix('prefix6', ownPrefix6.value) },
};
const NETWORK_TABLE = { ...TABLE, options: OF_NETWORKS };

type BlockOption = Exclude<
  keyof typeof NETWORK_OPTIONS,
  'forwards' | 'guestForwards' | 'tap' | 'vhost' | 'switch' | 'uplink' | 'socket'
>;

/** The keys are made as the types make them. */
export const NETWORK_BLOCK = blockOf(NETWORK_TABLE, 'network') as Readonly<
  Record<`network${Capitalize<BlockOption>}`, Directive>
>;
export const INTERFACE_BLOCK = blockOf(INTERFACE_TABLE, 'interface') as Readonly<
  Record<`interface${Capitalize<keyof typeof INTERFACE_OPTIONS>}`, Directive>
>;

/** What the directives of a block say, as the object that launch.json would have. */
export function networkFromBlock(
  block: 'network' | 'interface',
  items: readonly Written[],
  absolute: (value: WrittenValue) => string,
): Record<string, unknown> {
  return fromBlock(TABLE, block, items, absolute);
}

/** An option that is there twice. */
export function networkOptionAgain(
  block: 'network' | 'interface',
  items: readonly Written[],
): string | undefined {
  return givenAgain(TABLE, block, items);
}

export function isSwitchName(written: string): boolean {
  return SWITCH_NAME.test(written) || (written.includes('/') && !written.includes('\0'));
}

/** A plain name stays as it is. */
export function pathOfSwitch(written: string, absolute: (path: string) => string): string {
  return written.includes('/') ? absolute(written) : written;
}

/** ADDRESS:PORT stays as it is. */
export function pathOfSocket(written: string, absolute: (path: string) => string): string {
  return /^[^/]+:\d+$/.test(written) ? written : absolute(written);
}

/** Whether a directive of either block may be there for that kind. */
export function isOptionOf(kind: NetworkKind, id: string): boolean {
  const found = ROWS.find(
    ([name, { one }]) => id === one || id === blockId('network', name) || id === blockId('interface', name),
  );
  return found?.[1].of?.includes(kind) ?? true;
}

/** What a text alone means. */
function ofText(given: string): Readonly<Record<string, unknown>> {
  if (/^tap\d+$/.test(given)) return { kind: 'tap', tap: given };
  const [, kind = '', value] = /^(tap|switch|stream|passt):(.*)$/s.exec(given) ?? [];
  if (value === undefined) return { kind: given };
  return { kind, [kind === 'tap' || kind === 'switch' ? kind : 'socket']: value };
}

const NEEDED: Readonly<Partial<Record<NetworkKind, 'switch' | 'socket'>>> = {
  switch: 'switch',
  stream: 'socket',
};

/** That its options are of its kind. */
function whole(value: NetworkConfig | undefined, complain: Complain): NetworkConfig | undefined {
  if (value === undefined) return undefined;
  for (const [name, { of, key = name }] of ROWS)
    if (Reflect.has(value, name) && of?.includes(value.kind) === false)
      return complain(`is only for a network of kind ${of.join(' or ')}, not ${value.kind}`, `.${key}`);
  const needed = NEEDED[value.kind];
  if (needed !== undefined && value[needed] === undefined)
    return complain(`is required: ${NETWORK_OPTIONS[needed].text}`, `.${needed}`);
  if (value.vhost === true && value.isLocked === true) return complain(VHOST_OR_LOCKED, '.vhost');
  for (const key of ['prefix', 'prefix6'] as const)
    if (value.kind === 'user' && isTooWide(key, value[key] ?? ''))
      return complain(USER_PREFIXES[key].rule, `.${key}`);
  return value;
}
