/**
 * The symbol engine compared with gdb, on a distribution's vmlinux. The page cache is warm for both: the
 * first round does not count.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bundled } from '../scripts/bundle.ts';
import { fetchPackage } from '../scripts/debian.ts';
import { Dialog } from './dialog.ts';
import type { CommandLine } from './machines.ts';
import type { Part, Result } from './part.ts';
import { alternate } from './statistics.ts';
import { randomTextAddresses } from './textAddresses.ts';

const SYMBOLS = path.join(import.meta.dirname, '../dist/symbols.js');
const PACKAGE = 'linux-image-6.1.0-*-cloud-amd64-dbg';
const GDB = ['-nx', '-q', '-batch', '-ex', 'set debuginfod enabled off'];

const ROUNDS = 5;
/** gdb takes 20 seconds each. */
const SLOW_ROUNDS = 3;

const START_KERNEL = ['start_kernel'];
const LINE_AND_TYPE = ['fs/read_write.c:450', 'type struct task_struct'];
/** It is in none of the units that are searched without an index. */
const FAR_TYPE = ['type struct kvm_vcpu'];

export const SYMBOL_PARTS: readonly Part[] = [
  {
    name: 'symbolsCold',
    title: '`start_kernel` of a 588 MB vmlinux to file and line, nothing cached',
    unit: 'ms',
    target: { atMostRatio: 1 },
    needsKvm: false,
    how: '`vmm sym vmlinux start_kernel` beside `gdb -batch -ex "break start_kernel"`, from process start to end.',
    run: (node) => besideGdb(node, START_KERNEL, ['break start_kernel'], ROUNDS),
  },
  {
    name: 'symbolsCached',
    title: 'the same, its index cached',
    unit: 'ms',
    target: { atMostRatio: 0.2 },
    needsKvm: false,
    how: 'As above, after the index of that vmlinux was made. (The question does not need it.)',
    run: (node) =>
      withIndex(node, (cache) => besideGdb(node, START_KERNEL, ['break start_kernel'], ROUNDS, cache)),
  },
  {
    name: 'symbolsLineAndType',
    title: '`fs/read_write.c:450` and `type struct task_struct`, nothing cached',
    unit: 'ms',
    target: { atMostRatio: 0.1 },
    needsKvm: false,
    how: 'Both in one process, beside `info line vfs_read` and `ptype struct task_struct` in one gdb.',
    run: (node) =>
      besideGdb(node, LINE_AND_TYPE, ['info line vfs_read', 'ptype struct task_struct'], SLOW_ROUNDS),
  },
  {
    name: 'symbolsIndex',
    title: 'a type that needs the index, which has to be made',
    unit: 'ms',
    target: {},
    needsKvm: false,
    how: '`type struct kvm_vcpu` beside `ptype struct kvm_vcpu`.',
    run: (node) => besideGdb(node, FAR_TYPE, ['ptype struct kvm_vcpu'], SLOW_ROUNDS),
  },
  {
    name: 'symbolsIndexCached',
    title: 'the same, the index cached',
    unit: 'ms',
    target: {},
    needsKvm: false,
    how: 'As above, after the index was made.',
    run: (node) =>
      withIndex(node, (cache) => besideGdb(node, FAR_TYPE, ['ptype struct kvm_vcpu'], SLOW_ROUNDS, cache)),
  },
  {
    name: 'symbolsMemory',
    title: 'peak memory of the first three questions',
    unit: 'MiB',
    target: { atMostRatio: 0.75 },
    needsKvm: false,
    how: 'VmHWM of the whole process after all of them, beside that of gdb after `break start_kernel` alone.',
    run: (node) => peakBesideGdb(node, (queries) => [...queries, ...START_KERNEL, ...LINE_AND_TYPE]),
  },
  {
    name: 'symbolsMemoryOfAddresses',
    title: 'peak memory after 3000 addresses all over the kernel',
    unit: 'MiB',
    target: { atMostRatio: 0.75 },
    needsKvm: false,
    how: 'As above, after function, inline chain and line of 3000 random addresses of .text.',
    run: (node) =>
      peakBesideGdb(node, (queries, vmlinux) => [
        ...queries,
        ...randomTextAddresses(vmlinux).map((it) => `0x${it.toString(16)}`),
      ]),
  },
  {
    name: 'symbolsLookups',
    title: 'addresses explained per second, once warm',
    unit: '/s',
    target: { atLeast: 100_000 },
    needsKvm: false,
    how: 'Function, inline chain and line of the same 3000 addresses, again and again (bench/addressLookups.ts, bundled as the product is).',
    run: async (node) => alternate(ROUNDS, { ours: () => lookupsPerSecond(node) }),
  },
];

