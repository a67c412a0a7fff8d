/**
 * The invariants of ARCHITECTURE.md that imports show. Each test's title is the text of one **Invariant**
 * line there; the last tests check that the two lists are the same. (Sizes, formatting and default exports
 * are the lint rules' business.)
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { SUITES, testFiles } from '../scripts/testing/suites.ts';
import { STOP } from '../vmm-core/protocol/stopCause.ts';
import { ATTACH_SETTINGS, DEBUG_SETTINGS, EDITOR_SETTINGS } from '../vmm-core/config/debugSettings.ts';
import type { Setting } from '../vmm-core/config/setting.ts';
import { SETTINGS } from '../vmm-core/config/settings.ts';
import { CATALOG } from '../vmm-core/devices/catalog.ts';
import { PROTOCOL_VERSION } from '../vmm-core/protocol/version.ts';
import {
  type Import,
  importCircles,
  parse,
  type SourceFile,
  sourceFiles,
  tokens,
} from './support/sourceFiles.ts';

const ROOT = path.join(import.meta.dirname, '..');
const ARCHITECTURE = readFileSync(path.join(ROOT, 'ARCHITECTURE.md'), 'utf8');
const PARTS = ['vmm-core', 'debug-adapter', 'extension'];
const SOURCES = sourceFiles(ROOT, PARTS);

/** Folders that other parts may import, and which (style: "Tree and dependency direction"). */
const ALLOWED_ACROSS: Readonly<Record<string, readonly string[]>> = {
  extension: ['vmm-core/protocol/', 'vmm-core/config/', 'vmm-core/vmConf/', 'vmm-core/client/'],
  'debug-adapter': ['vmm-core/protocol/', 'vmm-core/config/', 'vmm-core/elf/', 'vmm-core/client/'],
  'vmm-core': [],
};

/** Folders that run anywhere: no Node, no other part. */
const PURE = [
  'vmm-core/protocol/',
  'vmm-core/config/',
  'vmm-core/vmConf/',
  'vmm-core/elf/',
  'vmm-core/abi/',
  'debug-adapter/dwarf/',
];

/**
 * What each folder of vmm-core may import from the others, and which files directly in vmm-core. `log.ts` and
 * `errors.ts` serve every folder that is not pure; the other files there (main.ts, vm.ts) may import all.
 */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  code: [],
  abi: [],
  config: [],
  vmConf: ['config'],
  elf: [],
  protocol: ['config'],
  client: ['protocol', 'config', 'elf'],
  memory: ['abi'],
  bus: ['abi', 'memory'],
  kvm: ['abi', 'bus', 'memory'],
  backends: ['abi', 'bus', 'memory', 'kvm', 'config', 'client'],
  devices: ['abi', 'bus', 'memory', 'backends', 'config', 'firmware', 'protocol'],
  inspector: ['abi', 'bus', 'memory', 'devices', 'protocol'],
  firmware: ['abi', 'memory'],
  boot: ['abi', 'elf', 'memory', 'config'],
  io: ['abi', 'bus', 'memory', 'kvm', 'devices', 'backends'],
  vcpu: ['abi', 'bus', 'memory', 'kvm', 'io', 'devices', 'boot', 'protocol', 'code'],
  debug: ['abi', 'memory', 'kvm', 'boot', 'vcpu', 'protocol'],
  machine: [
    'abi',
    'bus',
    'memory',
    'kvm',
    'backends',
    'devices',
    'firmware',
    'boot',
    'io',
    'vcpu',
    'debug',
    'config',
    'elf',
    'protocol',
    'client',
  ],
  control: [
    ...['backends', 'boot', 'client', 'config', 'debug', 'inspector'],
    ...['machine', 'memory', 'protocol', 'vcpu'],
    ...['vm.ts', 'version.ts'],
  ],
};
const SHARED = ['vmm-core/log.ts', 'vmm-core/errors.ts'];
const KVM_USERS = [
  'vmm-core/kvm/',
  'vmm-core/backends/',
  'vmm-core/machine/',
  'vmm-core/io/',
  'vmm-core/vcpu/',
  'vmm-core/debug/',
  'vmm-core/cli/hostCheck.ts',
];

/** Who speaks JSON-RPC in vmm-core: its messages, both ends of its socket, and the requests served there. */
const JSON_RPC_USERS = ['vmm-core/protocol/', 'vmm-core/client/', 'vmm-core/control/jsonRpc/'];
/** Who opens the control socket. */
const JSON_RPC_STARTERS = ['vmm-core/cli/serve.ts', 'vmm-core/cli/run.ts'];

