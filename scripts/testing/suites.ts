/**
 * The suites of `npm test`, and which of them may run side by side. Those that only wait or compute share the
 * machine, the longest first; those that measure, or stop a guest by the clock, run one by one when all else
 * is over and everything is downloaded. Every `*.test.ts` belongs to exactly one (test/architecture.test.ts).
 */
import { constants, accessSync, existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { codeServerUnavailable } from '../codeServer.ts';
import { fetchKernelDebug, fetchLabPackages, fetchVsCode } from './downloads.ts';

export interface Suite {
  readonly name: string;
  readonly what: string;
  /** Of paths relative to the repository. */
  readonly includes: (file: string) => boolean;
  /** For files whose tests leave nothing behind in their process; otherwise each has its own. */
  readonly filesPerProcess?: number;
  /** Processes at once. */
  readonly concurrency: number;
  /**
   * How many processors it keeps busy (the reports say: cpu seconds by seconds); `alone`: nothing may disturb
   * what it measures.
   */
  readonly load: number | 'alone';
  /** These limits are for what hangs: on a busy machine everything takes several times longer. */
  readonly fileTimeoutMs: number;
  readonly timeoutMs: number;
  /** Uses dist/: skipped with an error when the build failed. */
  readonly needsBuild: boolean;
  /** Commands it needs, and the Debian packages that have them. */
  readonly commands: Readonly<Record<string, string>>;
  /** Commands that some of its tests use; those skip without them. */
  readonly optionalCommands?: Readonly<Record<string, string>>;
  /**
   * Gets what its tests would otherwise wait for, from the start of the run. A failure here is reported by
   * the tests that need it.
   */
  readonly prepare?: () => Promise<unknown>;
  /** A sentence when this machine cannot run it. */
  readonly unavailable?: () => string | undefined;
}

const MINUTE_MS = 60_000;
const COMPILER = { gcc: 'gcc', make: 'make', ld: 'binutils' };

const UNIT_FOLDERS = [
  ...['vmm-core/', 'debug-adapter/', 'extension/', 'scripts/', 'bench/'],
  ...['test/support/', 'test/fuzz/', 'test/soak/'],
];

/** What suites in VS Code have in common. */
const VS_CODE = {
  concurrency: 1,
  load: 0.5,
  fileTimeoutMs: 15 * MINUTE_MS,
  timeoutMs: 20 * MINUTE_MS,
  needsBuild: true,
  commands: {},
  prepare: fetchVsCode,
} as const;

export const SUITES: readonly Suite[] = [
  {
    name: 'lab',
    what: 'stock kernels under full hardware semantics, inside QEMU',
    includes: isBootingLabTest,
    concurrency: 1,
    load: 1,
    fileTimeoutMs: 40 * MINUTE_MS,
    timeoutMs: 42 * MINUTE_MS,
    needsBuild: true,
    commands: {},
    prepare: fetchLabPackages,
  },
  {
    name: 'extension',
    what: 'VS Code in a browser, from the gutter to the serial terminal',
    includes: (file) => file.startsWith('test/extension/') && !isGuestlessTest(file),
    ...VS_CODE,
    unavailable: () => codeServerUnavailable() ?? kvmUnavailable(),
  },
  {
    name: 'editor',
    what: 'editors where no guest runs: neovim, and VS Code beside a VM that the test plays',
    includes: isGuestlessTest,
    ...VS_CODE,
    optionalCommands: { nvim: 'neovim' },
    unavailable: codeServerUnavailable,
  },
  {
    name: 'symbols',
    what: "the symbol engine on programs of this machine's compiler",
    includes: (file) => file.startsWith('test/symbols/') && !isKernelSymbolsTest(file),
    concurrency: 1,
    load: 1,
    fileTimeoutMs: 6 * MINUTE_MS,
    timeoutMs: 15 * MINUTE_MS,
    needsBuild: true,
    commands: COMPILER,
    optionalCommands: {
      gdb: 'gdb',
      'g++': 'g++',
      'clang-14': 'clang-14',
      'ld.lld-14': 'lld-14',
      'llvm-dwp-14': 'llvm-14',
      dwz: 'dwz',
      rustc: 'rustc',
      gfortran: 'gfortran',
      gnatmake: 'gnat',
    },
  },
  {
    name: 'vmlinux',
    what: "the symbol engine on Debian's kernel and its modules, beside gdb and binutils",
    includes: isKernelSymbolsTest,
    concurrency: 1,
    load: 1,
    fileTimeoutMs: 10 * MINUTE_MS,
    timeoutMs: 15 * MINUTE_MS,
    needsBuild: false,
    commands: { readelf: 'binutils' },
    optionalCommands: { gdb: 'gdb' },
    prepare: fetchKernelDebug,
  },
  {
    name: 'unit',
    what: 'tests beside the sources, and the import rules',
    includes: (file) =>
      (UNIT_FOLDERS.some((it) => file.startsWith(it)) && !isFuzzTest(file)) ||
      isHostSideLabTest(file) ||
      isTopLevelTest(file),
    filesPerProcess: 15,
    concurrency: 2,
    load: 1.5, // beside the lab, which is the longest
    fileTimeoutMs: 8 * MINUTE_MS,
    timeoutMs: 10 * MINUTE_MS,
    needsBuild: false,
    commands: {},
    optionalCommands: {
      'qemu-img': 'qemu-utils',
      iasl: 'acpica-tools',
      cpio: 'cpio',
      tshark: 'tshark',
    },
  },
  {
    name: 'fuzz',
    what: 'hostile input: the same every time, then with other seeds each time',
    includes: isFuzzTest,
    concurrency: 1,
    load: 1,
    fileTimeoutMs: 6 * MINUTE_MS,
    timeoutMs: 12 * MINUTE_MS,
    needsBuild: false,
    commands: {},
  },
  {
    name: 'package',
    what: 'the VSIX builds, holds what it must and runs',
    includes: inFolder('test/package/'),
    concurrency: 1,
    load: 1,
    fileTimeoutMs: 5 * MINUTE_MS,
    timeoutMs: 8 * MINUTE_MS,
    needsBuild: true,
    commands: {},
    optionalCommands: { mandoc: 'mandoc' },
  },
  {
    name: 'samples',
    what: 'sample and test guests rebuild to what is checked in',
    includes: (file) => ['samples/', 'test/samples/', 'test/guests/'].some((it) => file.startsWith(it)),
    concurrency: 1,
    load: 1,
    fileTimeoutMs: 5 * MINUTE_MS,
    timeoutMs: 8 * MINUTE_MS,
    needsBuild: false,
    commands: COMPILER,
  },
  {
    name: 'images',
    what: "disk images beside QEMU's own tools, and what a crash leaves of them",
    includes: inFolder('test/images/'),
    concurrency: 1,
    load: 1,
    fileTimeoutMs: 5 * MINUTE_MS,
    timeoutMs: 10 * MINUTE_MS,
    needsBuild: false,
    commands: { 'qemu-img': 'qemu-utils', 'qemu-io': 'qemu-utils' },
  },
  {
    name: 'abi',
    what: "structs and numbers against the kernel's own headers",
    includes: inFolder('test/abi/'),
    concurrency: 1,
    load: 1,
    fileTimeoutMs: 3 * MINUTE_MS,
    timeoutMs: 5 * MINUTE_MS,
    needsBuild: false,
    commands: COMPILER,
  },
  {
    name: 'kvm',
    what: "guests on this machine's /dev/kvm",
    includes: inFolder('test/kvm/'),
    concurrency: 1,
    load: 'alone',
    fileTimeoutMs: 6 * MINUTE_MS,
    timeoutMs: 15 * MINUTE_MS,
    needsBuild: true,
    commands: COMPILER,
    unavailable: kvmUnavailable,
  },
  {
    name: 'dap',
    what: 'the debug adapter against a VMM that needs no KVM',
    includes: inFolder('test/dap/'),
    concurrency: 1,
    load: 0.5,
    fileTimeoutMs: 6 * MINUTE_MS,
    timeoutMs: 12 * MINUTE_MS,
    needsBuild: true,
    commands: {},
  },
];

const NO_SOURCES = new Set([
  'node_modules',
  'dist',
  'build',
  '.tsbuild',
  '.git',
  'test-artifacts',
  '.vscode-test',
]);

/** Every test file of the repository, relative to `root`, sorted. */
export async function testFiles(root: string, folder = ''): Promise<string[]> {
  const entries = await readdir(path.join(root, folder), { withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const relative = path.posix.join(folder, entry.name);
      if (entry.isDirectory()) return NO_SOURCES.has(entry.name) ? [] : testFiles(root, relative);
      return entry.isFile() && entry.name.endsWith('.test.ts') ? [relative] : [];
    }),
  );
  return found.flat().sort();
}