async function besideGdb(
  node: string,
  queries: readonly string[],
  commands: readonly string[],
  rounds: number,
  cache?: string,
): Promise<Result> {
  const vmlinux = await fetchVmlinux();
  const gdb = { command: 'gdb', args: [...GDB, ...commands.flatMap((it) => ['-ex', it]), vmlinux] };
  return alternate(rounds, {
    ours: () =>
      cache === undefined
        ? inDirectory((empty) => durationMs(vmmSym(node, vmlinux, queries), empty))
        : durationMs(vmmSym(node, vmlinux, queries), cache),
    theirs: () => durationMs(gdb),
  });
}

function withIndex<T>(node: string, measure: (cache: string) => Promise<T>): Promise<T> {
  return inDirectory(async (cache) => {
    await durationMs(vmmSym(node, await fetchVmlinux(), FAR_TYPE), cache);
    if (readdirSync(path.join(cache, 'trapframe/symbols')).length !== 1) throw new Error('no index was kept');
    return measure(cache);
  });
}

async function peakBesideGdb(
  node: string,
  queriesOf: (none: readonly string[], vmlinux: string) => readonly string[],
): Promise<Result> {
  const vmlinux = await fetchVmlinux();
  const queries = queriesOf([], vmlinux);
  return alternate(SLOW_ROUNDS, {
    ours: () => inDirectory((cache) => ourPeakMib(node, vmlinux, queries, cache)),
    theirs: () => gdbPeakMib(vmlinux),
  });
}

/** One line of JSON answers each query. */
async function ourPeakMib(
  node: string,
  vmlinux: string,
  queries: readonly string[],
  cache: string,
): Promise<number> {
  const dialog = new Dialog(vmmSym(node, vmlinux, ['--json']), environment(cache));
  try {
    await dialog.ask(
      queries.map((it) => `${it}\n`).join(''),
      (output) => output.split('\n').length > queries.length,
    );
    return dialog.peakMib;
  } finally {
    await dialog.end();
  }
}

async function gdbPeakMib(vmlinux: string): Promise<number> {
  const dialog = new Dialog({ command: 'gdb', args: ['-nx', '-q', vmlinux] }, environment());
  try {
    await dialog.ask('break start_kernel\n', (output) => output.includes('Breakpoint 1 at'));
    return dialog.peakMib;
  } finally {
    await dialog.end();
  }
}

async function lookupsPerSecond(node: string): Promise<number> {
  const program = bundled('bench/addressLookups.ts');
  const child = spawn(node, [program, await fetchVmlinux()], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  return Number(output);
}

function vmmSym(node: string, vmlinux: string, rest: readonly string[]): CommandLine {
  return { command: node, args: [SYMBOLS, vmlinux, ...rest] };
}

async function fetchVmlinux(): Promise<string> {
  const root = await fetchPackage(PACKAGE);
  const boot = path.join(root, 'usr/lib/debug/boot');
  const name = readdirSync(boot).find((it) => it.startsWith('vmlinux-'));
  if (name === undefined) throw new Error(`${PACKAGE} has no vmlinux`);
  return path.join(boot, name);
}

/** From before the process is started until it has ended. */
async function durationMs({ command, args }: CommandLine, cache?: string): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], env: environment(cache) });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`);
  return performance.now() - startedMs;
}

function environment(cache?: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NODE_EXTRA_CA_CERTS: undefined,
    ...(cache !== undefined && { XDG_CACHE_HOME: cache }),
  };
}

async function inDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(path.join(tmpdir(), 'tf-bench-'));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
