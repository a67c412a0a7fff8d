/**
 * Builds the test guests on demand with the host's gcc, into build/guests. Each guest is one .S or .c that
 * says at its head what it proves. Used by the KVM tests and the bench; by hand: `node --import tsx
 * test/guests/build.ts [NAME…]`.
 */
import { execFile } from 'node:child_process';
import { mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** How a guest is linked, which decides how it is booted. */
export type GuestKind = 'multiboot' | 'elf64' | 'bootSector' | 'low' | 'plain';

/**
 * Every guest; its source says what it prints on COM1. Those that end by themselves do so by isa-debug-exit.
 */
export const GUESTS = {
  longOutput: { kind: 'multiboot' },
  portWrites: { kind: 'multiboot' },
  firstByte: { kind: 'multiboot' },
  tripleFault: { kind: 'multiboot' },
  wildJump: { kind: 'multiboot' },
  int3Self: { kind: 'multiboot' },
  spin: { kind: 'multiboot' },
  unknownOpcode: { kind: 'multiboot' },
  counter: { kind: 'multiboot' },
  serialEcho: { kind: 'multiboot' },
  resetCf9: { kind: 'multiboot' },
  resetI8042: { kind: 'multiboot' },
  resetState: { kind: 'multiboot' },
  powerOff: { kind: 'multiboot' },
  smp: { kind: 'multiboot' },
  pciBar: { kind: 'multiboot' },
  pvh: { kind: 'elf64' },
  linux64: { kind: 'elf64' },
  fault: { kind: 'elf64' },
  realMode16: { kind: 'bootSector' },
  biosData: { kind: 'multiboot' },
  bootGdt: { kind: 'multiboot' },
  earlyPush: { kind: 'multiboot' },
  intGate: { kind: 'multiboot' },
  fwCfg: { kind: 'multiboot' },
  elcr: { kind: 'multiboot' },
  mpTable: { kind: 'multiboot' },
  module: { kind: 'multiboot' },
  linkedLow: { kind: 'low' },
  plainLink: { kind: 'plain' },
  blkLoad: { kind: 'multiboot', language: 'c' },
} as const satisfies Record<string, { readonly kind: GuestKind; readonly language?: 'c' }>;

export type GuestName = keyof typeof GUESTS;

/**
 * A guest's exit value for success and for a failed check of its own; the VMM's exit code is (value << 1) |
 * 1.
 */
export const EXIT_OK = 0x10;
export const EXIT_FAILED = 0x20;

const SOURCE_FOLDER = fileURLToPath(new URL('.', import.meta.url));
const OUTPUT_FOLDER = fileURLToPath(new URL('../../build/guests/', import.meta.url));

const COMMON_OPTIONS = ['-g', '-nostdlib', '-static', '-no-pie', '-Wl,-z,noexecstack'];
const SCRIPTED_OPTIONS = ['-Wl,--build-id=none', '-Wl,-z,max-page-size=4096'];
/** No library, and no registers that a guest would have to set up first. */
const C_OPTIONS = ['-O2', '-ffreestanding', '-fno-stack-protector', '-fno-pic', '-mgeneral-regs-only'];
const KIND_OPTIONS: Readonly<Record<GuestKind, readonly string[]>> = {
  multiboot: ['-m32', ...SCRIPTED_OPTIONS],
  elf64: ['-m64', ...SCRIPTED_OPTIONS],
  bootSector: ['-m32', '-Wl,--build-id=none', '-Wl,--oformat=binary'],
  // Without a script, as people link their first kernel.
  low: ['-m32', '-Wl,--build-id=none', '-Wl,-N', '-Wl,-Ttext=0x8000'],
  plain: ['-m32', '-Wl,--build-id', '-Wl,-Ttext=0x100000'],
};
/** The linker script of a kind, if it has one. */
const SCRIPTS: Partial<Record<GuestKind, string>> = {
  multiboot: 'multiboot.ld',
  elf64: 'elf64.ld',
  bootSector: 'bootSector.ld',
};

const builds = new Map<GuestName, Promise<string>>();

/**
 * The path of the built guest. Builds it unless it is newer than all its sources; several processes may do
 * so at once.
 */
export function guest(name: GuestName): Promise<string> {
  let build = builds.get(name);
  if (build === undefined) {
    build = buildGuest(name);
    builds.set(name, build);
  }
  return build;
}

async function buildGuest(name: GuestName): Promise<string> {
  const { kind, language }: { kind: GuestKind; language?: 'c' } = GUESTS[name];
  const output = join(OUTPUT_FOLDER, `${name}.${kind === 'bootSector' ? 'bin' : 'elf'}`);
  const script = SCRIPTS[kind];
  const files = [
    `${name}.${language ?? 'S'}`,
    'guest.h',
    'build.ts',
    ...(script === undefined ? [] : [script]),
  ];
  const sources = files.map((file) => join(SOURCE_FOLDER, file));
  if (await isNewerThan(output, sources)) return output;
  await mkdir(OUTPUT_FOLDER, { recursive: true });
  // Under a temporary name until it is complete: another test process may be running this guest.
  const unfinished = `${output}.${process.pid}`;
  const [source = ''] = sources;
  const scriptOptions = script === undefined ? [] : [`-Wl,-T,${join(SOURCE_FOLDER, script)}`];
  const languageOptions = language === 'c' ? C_OPTIONS : [];
  const options = [...COMMON_OPTIONS, ...languageOptions, ...KIND_OPTIONS[kind], ...scriptOptions];
  await run('gcc', [...options, '-o', unfinished, source]);
  await rename(unfinished, output);
  return output;
}

async function isNewerThan(output: string, sources: readonly string[]): Promise<boolean> {
  const built = await stat(output).catch(() => undefined);
  if (built === undefined) return false;
  const times = await Promise.all(sources.map(async (source) => (await stat(source)).mtimeMs));
  return times.every((time) => time < built.mtimeMs);
}

const execFileAsync = promisify(execFile);

async function run(program: string, args: readonly string[]): Promise<void> {
  try {
    await execFileAsync(program, args);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Error(`${program} is not installed: test guests are built with it`, { cause: error });
    }
    throw error;
  }
}

/** Builds the named guests, or all, and prints their paths. */
async function main(wanted: readonly string[]): Promise<void> {
  for (const name of Object.keys(GUESTS) as GuestName[]) {
    if (wanted.length === 0 || wanted.includes(name)) process.stdout.write(`${await guest(name)}\n`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  });
}