/**
 * The folders of debug-adapter, each above those before it. `.` are the files directly there, which serve
 * all.
 */
const ADAPTER_ORDER = [
  ...['.', 'dwarf', 'symbols', 'target', 'session', 'stepping', 'evaluation'],
  ...['rows', 'console', 'handlers'],
];
/** The top, which may import all of it. */
const ADAPTER_TOP = ['debug-adapter/main.ts', 'debug-adapter/requestTable.ts'];

/**
 * The rooms of debug-adapter/symbols, each above those before it. `.` are the files directly there, which
 * `cli` serves.
 */
const SYMBOLS_ORDER = [
  ...['base', 'files', 'units', 'types', 'values', 'index', 'names', 'frames'],
  ...['breakpoints', 'expressions', '.', 'cli'],
];

/** Where the offsets are, as the header has them. */
const KVM_RUN_TABLE = 'vmm-core/abi/kvm.ts';

const ATOMICS_FILES = [
  'vmm-core/bus/stateBlock.ts',
  'vmm-core/bus/byteRing.ts',
  'vmm-core/bus/frameRing.ts',
  'vmm-core/vcpu/mailbox.ts',
  'vmm-core/vcpu/stopBoard.ts',
  'vmm-core/kvm/io/ring.ts',
  'vmm-core/devices/virtio/queue.ts',
  'vmm-core/bus/serviceGate.ts',
];

/** The adapter's table from a stop's kind to DAP's word for it, which often is the same. */
const STOPS_IN_DAP = 'debug-adapter/session/vmEvents.ts';

/** Who else opens files, and which: what nobody but us names, or makes. */
const FILE_OPENERS: Readonly<Record<string, string>> = {
  'vmm-core/client/regularFile.ts': 'what a user names',
  'vmm-core/kvm/kvm.ts': '/dev/kvm',
  'vmm-core/kvm/net/tun.ts': '/dev/net/tun',
  'vmm-core/kvm/net/vhostNet.ts': '/dev/vhost-net',
  'vmm-core/cli/hostCheck.ts': '/proc and /sys',
  'vmm-core/debug/probe.ts': 'a cache of ours',
  'debug-adapter/symbols/index/indexStore.ts': 'a cache of ours',
  'vmm-core/backends/serial/outputSink.ts': 'to write, which may be a FIFO or a device: it looks first, too',
  'vmm-core/machine/fileLock.ts': 'a lock in our directory',
  'vmm-core/cli/replaceFile.ts': 'a file it makes',
  'vmm-core/backends/disk/newImageFile.ts': 'a file it makes',
  'vmm-core/backends/disk/snapshotOverlay.ts': 'a file without a name',
  'vmm-core/code/codeCache.ts': 'a bundle of ours, and a cache',
  'extension/language/server/createDisk.ts': 'a file it makes',
  'extension/language/server/completion.ts': '/etc/passwd and /etc/group',
};
const OPENING = /\b(open|openSync|readFile|readFileSync|createReadStream)\b/;

const ROWS_FOLDER = 'vmm-core/config/settings/';
const SETTING_FOLDERS = ['vmm-core/config/', 'vmm-core/vmConf/'];
const SETTING_ROWS: readonly (readonly [string, Setting<unknown>])[] = [
  SETTINGS,
  DEBUG_SETTINGS,
  EDITOR_SETTINGS,
  ATTACH_SETTINGS,
].flatMap((table) => Object.entries(table));
/** In a VmConfig, in launch.json, as a flag, and as directives of vm.conf. */
const SETTING_NAMES = distinct(
  SETTING_ROWS.flatMap(([name, { launch, flag, vmConf }]) => [
    name,
    ...(launch === undefined ? [] : [launch.key]),
    ...(flag === undefined ? [] : [flag.name]),
    ...Object.keys(vmConf?.directives ?? {}),
  ]),
);
const FLAG_NAMES = distinct(SETTING_ROWS.flatMap(([, { flag }]) => flag?.name ?? []));

