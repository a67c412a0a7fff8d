/**
 * Everything that may be written in a vm.conf, as one table: the parser's forms, completion, hover, docs/vm.conf.md and the man page
 * come from here. `extension` marks what OpenBSD's vmd does not know; such words are recognised only where vmd would accept no word at
 * all, so that they stay free as names and every file of vmd's means the same here.
 */

/** The places a directive can stand in. */
export const BLOCKS = ['file', 'agentx', 'switch', 'vm', 'interface', 'allow', 'network', 'debug'] as const;
export type Block = (typeof BLOCKS)[number];

/**
 * `string`: one or more values, put together; `word`: exactly one value; `number`; `size`: a number or a word; `owner`: a number or a
 * word. A list is a choice of words.
 */
export type ArgumentKind = 'string' | 'word' | 'number' | 'size' | 'owner' | readonly string[];

export interface Argument {
  readonly name: string;
  readonly kind: ArgumentKind;
  readonly isOptional?: boolean;
  /** A word that stands before it. */
  readonly after?: string;
}

export interface Directive {
  readonly block: Block;
  /** The words it begins with. */
  readonly words: readonly string[];
  readonly args?: readonly Argument[];
  /** The block that may follow, and whether it must. */
  readonly opens?: Block;
  readonly isExtension?: boolean;
  /** As the manual writes it: markdown, `*argument*`. */
  readonly form: string;
  /** One or more sentences of markdown. */
  readonly text: string;
  /** What completion inserts after the words, in VS Code's snippet syntax. */
  readonly snippet?: string;
}

const FLAG = { args: [] } as const;
const string = (name: string): readonly Argument[] => [{ name, kind: 'string' }];
const number = (name: string): readonly Argument[] => [{ name, kind: 'number' }];
const OWNER: readonly Argument[] = [{ name: 'owner', kind: 'owner' }];
const extension = { isExtension: true } as const;

export const COM_PORT_WORDS = ['com1', 'com2', 'com3', 'com4'] as const;
export const SERIAL_WORDS = ['terminal', 'stdio', 'null', 'file', 'pty', 'unix'] as const;
export const PROTOCOL_WORDS = ['auto', 'multiboot', 'linux64', 'bzimage', 'pvh', 'flat'] as const;

