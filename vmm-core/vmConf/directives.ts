/**
 * Everything that may be written in a vm.conf, as one table: the parser's forms, completion, hover,
 * docs/vm.conf.md and the man page come from here. The language's own directives are below, those of settings
 * in their rows. `extension` marks what OpenBSD's vmd does not know; such words are recognised only where
 * vmd accepts no word at all, so that they stay usable as names and every vmd file means the same here.
 */
import { DEBUG_SETTINGS } from '../config/debugSettings.ts';
import { type Argument, type Block, BLOCKS, type Directive, type Meaning } from '../config/directive.ts';
import {
  checkContext,
  checkOwner,
  checkPrefix,
  checkSocketPath,
  checkSwitchGroup,
  checkSwitchInterface,
  checkSwitchRdomain,
} from './languageChecks.ts';
import type { Setting, VmConfForm } from '../config/setting.ts';
import { SETTINGS } from '../config/settings.ts';

const FLAG = { args: [] } as const;
const string = (name: string): readonly Argument[] => [{ name, kind: 'string' }];
const number = (name: string): readonly Argument[] => [{ name, kind: 'number' }];
const OWNER: readonly Argument[] = [{ name: 'owner', kind: 'owner' }];
const extension = { isExtension: true } as const;

// prettier-ignore
const LANGUAGE = {
  // At the top level.
  include: {
    block: 'file', words: ['include'], args: [{ name: 'file', kind: 'string', means: 'path' }], form: '`include` *file*', snippet: ' "$1"',
    text: 'Reads another file here. Its macros, switches and VMs belong to this configuration. vmd takes a relative path from the directory it was started in, we from the directory of the including file. There is no pattern matching.',
  },
  macro: {
    block: 'file', words: [], form: '*name* `=` *value*',
    text: 'Defines a macro. `$name` at the beginning of a word is replaced by the value, which is then read as if it had been written there: it can hold several words. Inside quotes nothing is replaced. The value must be one string: `m = 512` is an error, `m = "512"` is not.',
  },
  localPrefix: {
    block: 'file', words: ['local', 'prefix'], check: checkPrefix('inet'), args: [{ name: 'address/length', kind: 'word' }], form: '`local prefix` *address*`/`*length*', snippet: ' ${1:100.64.0.0}/${2:10}',
    text: 'The IPv4 network that addresses of local interfaces are taken from. The length is 1 to 16 and 16 when not given; bits after it must be zero. Bytes left out are zero: `"10/8"`, which must be quoted because `10` is a number. The default is 100.64.0.0/10.',
  },
  localInet6: {
    block: 'file', words: ['local', 'inet6'], check: checkPrefix('inet6'), args: [{ name: 'address/length', kind: 'word', isOptional: true, after: 'prefix' }], form: '`local inet6` [`prefix` *address*`/`*length*]',
    text: 'Gives local interfaces IPv6 addresses as well, from this prefix (length 0 to 64, 64 when not given) or else from fd00::/8. Where vmd takes a random /64 for all of them, each has one of its own here, made of the names of the VM and the interface, and the guest hears of it by router advertisement; of a prefix of 64 bits that another link has already, a /96, as with vmd.',
  },
  socketOwner: {
    block: 'file', words: ['socket', 'owner'], args: OWNER, check: checkOwner, form: '`socket owner` *user*[`:`*group*]', snippet: ' ${1::vmusers}',
    text: 'Who may use the control socket: a number, `user`, `user:group` or `:group`. The default is root:wheel.',
  },
  agentx: {
    block: 'file', words: ['agentx'], opens: 'agentx', form: '`agentx` [`context` *context*] [`path` *path*]',
    text: 'Tells snmpd(8) about the VMs over AgentX. The path is absolute, has at most 103 bytes and is /var/agentx/master when not given; the context has at most 32 bytes.',
  },
  agentxContext: {
    block: 'agentx', words: ['context'], args: [{ name: 'context', kind: 'word' }], check: checkContext, form: '`context` *context*', text: 'The AgentX context, at most 32 bytes.',
  },
  agentxPath: {
    block: 'agentx', words: ['path'], args: [{ name: 'path', kind: 'word' }], check: checkSocketPath, form: '`path` *path*', text: 'The absolute path of the AgentX socket, at most 103 bytes.', snippet: ' "$1"',
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
  switchDisable: { ...FLAG, block: 'switch', words: ['disable'], form: '`disable`', text: 'The switch is left out: the links of its interfaces are down.' },
  switchUp: { ...FLAG, block: 'switch', words: ['up'], form: '`up`', text: "The switch's interface is brought up. This is the default." },
  switchDown: { ...FLAG, block: 'switch', words: ['down'], form: '`down`', text: "The switch's interface stays down; for us the links of its interfaces." },
  switchLocked: {
    ...FLAG, block: 'switch', words: ['locked', 'lladdr'], form: '`locked lladdr`',
    text: 'Interfaces on this switch may send only from their own Ethernet address and receive only what is sent to it or to groups.',
  },
  switchGroup: {
    block: 'switch', words: ['group'], args: string('group'), form: '`group` *group*', check: checkSwitchGroup,
    text: 'Puts interfaces on this switch into an interface group of OpenBSD: at most 15 characters, not ending in a digit. We ignore it.',
  },
  switchInterface: {
    block: 'switch', words: ['interface'], args: string('interface'), form: '`interface` *interface*', snippet: ' ${1:bridge0}', check: checkSwitchInterface,
    text: "The bridge(4) or veb(4) of the host that is this switch: `bridge` or `veb` and a number. Required. For us the bridge of the host, or the tap, that joins the switch to the host's network: a bridge of that kind that this host has not leaves it without.",
  },
  switchRdomain: {
    block: 'switch', words: ['rdomain'], args: number('id'), form: '`rdomain` *id*', check: checkSwitchRdomain,
    text: 'The routing domain of interfaces on this switch, 0 to 255. We ignore it.',
  },

  // In a vm, besides what rows describe.
  enable: { ...FLAG, block: 'vm', words: ['enable'], form: '`enable`', text: 'The VM is started with vmd. This is the default.' },
  disable: { ...FLAG, block: 'vm', words: ['disable'], form: '`disable`', text: 'The VM is known, but started only by hand.' },
  owner: {
    block: 'vm', words: ['owner'], args: OWNER, check: checkOwner, form: '`owner` *user*[`:`*group*]',
    text: 'Who may start and stop the VM besides root: a number, `user`, `user:group` or `:group`. Only a single number is taken for a user id; `1000:1000` is looked up by name.',
  },
  allowInstance: {
    block: 'vm', words: ['allow', 'instance'], opens: 'allow', form: '`allow instance` (*setting* | `{` *setting* [`,`] … `}`)', snippet: ' {\n\towner ${1::users}\n\t${2:memory}\n}',
    text: 'Lets VMs be made from this one by others than root, and says which settings they may choose. In braces settings are separated by commas or newlines; a comma must not be last.',
  },
  debug: {
    ...extension, block: 'vm', words: ['debug'], opens: 'debug', form: '`debug` (*setting* | `{` … `}`)',
    text: 'Settings for debugging the guest, one on the same line or several in braces, each on its own line.',
  },

  // In `allow instance`, besides what rows describe.
  allowNested: { ...FLAG, block: 'allow', words: ['instance'], form: '`instance`', text: 'Instances may be templates in turn.' },
  allowOwner: { block: 'allow', words: ['owner'], args: OWNER, check: checkOwner, form: '`owner` *user*[`:`*group*]', text: 'Who may make instances.' },
} as const satisfies Readonly<Record<string, Directive>>;

type Tables = typeof SETTINGS & typeof DEBUG_SETTINGS;
type IdsOf<Row> = Row extends { readonly vmConf: { readonly directives: infer D } } ? keyof D : never;
export type DirectiveId = keyof typeof LANGUAGE | { [K in keyof Tables]: IdsOf<Tables[K]> }[keyof Tables];

/** A directive as it is looked up for every line of a file: all have one shape. */
export interface TableEntry {
  readonly id: DirectiveId;
  readonly block: Block;
  readonly words: readonly string[];
  readonly args: readonly Argument[] | undefined;
  readonly opens: Block | undefined;
  readonly isExtension: boolean;
  readonly form: string;
  readonly text: string;
  readonly snippet: string | undefined;
  /** In words, what may be given once in a VM. */
  readonly once: string | undefined;
  readonly isApart: boolean;
  readonly isBootable: boolean;
  readonly isInherited: boolean;
  readonly check: Directive['check'];
  /** The argument by which VMs are checked against each other. */
  readonly compared: Argument | undefined;
  readonly unsupported: VmConfForm<unknown>['unsupported'] | undefined;
}

const COMPARED: readonly (Meaning | undefined)[] = ['switch', 'tap', 'etherAddress', 'hostPort'];

/** In the order of the manual: what vmd knows first, and settings before what happens to the VM. */
const TABLE: ReadonlyMap<string, TableEntry> = new Map(
  [...rowEntries(), ...entriesOf(LANGUAGE, undefined)]
    .sort((a, b) => Number(a.isExtension) - Number(b.isExtension))
    .map((it) => [it.id, it]),
);

function rowEntries(): TableEntry[] {
  const rows: readonly Setting<unknown>[] = [...Object.values(SETTINGS), ...Object.values(DEBUG_SETTINGS)];
  return rows.flatMap(({ vmConf }) => (vmConf === undefined ? [] : entriesOf(vmConf.directives, vmConf)));
}

function entriesOf(
  directives: Readonly<Record<string, Directive>>,
  row: VmConfForm<unknown> | undefined,
): TableEntry[] {
  return Object.entries(directives).map(([id, it]) => ({
    id: id as DirectiveId, // the type has the keys of all these tables
    block: it.block,
    words: it.words,
    args: it.args,
    opens: it.opens,
    isExtension: it.isExtension ?? false,
    form: it.form,
    text: it.text,
    snippet: it.snippet,
    once: it.isOnce === true ? `"${it.words.join(' ')}"` : it.isOnce,
    isApart: it.isApart ?? false,
    isBootable: it.isBootable ?? false,
    isInherited: row?.isInherited ?? it.opens === 'debug',
    check: it.check,
    compared: it.args?.find(({ means }) => COMPARED.includes(means)),
    unsupported: row?.unsupported,
  }));
}

export function directive(id: DirectiveId): TableEntry {
  const found = TABLE.get(id);
  if (found === undefined) throw new Error(`there is no directive ${id}`);
  return found;
}

const BY_BLOCK = new Map<Block, readonly DirectiveId[]>(
  BLOCKS.map((block) => [block, [...TABLE.values()].flatMap((it) => (it.block === block ? [it.id] : []))]),
);

/** What may be in a block, in the manual's order. */
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

/**
 * Those with a `compared` argument, and those whose block may hold one. A key press asks for every directive
 * there is.
 */
export const COMPARED_DIRECTIVES: ReadonlySet<DirectiveId> = new Set(
  [...TABLE.values()].flatMap(({ id, compared, opens }) => {
    const inside = opens === undefined ? [] : directivesOf(opens).map((it) => directive(it).compared);
    return [compared, ...inside].some((it) => it !== undefined) ? [id] : [];
  }),
);

/** What an argument stands for, by the name that the tree has it under. */
export function meaningOf(id: DirectiveId, argument: string): Meaning | undefined {
  return directive(id).args?.find((it) => it.name === argument)?.means;
}