/** What names of settings also mean, and where. */
const OTHER_MEANINGS: Readonly<Record<string, readonly string[]>> = {
  // How a VM ends.
  debugExit: ['vmm-core/protocol/', 'vmm-core/vcpu/', 'vmm-core/vm.ts', 'vmm-core/cli/run.ts'],
  reset: ['vmm-core/protocol/', 'vmm-core/vm.ts', 'vmm-core/cli/run.ts', 'debug-adapter/target/'],
  // Names of interfaces begin with it; a command, a tag of log lines.
  net: ['vmm-core/devices/virtio/net/', 'vmm-core/backends/net/', 'vmm-core/cli/net.ts'],
  // What a client has changed.
  memory: ['vmm-core/control/'],
  // Words of the language vm.conf, and colours for them.
  vm: [
    'vmm-core/config/directive.ts',
    'vmm-core/vmConf/',
    'extension/language/server/',
    'vmm-core/control/', // a tag of log lines
  ],
  name: ['vmm-core/vmConf/', 'extension/language/server/'],
  disk: [
    'vmm-core/config/directive.ts',
    'vmm-core/vmConf/',
    'extension/language/server/',
    'vmm-core/cli/drive.ts', // a command, and a value of commands
    'vmm-core/cli/disk/',
  ],
  forward: ['vmm-core/control/', 'vmm-core/cli/net.ts'], // a parameter, and a verb
  interface: ['vmm-core/config/directive.ts', 'vmm-core/vmConf/', 'extension/language/server/'],
  socket: ['vmm-core/vmConf/'],
  lladdr: ['vmm-core/vmConf/'],
  // Tags of log lines, and what an image is called in messages.
  serial: ['vmm-core/control/'],
  firmware: ['vmm-core/vm.ts'],
  balloon: ['vmm-core/cli/balloon.ts'], // a command
  kernel: ['vmm-core/machine/'],
  initrd: ['vmm-core/machine/'],
};

const CATALOG_FILE = 'vmm-core/devices/catalog.ts';
const CHIP_FOLDER = /^vmm-core\/devices\/\w+\//;
/** What names of chips also mean, and where. */
const CHIP_NAMES_ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  // Words of ACPI and of the MultiProcessor Specification.
  ioApic: ['vmm-core/firmware/'],
  // Those, and a part of a vCPU's state.
  localApic: ['vmm-core/firmware/', 'vmm-core/kvm/', 'vmm-core/vcpu/'],
  // A part of KVM's state of a VM.
  pit: ['vmm-core/kvm/'],
};

type Rule = (file: SourceFile, it: Import) => boolean;

/** Title (as in ARCHITECTURE.md) -> whether an import is allowed. */
const IMPORT_RULES: Readonly<Record<string, Rule>> = {
  'parts meet only in public folders': crossesAllowed,
  'folders of vmm-core import downwards only': layerAllowed,
  'folders of debug-adapter import downwards only': adapterFolderAllowed,
  'folders of debug-adapter/symbols import downwards only': symbolsRoomAllowed,
  'the core knows its clients by an interface': clientSeamKept,
  'koffi is imported only in vmm-core/kvm': ({ file }, { specifier }) =>
    specifier !== 'koffi' || file.startsWith('vmm-core/kvm/'),
  'KVM and libc are used only by machine, back ends, io, vcpu, debug and the host check': ({ file }, it) =>
    !(it.file ?? '').startsWith('vmm-core/kvm/') || KVM_USERS.some((user) => file.startsWith(user)),
  'vscode is imported only in extension, and not by its language server': ({ file }, { specifier }) =>
    specifier !== 'vscode' ||
    (file.startsWith('extension/') && !file.startsWith('extension/language/server/')),
  'threads are started only in vmm-core/{vcpu,io} and by the index loader, and run only worker files': (
    { file },
    it,
  ) =>
    !/^(node:)?worker_threads$/.test(it.specifier) ||
    it.typeOnly ||
    file.startsWith('vmm-core/vcpu/') ||
    file.startsWith('vmm-core/io/') ||
    file === 'debug-adapter/symbols/index/indexLoader.ts' ||
    file.endsWith('.worker.ts'),
  'pure folders import neither Node nor packages': ({ file }, it) =>
    !isPure(file) ||
    it.file !== undefined ||
    (file.startsWith('vmm-core/protocol/') && it.specifier === 'vscode-jsonrpc'),
};

for (const [title, allows] of Object.entries(IMPORT_RULES)) {
  it(title, () => {
    const broken = SOURCES.flatMap((source) =>
      source.imports
        .filter((it) => !allows(source, it))
        .map((it) => `${source.file} imports ${it.specifier}`),
    );
    assert.deepEqual(broken, []);
  });
}

it('no file imports itself by way of others', () => {
  assert.deepEqual(importCircles(SOURCES), []);
});