// prettier-ignore
export const DIRECTIVES = {
  // At the top of the file.
  include: {
    block: 'file', words: ['include'], args: string('file'), form: '`include` *file*', snippet: ' "$1"',
    text: 'Reads another file here. Its macros, switches and VMs belong to this configuration. vmd takes a relative path from the directory it was started in, we from the directory of the including file. There is no pattern matching.',
  },
  macro: {
    block: 'file', words: [], form: '*name* `=` *value*',
    text: 'Defines a macro. `$name` at the beginning of a word is replaced by the value, which is then read as if it had been written there: it can hold several words. Inside quotes nothing is replaced. The value must be one string: `m = 512` is an error, `m = "512"` is not.',
  },
  localPrefix: {
    block: 'file', words: ['local', 'prefix'], args: [{ name: 'address/length', kind: 'word' }], form: '`local prefix` *address*`/`*length*', snippet: ' ${1:100.64.0.0}/${2:10}',
    text: 'The IPv4 network that addresses of local interfaces are taken from. The length is 1 to 16 and 16 when not given; bits behind it must be zero. Bytes left out are zero: `"10/8"`, which must be quoted because `10` is a number. The default is 100.64.0.0/10.',
  },
  localInet6: {
    block: 'file', words: ['local', 'inet6'], args: [{ name: 'address/length', kind: 'word', isOptional: true, after: 'prefix' }], form: '`local inet6` [`prefix` *address*`/`*length*]',
    text: 'Gives local interfaces IPv6 addresses as well, from this prefix (length 0 to 64, 64 when not given) or else from a random one in fd00::/8.',
  },
  socketOwner: {
    block: 'file', words: ['socket', 'owner'], args: OWNER, form: '`socket owner` *user*[`:`*group*]', snippet: ' ${1::vmusers}',
    text: 'Who may use the control socket: a number, `user`, `user:group` or `:group`. The default is root:wheel.',
  },
  agentx: {
    block: 'file', words: ['agentx'], opens: 'agentx', form: '`agentx` [`context` *context*] [`path` *path*]',
    text: 'Tells snmpd(8) about the VMs over AgentX. The path is absolute, has at most 103 bytes and is /var/agentx/master when not given; the context has at most 32 bytes.',
  },
  agentxContext: {
    block: 'agentx', words: ['context'], args: [{ name: 'context', kind: 'word' }], form: '`context` *context*', text: 'The AgentX context, at most 32 bytes.',
  },
  agentxPath: {
    block: 'agentx', words: ['path'], args: [{ name: 'path', kind: 'word' }], form: '`path` *path*', text: 'The absolute path of the AgentX socket, at most 103 bytes.', snippet: ' "$1"',
  },
  staggeredStart: {
    block: 'file', words: ['staggered', 'start'], form: '`staggered start parallel` *count* `delay` *seconds*', snippet: ' parallel ${1:2} delay ${2:30}',
    args: [{ name: 'count', kind: 'number', after: 'parallel' }, { name: 'seconds', kind: 'number', after: 'delay' }],
    text: 'Starts the VMs in groups of *count*, one group every *seconds*. The default is one VM per online CPU and 30 seconds.',
  },
  switch: {
    block: 'file', words: ['switch'], args: string('name'), opens: 'switch', form: '`switch` *name* `{` … `}`', snippet: ' "${1:uplink}" {\n\tinterface ${2:bridge0}\n}',
    text: 'A virtual switch that interfaces of VMs can be put on. The `{` must be on the same line. `interface` is required.',
  },
  vm: {
    block: 'file', words: ['vm'], opens: 'vm', form: '`vm` *name* [`instance` *name*] `{` … `}`', snippet: ' "${1:name}" {\n\tdisk "$2"\n}',
    args: [{ name: 'name', kind: 'string' }, { name: 'instance', kind: 'string', isOptional: true, after: 'instance' }],
    text: 'A virtual machine. Its name has letters, digits, `.`, `-` and `_`, begins with a letter or digit and has fewer than 64 characters. With `instance` the second name is the new VM, made from the first, which must be declared before and allow it. The `{` must be on the same line, at least one option must follow, and every option but the first ends with its line.',
  },

  // In a switch.
  switchEnable: { ...FLAG, block: 'switch', words: ['enable'], form: '`enable`', text: 'The switch is used. This is the default.' },
  switchDisable: { ...FLAG, block: 'switch', words: ['disable'], form: '`disable`', text: 'The switch is left out.' },
  switchUp: { ...FLAG, block: 'switch', words: ['up'], form: '`up`', text: "The switch's interface is brought up. This is the default." },
  switchDown: { ...FLAG, block: 'switch', words: ['down'], form: '`down`', text: "The switch's interface stays down." },
  switchLocked: {
    ...FLAG, block: 'switch', words: ['locked', 'lladdr'], form: '`locked lladdr`',
    text: 'Interfaces on this switch may send only from their own Ethernet address and receive only what is sent to it or to groups.',
  },
  switchGroup: {
    block: 'switch', words: ['group'], args: string('group'), form: '`group` *group*',
    text: 'Puts interfaces on this switch into an interface group: at most 15 characters, not ending in a digit.',
  },
  switchInterface: {
    block: 'switch', words: ['interface'], args: string('interface'), form: '`interface` *interface*', snippet: ' ${1:bridge0}',
    text: 'The bridge(4) or veb(4) of the host that is this switch: `bridge` or `veb` and a number. Required.',
  },
  switchRdomain: {
    block: 'switch', words: ['rdomain'], args: number('id'), form: '`rdomain` *id*',
    text: 'The routing domain of interfaces on this switch, 0 to 255.',
  },

  // In a vm.
  enable: { ...FLAG, block: 'vm', words: ['enable'], form: '`enable`', text: 'The VM is started with vmd. This is the default.' },
  disable: { ...FLAG, block: 'vm', words: ['disable'], form: '`disable`', text: 'The VM is known, but started only by hand.' },
  sev: { ...FLAG, block: 'vm', words: ['sev'], form: '`sev`', text: "The guest's memory is encrypted: AMD SEV." },
  seves: { ...FLAG, block: 'vm', words: ['seves'], form: '`seves`', text: "The guest's memory and registers are encrypted: AMD SEV-ES." },
  memory: {
    block: 'vm', words: ['memory'], args: [{ name: 'size', kind: 'size' }], form: '`memory` *size*', snippet: ' ${1:512M}',
    text: "The guest's RAM: bytes, or a number with one of the suffixes B K M G T P E (powers of 1024, either case, fractions allowed). At least 1M, at most 128G, rounded down to megabytes; 512M when not given.",
  },
  interfaces: {
    block: 'vm', words: ['interfaces'], args: number('count'), form: '`interfaces` *count*',
    text: 'The least number of network interfaces, 0 to 4: missing ones are added, attached to nothing.',
  },
  owner: {
    block: 'vm', words: ['owner'], args: OWNER, form: '`owner` *user*[`:`*group*]',
    text: 'Who may start and stop the VM besides root: a number, `user`, `user:group` or `:group`. Only a single number is taken for a user id; `1000:1000` is looked up by name.',
  },
  boot: {
    block: 'vm', words: ['boot'], args: string('path'), form: '`boot` *path*', snippet: ' "$1"',
    text: 'A kernel or BIOS image to boot instead of the default firmware.',
  },
  bootDevice: {
    block: 'vm', words: ['boot', 'device'], args: [{ name: 'device', kind: ['cdrom', 'disk', 'net'] }], form: '`boot device` (`cdrom` | `disk` | `net`)',
    text: 'What the firmware boots from. The last one counts.',
  },
  cdrom: { block: 'vm', words: ['cdrom'], args: string('path'), form: '`cdrom` *path*', text: 'An ISO image in a read-only drive.', snippet: ' "$1"' },
  disk: {
    block: 'vm', words: ['disk'], form: '`disk` *path* [`format` (`raw` | `qcow2`)]', snippet: ' "$1"',
    args: [{ name: 'path', kind: 'string' }, { name: 'format', kind: 'string', isOptional: true, after: 'format' }],
    text: "A disk image, at most four. The file must exist. Its format is taken from the file's signature when not given.",
  },
  interface: {
    block: 'vm', words: ['interface'], args: [{ name: 'tap', kind: 'word', isOptional: true }], opens: 'interface', form: '[`local`] `interface` [*tap*] [`{` … `}`]',
    text: 'A network interface, at most four: `tap`, `tapN` or, when not given, any free tap(4). Its options stand in braces, on lines or one after another without commas, or else without braces on the same line, where commas may stand after all but the first. With `local` it is a private link to the host.',
  },
  localInterface: {
    block: 'vm', words: ['local', 'interface'], args: [{ name: 'tap', kind: 'word', isOptional: true }], opens: 'interface', form: '`local interface` [*tap*] [`{` … `}`]',
    text: "A private link to the host: the guest gets its address by DHCP from the local prefix, the host's end is its router and name server.",
  },
  allowInstance: {
    block: 'vm', words: ['allow', 'instance'], opens: 'allow', form: '`allow instance` (*setting* | `{` *setting* [`,`] … `}`)', snippet: ' {\n\towner ${1::users}\n\t${2:memory}\n}',
    text: 'Lets VMs be made from this one by others than root, and says which settings they may choose. In braces settings are separated by commas or newlines; a comma must not be last.',
  },
  cpus: {
    ...extension, block: 'vm', words: ['cpus'], args: number('count'), form: '`cpus` *count*', snippet: ' ${1:2}',
    text: 'How many virtual CPUs the guest has, 1 to 64; 1 when not given.',
  },
  firmware: {
    ...extension, block: 'vm', words: ['firmware'], args: string('image'), form: '`firmware` (`bios` | `uefi` | *path*)',
    text: 'The firmware that boots disks and ISOs: `bios`, `uefi`, or the path of an image.',
  },
  kernel: {
    ...extension, block: 'vm', words: ['kernel'], args: string('path'), form: '`kernel` *path*', snippet: ' "$1"',
    text: 'The kernel image to boot: ELF, bzImage, multiboot, PVH or flat. The same as `boot`, of which only one may be given.',
  },
  initrd: { ...extension, block: 'vm', words: ['initrd'], args: string('path'), form: '`initrd` *path*', text: "The kernel's initial RAM disk, or the first multiboot module.", snippet: ' "$1"' },
  cmdline: { ...extension, block: 'vm', words: ['cmdline'], args: string('text'), form: '`cmdline` *text*', text: "The kernel's command line.", snippet: ' "${1:console=ttyS0}"' },
  protocol: {
    ...extension, block: 'vm', words: ['protocol'], args: [{ name: 'protocol', kind: PROTOCOL_WORDS }], form: '`protocol` (`auto` | `multiboot` | `linux64` | `bzimage` | `pvh` | `flat`)',
    text: 'How the kernel is started; `auto`, the default, decides from the image.',
  },
  serial: {
    ...extension, block: 'vm', words: ['serial'], form: '`serial` [`com1` | `com2` | `com3` | `com4`] *target*', snippet: ' ${1|com1,com2,com3,com4|} ${2|terminal,stdio,null,file,pty,unix|}',
    args: [{ name: 'port', kind: COM_PORT_WORDS, isOptional: true }, { name: 'target', kind: SERIAL_WORDS }, { name: 'path', kind: 'string', isOptional: true }],
    text: 'Where the bytes of a serial port go: `terminal` (whoever is attached: a terminal in the editor, `vmm console`), `stdio`, `null`, `file` *path*, `pty` or `unix` *path*. Without a port it is com1. com1 is a terminal when nothing is said, the others go nowhere.',
  },
  vsock: {
    ...extension, block: 'vm', words: ['vsock', 'cid'], args: number('cid'), form: '`vsock cid` *cid*', snippet: ' ${1:3}',
    text: "A virtio socket device; the guest's address, 3 to 4294967294.",
  },
  networkUser: {
    ...extension, block: 'vm', words: ['network', 'user'], opens: 'network', form: '`network user` [`{` … `}`]',
    text: 'A network interface that needs no privileges: addresses by DHCP, names by the host, connections to the outside through the VMM. Counts as an interface.',
  },
  gdbSocket: {
    ...extension, block: 'vm', words: ['gdb', 'socket'], args: string('path'), form: '`gdb socket` *path*', snippet: ' "$1"',
    text: 'A unix socket where gdb can attach (`target remote` *path*).',
  },
  debug: {
    ...extension, block: 'vm', words: ['debug'], opens: 'debug', form: '`debug` (*setting* | `{` … `}`)',
    text: 'Settings for debugging the guest, one on the same line or several in braces, each on its own line.',
  },
  reset: {
    ...extension, block: 'vm', words: ['reset'], args: [{ name: 'action', kind: ['reboot', 'exit'] }], form: '`reset` (`reboot` | `exit`)',
    text: 'What a reset by the guest does: start it again (the default) or end the VM.',
  },

  // In an interface.
  ifSwitch: {
    block: 'interface', words: ['switch'], args: string('name'), form: '`switch` *name*', snippet: ' "$1"',
    text: 'Puts the interface on a switch. vmd silently ignores a name that it does not know.',
  },
  ifGroup: { block: 'interface', words: ['group'], args: string('group'), form: '`group` *group*', text: 'Puts the interface into an interface group: at most 15 characters, not ending in a digit.' },
  ifRdomain: { block: 'interface', words: ['rdomain'], args: number('id'), form: '`rdomain` *id*', text: "The interface's routing domain, 0 to 255." },
  ifUp: { ...FLAG, block: 'interface', words: ['up'], form: '`up`', text: 'The interface is brought up. This is the default.' },
  ifDown: { ...FLAG, block: 'interface', words: ['down'], form: '`down`', text: 'The interface stays down.' },
  lladdr: {
    block: 'interface', words: ['lladdr'], args: [{ name: 'address', kind: 'word', isOptional: true }], form: '[`locked`] `lladdr` [*address*]', snippet: ' ${1:fe:e1:bb:d1:00:01}',
    text: "The guest's Ethernet address, six bytes with colons; a random one when not given or zero. With `locked` the guest can use no other.",
  },
  lockedLladdr: {
    block: 'interface', words: ['locked', 'lladdr'], args: [{ name: 'address', kind: 'word', isOptional: true }], form: '`locked lladdr` [*address*]',
    text: 'The Ethernet address, and frames from or to any other are dropped.',
  },

  // In `allow instance`.
  allowBoot: { ...FLAG, block: 'allow', words: ['boot'], form: '`boot`', text: 'Instances may choose the kernel or BIOS.' },
  allowMemory: { ...FLAG, block: 'allow', words: ['memory'], form: '`memory`', text: 'Instances may choose their memory.' },
  allowInterface: { ...FLAG, block: 'allow', words: ['interface'], form: '`interface`', text: 'Instances may have interfaces of their own.' },
  allowDisk: { ...FLAG, block: 'allow', words: ['disk'], form: '`disk`', text: 'Instances may have disks of their own.' },
  allowCdrom: { ...FLAG, block: 'allow', words: ['cdrom'], form: '`cdrom`', text: 'Instances may choose the CD-ROM.' },
  allowNested: { ...FLAG, block: 'allow', words: ['instance'], form: '`instance`', text: 'Instances may be templates in turn.' },
  allowOwner: { block: 'allow', words: ['owner'], args: OWNER, form: '`owner` *user*[`:`*group*]', text: 'Who may make instances.' },

  // In `network user`.
  forward: {
    ...extension, block: 'network', words: ['forward'], form: '`forward` (`tcp` | `udp`) [*address*`:`]*port* `to` *port*', snippet: ' ${1|tcp,udp|} ${2:2222} to ${3:22}',
    args: [{ name: 'protocol', kind: ['tcp', 'udp'] }, { name: 'from', kind: 'size' }, { name: 'to', kind: 'size', after: 'to' }],
    text: "Connects a port of the host, of 127.0.0.1 when no address is given, to a port of the guest.",
  },

  // In `debug`.
  debugExit: { ...FLAG, ...extension, block: 'debug', words: ['exit'], form: '`exit`', text: 'The guest can end the VM with a value: isa-debug-exit at port 0xf4.' },
  debugWait: { ...FLAG, ...extension, block: 'debug', words: ['wait'], form: '`wait`', text: 'The VM starts stopped, so that a debugger can attach first.' },
  debugSymbols: { ...extension, block: 'debug', words: ['symbols'], args: string('path'), form: '`symbols` *path*', text: 'An ELF file with DWARF beside the kernel itself; repeatable.', snippet: ' "$1"' },
  debugBreakpoints: {
    ...extension, block: 'debug', words: ['breakpoints'], args: [{ name: 'mode', kind: ['auto', 'hw', 'sw'] }], form: '`breakpoints` (`auto` | `hw` | `sw`)',
    text: 'How breakpoints are armed: by debug registers while a page is not mapped and int3 later, by debug registers only, or by int3 only.',
  },
} as const satisfies Readonly<Record<string, Directive>>;