function inFolder(folder: string): (file: string) => boolean {
  return (file) => file.startsWith(folder);
}

/** They need a 280 MB package, which is kept. */
function isKernelSymbolsTest(file: string): boolean {
  return file.startsWith('test/symbols/kernel/');
}

/** Beside the source they have fixed seeds; test/fuzz/fuzzers.test.ts tries others. */
function isFuzzTest(file: string): boolean {
  return /(?:^|\.)fuzz\.test\.ts$/.test(path.posix.basename(file)) || file === 'test/fuzz/fuzzers.test.ts';
}

function isTopLevelTest(file: string): boolean {
  return path.posix.dirname(file) === 'test';
}

/** They boot QEMU; how the lab's image is made and its reports are read is tested without it. */
function isBootingLabTest(file: string): boolean {
  return ['test/lab/lab.test.ts', 'test/lab/payloads.test.ts'].includes(file);
}

function isHostSideLabTest(file: string): boolean {
  return file.startsWith('test/lab/') && !isBootingLabTest(file);
}

/** Of test/extension those that need no KVM. */
function isGuestlessTest(file: string): boolean {
  return /^test\/extension\/(?:neovim|runningVm)\.test\.ts$/.test(file);
}

export function kvmUnavailable(): string | undefined {
  if (!existsSync('/dev/kvm')) return 'there is no /dev/kvm on this machine';
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return 'this user may not open /dev/kvm (add yourself to its group: sudo usermod -aG kvm $USER, then log in again)';
  }
}