it('the layout of kvm_run is known only to vmm-core/kvm', () => {
  const users = SOURCES.filter((it) => it.identifiers.has('KVM_RUN')).map((it) => it.file);
  assert.deepEqual(
    users.filter((it) => it !== KVM_RUN_TABLE && !it.startsWith('vmm-core/kvm/')),
    [],
  );
});

it('Atomics appear only in the state block, the byte ring, the frame ring, the mailbox, the stop board, the service gate, the virtqueue and the I/O ring', () => {
  const users = SOURCES.filter((it) => it.identifiers.has('Atomics')).map((it) => it.file);
  assert.deepEqual(
    users.filter((it) => !ATOMICS_FILES.includes(it)),
    [],
  );
});

it('files that a user names are opened only by vmm-core/client/regularFile', () => {
  const openers = SOURCES.filter(({ text }) =>
    [...text.matchAll(/^import \{([^}]*)\} from 'node:fs(?:\/promises)?';/gm)].some(([, names]) =>
      OPENING.test(names ?? ''),
    ),
  ).map((it) => it.file);
  assert.deepEqual(openers.sort(), Object.keys(FILE_OPENERS).sort());
});

it('a setting is named only in its row', () => {
  const found = SOURCES.filter((it) => !it.file.startsWith(ROWS_FOLDER)).flatMap(
    ({ file, imports, literals }) => {
      const knowsSettings = imports.some((it) =>
        SETTING_FOLDERS.some((folder) => it.file?.startsWith(folder)),
      );
      const isNamed = (name: string): boolean =>
        (knowsSettings || !isOrdinaryWord(name)) && literals.has(name) && !meansOtherwise(name, file);
      const flags = FLAG_NAMES.filter((it) => [...literals].some((text) => namesFlag(text, it)));
      return [...SETTING_NAMES.filter(isNamed), ...flags.map((it) => `--${it}`)].map(
        (it) => `${file}: ${it}`,
      );
    },
  );
  assert.deepEqual(found, []);
});

it('protocol/ changes only together with its version', () => {
  const text = sourceFiles(ROOT, ['vmm-core/protocol'])
    .flatMap((it) => tokens(it.text))
    .join(' ');
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  const rows = [...ARCHITECTURE.matchAll(/^\| (\d+) +\| `([0-9a-f]{16})` +\|$/gm)];
  const documented = rows.map(([, version, digest]) => ({ version: Number(version), digest })).at(-1);
  assert.deepEqual(
    documented,
    { version: PROTOCOL_VERSION, digest: hash },
    'vmm-core/protocol differs from the last row of the table in ARCHITECTURE.md: raise PROTOCOL_VERSION when a released ' +
      'client would misunderstand the change, and record the new hash either way',
  );
});

it('a stop kind is spelled once', () => {
  const kinds = Object.values<string>(STOP);
  const spelled = SOURCES.filter(({ file }) => file !== STOPS_IN_DAP).flatMap((source) =>
    kinds.filter((it) => source.kinds.has(it)).map((it) => `${source.file} spells ${it}`),
  );
  assert.deepEqual(spelled, []);
});

it('a chip is named only in its own file, its ABI table, its test and the catalog', () => {
  const chips = importsOf(CATALOG_FILE).filter((it) => CHIP_FOLDER.test(it));
  assert.equal(chips.length, CATALOG.length);
  const named = chips.flatMap((chip) => {
    const own = [chip, abiTableOf(chip), CATALOG_FILE, ...partsOf(chip)];
    const elsewhere = CHIP_NAMES_ELSEWHERE[path.parse(chip).name] ?? [];
    return SOURCES.filter(({ file }) => !own.includes(file) && !elsewhere.some((it) => file.startsWith(it)))
      .filter((it) => namesChip(it, chip))
      .map(({ file }) => `${file} names ${path.parse(chip).name}`);
  });
  const others = SOURCES.filter(({ file }) => file.startsWith('vmm-core/') && !CHIP_FOLDER.test(file));
  const spelled = others.flatMap(({ file, literals }) =>
    CATALOG.filter(({ id }) => literals.has(id)).map(({ id }) => `${file} spells ${id}`),
  );
  assert.deepEqual([...named, ...spelled], []);
});

it('every test file belongs to exactly one suite', async () => {
  const files = await testFiles(ROOT);
  const misplaced = files.filter((file) => SUITES.filter((it) => it.includes(file)).length !== 1);
  assert.deepEqual(misplaced, []);
});