export type DirectiveId = keyof typeof DIRECTIVES;

export function directive(id: DirectiveId): Directive {
  return DIRECTIVES[id];
}

const BY_BLOCK = new Map<Block, readonly DirectiveId[]>(
  BLOCKS.map((block) => [
    block,
    (Object.keys(DIRECTIVES) as DirectiveId[]).filter((id) => directive(id).block === block),
  ]),
);

/** What may stand in a block, in the manual's order. */
export function directivesOf(block: Block): readonly DirectiveId[] {
  return BY_BLOCK.get(block) ?? [];
}

const BY_FIRST_WORD = new Map<Block, Map<string, readonly DirectiveId[]>>();
for (const block of BLOCKS) {
  const words = new Map<string, readonly DirectiveId[]>();
  for (const id of directivesOf(block)) {
    const [word = ''] = directive(id).words;
    // Longest first: `boot device` before `boot`.
    const ids = [...(words.get(word) ?? []), id];
    words.set(
      word,
      ids.sort((a, b) => directive(b).words.length - directive(a).words.length),
    );
  }
  BY_FIRST_WORD.set(block, words);
}

const NONE: readonly DirectiveId[] = [];

/** The directives of a block that begin with a word, longest first. */
export function directivesWith(block: Block, word: string): readonly DirectiveId[] {
  return BY_FIRST_WORD.get(block)?.get(word) ?? NONE;
}