describe('the test itself', () => {
  it('knows every folder of vmm-core', () => {
    const folders = new Set(SOURCES.map((it) => folderOf(it.file)).filter((it) => it !== undefined));
    const unknown = [...folders].filter((it) => !(it in LAYERS) && !TOP_FOLDERS.includes(it));
    assert.deepEqual(unknown, [], 'add the folder to LAYERS and to ARCHITECTURE.md');
  });

  it('knows every folder of debug-adapter', () => {
    const folders = new Set(SOURCES.map((it) => adapterFolderOf(it.file)).filter((it) => it !== undefined));
    assert.deepEqual([...folders].sort(), [...ADAPTER_ORDER].sort());
  });

  it('knows every room of debug-adapter/symbols', () => {
    const rooms = new Set(SOURCES.map((it) => symbolsRoomOf(it.file)).filter((it) => it !== undefined));
    assert.deepEqual([...rooms].sort(), [...SYMBOLS_ORDER].sort());
  });

  it('finds circles of two files and of more, by types too, and tells those apart that share no way back', () => {
    const circles = importCircles([
      parse('a.ts', "import './b.ts'; import './e.ts';"),
      parse('b.ts', "import type { C } from './c.ts';"),
      parse('c.ts', "import './a.ts'; import './d.ts';"),
      parse('d.ts', "import './e.ts';"),
      parse('e.ts', "import { d } from './d.ts'; import './f.ts';"),
      parse('f.ts', "import 'node:fs'; import './generated.d.ts';"),
    ]);
    assert.deepEqual(circles.sort(), [
      ['a.ts', 'b.ts', 'c.ts'],
      ['d.ts', 'e.ts'],
    ]);
  });

  it('checks the invariants that ARCHITECTURE.md lists, and no others', () => {
    const listed = [...ARCHITECTURE.matchAll(/^- \*\*Invariant:\*\* ([^.;(]+)[.;(]/gm)].map(([, title]) =>
      title?.trim().replace(/\s+/g, ' '),
    );
    const checked = [
      ...Object.keys(IMPORT_RULES),
      'no file imports itself by way of others',
      'the layout of kvm_run is known only to vmm-core/kvm',
      'Atomics appear only in the state block, the byte ring, the frame ring, the mailbox, the stop board, the service gate, the virtqueue and the I/O ring',
      'files that a user names are opened only by vmm-core/client/regularFile',
      'a setting is named only in its row',
      'protocol/ changes only together with its version',
      'a stop kind is spelled once',
      'a chip is named only in its own file, its ABI table, its test and the catalog',
      'every test file belongs to exactly one suite',
    ];
    assert.deepEqual([...listed].sort(), checked.sort());
  });

  it('sees static, type, lazy and re-exported imports, but not comments', () => {
    const { imports } = parse(
      'vmm-core/bus/x.ts',
      `import a from './a.ts'; import type { B } from '../b.ts'; import { type C } from 'c';
       export { d } from './d.ts'; const e = await import('e'); let f: import('f').F; // import 'g';
       import { type H, i } from 'h'; import 'j';`,
    );
    assert.deepEqual(
      imports.map((it) => [it.file ?? it.specifier, it.typeOnly]),
      [
        ['vmm-core/bus/a.ts', false],
        ['vmm-core/b.ts', true],
        ['c', true],
        ['vmm-core/bus/d.ts', false],
        ['e', false],
        ['f', true],
        ['h', false],
        ['j', false],
      ],
    );
  });

  it('sees where a string stands for a kind, and that elsewhere it is a word like any other', () => {
    const { kinds } = parse(
      'vmm-core/x.ts',
      `type A = { readonly kind: 'a' } | 'b'; const c = { kind: it ? 'c' : 'd', name: 'no' };
       switch (it.kind) { case 'e': log('no'); } if (it.kind === 'f' || 'g' !== reason || it.id === 'no') say('no');`,
    );
    assert.deepEqual([...kinds].sort(), ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
  });
});

/** The commands: they start everything. */
const TOP_FOLDERS = ['cli'];

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

/** `memory`, but not `debugExit` or `debug-exit`: programs say it of many things. */
function isOrdinaryWord(name: string): boolean {
  return /^[a-z]+$/.test(name);
}

function meansOtherwise(name: string, file: string): boolean {
  return (OTHER_MEANINGS[name] ?? []).some((it) => file.startsWith(it));
}

function namesFlag(text: string, flag: string): boolean {
  return new RegExp(`--${flag}(?![\\w-])`).test(text);
}

function partOf(file: string): string {
  return file.split('/')[0] ?? '';
}

/** `vmm-core/bus/bus.ts` -> `bus`; undefined outside vmm-core and for files directly in it. */
function folderOf(file: string): string | undefined {
  const [part, folder, rest] = file.split('/');
  return part === 'vmm-core' && rest !== undefined ? folder : undefined;
}

/**
 * `debug-adapter/symbols/values/value.ts` -> `values`, and `.` for files directly there; undefined elsewhere.
 */
function symbolsRoomOf(file: string): string | undefined {
  const [, room] = /^debug-adapter\/symbols\/(?:([^/]+)\/)?[^/]+$/.exec(file) ?? [];
  return file.startsWith('debug-adapter/symbols/') ? (room ?? '.') : undefined;
}

function isPure(file: string): boolean {
  return PURE.some((it) => file.startsWith(it));
}

function crossesAllowed({ file }: SourceFile, it: Import): boolean {
  if (it.file === undefined || partOf(it.file) === partOf(file)) return true;
  return (ALLOWED_ACROSS[partOf(file)] ?? []).some((folder) => it.file?.startsWith(folder));
}

function layerAllowed({ file }: SourceFile, it: Import): boolean {
  const from = folderOf(file);
  if (from === undefined || it.file === undefined || TOP_FOLDERS.includes(from)) return true;
  if (partOf(it.file) !== 'vmm-core') return true; // another rule's
  if (SHARED.includes(it.file)) return !isPure(file);
  const to = folderOf(it.file) ?? path.posix.basename(it.file);
  const allowed = [from, ...(LAYERS[from] ?? [])];
  return allowed.includes(to);
}

function clientSeamKept({ file }: SourceFile, it: Import): boolean {
  if (partOf(file) !== 'vmm-core') return true; // another rule's
  const isUser = JSON_RPC_USERS.some((user) => file.startsWith(user));
  if (it.file?.startsWith('vmm-core/control/jsonRpc/') === true)
    return file.startsWith('vmm-core/control/jsonRpc/') || JSON_RPC_STARTERS.includes(file);
  return isUser || !it.specifier.startsWith('vscode-jsonrpc');
}

function adapterFolderOf(file: string): string | undefined {
  const [, folder] = /^debug-adapter\/(?:([^/]+)\/)?/.exec(file) ?? [];
  return file.startsWith('debug-adapter/') ? (folder ?? '.') : undefined;
}

function adapterFolderAllowed({ file }: SourceFile, it: Import): boolean {
  const [from, to] = [adapterFolderOf(file), adapterFolderOf(it.file ?? '')];
  if (from === undefined || to === undefined || ADAPTER_TOP.includes(file)) return true;
  return ADAPTER_ORDER.indexOf(to) <= ADAPTER_ORDER.indexOf(from);
}

function symbolsRoomAllowed({ file }: SourceFile, it: Import): boolean {
  const [from, to] = [symbolsRoomOf(file), symbolsRoomOf(it.file ?? '')];
  if (from === undefined || to === undefined) return true;
  return SYMBOLS_ORDER.indexOf(to) <= SYMBOLS_ORDER.indexOf(from);
}

function importsOf(file: string): string[] {
  const imports = SOURCES.find((it) => it.file === file)?.imports ?? [];
  return imports.flatMap((it) => it.file ?? []);
}

/** `vmm-core/devices/legacy/uart16550.ts` -> `vmm-core/abi/uart16550.ts` */
function abiTableOf(chip: string): string {
  return `vmm-core/abi/${path.basename(chip)}`;
}

/** Files beside a chip's that it imports, by way of one another too, and that are no chips of their own. */
function partsOf(chip: string): readonly string[] {
  const chips = importsOf(CATALOG_FILE);
  const found: string[] = [];
  const collect = (file: string): void => {
    for (const it of importsOf(file)) {
      if (path.dirname(it) !== path.dirname(chip) || chips.includes(it) || found.includes(it)) continue;
      found.push(it);
      collect(it);
    }
  };
  collect(chip);
  return found;
}

/** By an import, or by the name of its class (`uart16550`, `Uart16550`). */
function namesChip({ imports, identifiers }: SourceFile, chip: string): boolean {
  const { name } = path.parse(chip);
  const className = name.charAt(0).toUpperCase() + name.slice(1);
  return (
    imports.some(({ file }) => file === chip || file === abiTableOf(chip)) ||
    identifiers.has(name) ||
    identifiers.has(className)
  );
}
