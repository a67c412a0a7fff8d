/**
 * Disks of a guest of ours (test/guests/blkLoad.c) beside QEMU's, over MMIO, with the same images. The guest
 * polls, so that what is measured is the disk and not this host's way to deliver an interrupt.
 */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { guest } from '../test/guests/build.ts';
import { cpuSeconds } from './cpuTime.ts';
import { inFolder, writeRawDisk } from './diskFiles.ts';
import { DISK_WORKLOADS, type DiskWorkload } from './diskLoads.ts';
import {
  type CommandLine,
  type DiskLoad,
  qemuWithDisk,
  start,
  trapframe,
  trapframeWithDisk,
  VMM,
} from './machines.ts';
import { overheadMib, settled } from './memory.ts';
import type { Group, Part, Result, Row } from './part.ts';
import { alternate, alternateAll, summarize } from './statistics.ts';

const ROUNDS = 5;
const SLOW_ROUNDS = 3;
const DISK_BYTES = 256 << 20;
const MIB = 1 << 20;
const MB = 1e6;
const IDLE_MS = 5000;

export interface DiskSpeed {
  readonly perSecond: number;
  /** Of the whole VMM, its guest included. */
  readonly cpuMicros: number;
}

/** Speed, and processor time, of each workload. */
export function diskRows(prefix: string): Row[] {
  return DISK_WORKLOADS.flatMap(({ title }) => [
    { title: `${prefix}: ${title}`, unit: '/s', target: { atLeastRatio: 0.9 } },
    { title: 'processor time of each', unit: 'µs', target: { atMostRatio: 1.2 } },
  ]);
}

/** `theirs`: for each of QEMU's ways of disk I/O, the best of which counts. */
export function besideBest(ours: readonly DiskSpeed[], theirs: readonly (readonly DiskSpeed[])[]): Result[] {
  const speed = (runs: readonly DiskSpeed[]) => summarize(runs.map((it) => it.perSecond));
  const cpu = (runs: readonly DiskSpeed[]) => summarize(runs.map((it) => it.cpuMicros));
  const [best = []] = [...theirs].sort((a, b) => speed(b).median - speed(a).median);
  return [
    { ours: speed(ours), theirs: speed(best) },
    { ours: cpu(ours), theirs: cpu(best) },
  ];
}

export const DISK_PARTS: readonly (Part | Group)[] = [
  {
    name: 'diskRaw',
    title: 'a raw disk',
    rows: diskRows('a raw disk'),
    needsKvm: true,
    how:
      'Requests a second of a guest that polls a virtio disk of 256 MiB, whose image is in the page cache, and the processor time of ' +
      "the whole VMM for each. QEMU's is the better of `aio=io_uring` and `aio=threads`.",
    run: (node) => measureDisk(node, 'raw'),
  },
  {
    name: 'diskQcow2',
    title: 'a qcow2 disk',
    rows: diskRows('a qcow2 disk'),
    needsKvm: true,
    how: 'As above; all clusters of the image are allocated.',
    run: (node) => measureDisk(node, 'qcow2'),
  },
  {
    name: 'diskIdle',
    title: 'processor time of a VM whose guest and disk are idle',
    unit: '%',
    target: { atMost: 0.5 },
    needsKvm: true,
    how: 'Of one CPU, in five seconds, after the guest has read from its disk and halted.',
    run: (node) => withDisk('raw', (load) => measureIdle(node, load)),
  },
  {
    name: 'diskMemory',
    title: 'memory that a disk adds to a VM',
    unit: 'MB',
    target: { atMost: 10 },
    needsKvm: true,
    how: 'PSS as above, of a VM whose guest has read from its disk, less that of one that has none. 1 MB is 10⁶ bytes.',
    run: (node) => withDisk('raw', (load) => measureMemory(node, load)),
  },
];

/**
 * Under half a second of each on an idle machine, after so many that do not count: V8 compiles what serves
 * them in the first two thousand, whatever they transfer.
 */
function requestsOf({ bytes, depth }: DiskWorkload): { warm: number; measured: number } {
  if (bytes === MIB) return { warm: 3000, measured: 1000 };
  return depth === 1 ? { warm: 4000, measured: 4000 } : { warm: 8000, measured: 12_000 };
}

/** What the guest does for memory and idleness. */
const SHORT_WORK = 'op=read bytes=4096 depth=32 count=10000 step=random';

async function withDisk<T>(format: string, use: (load: DiskLoad) => Promise<T>): Promise<T> {
  const kernel = await guest('blkLoad');
  return inFolder(async (folder) => {
    const raw = path.join(folder, 'disk.raw');
    const file = path.join(folder, `disk.${format}`);
    writeRawDisk(raw, DISK_BYTES);
    if (format !== 'raw') execFileSync(process.execPath, [VMM, 'convert', raw, file]);
    return use({ kernel, work: SHORT_WORK, file, format });
  });
}

function measureDisk(node: string, format: string): Promise<Result[]> {
  return withDisk(format, async (load) => {
    const results: Result[] = [];
    for (const workload of DISK_WORKLOADS) results.push(...(await measureWorkload(node, load, workload)));
    return results;
  });
}

async function measureWorkload(node: string, disk: DiskLoad, workload: DiskWorkload): Promise<Result[]> {
  const { warm, measured } = requestsOf(workload);
  const { operation, bytes, depth, step } = workload;
  const requests = `op=${operation} bytes=${bytes} depth=${depth} step=${step}`;
  const load = { ...disk, work: `${requests} warm=${warm} count=${warm + measured}` };
  const { ours, uring, threads } = await alternateAll(ROUNDS, {
    ours: () => speedOf(trapframeWithDisk(node, load), measured),
    uring: () => speedOf(qemuWithDisk('io_uring', load), measured),
    threads: () => speedOf(qemuWithDisk('threads', load), measured),
  });
  return besideBest(ours, [uring, threads]);
}

async function speedOf(commandLine: CommandLine, requests: number): Promise<DiskSpeed> {
  const vm = start(commandLine);
  try {
    const startedMs = await vm.sawByte('S');
    const before = cpuSeconds(vm.process.pid);
    const ms = (await vm.sawByte('D')) - startedMs;
    const cpu = cpuSeconds(vm.process.pid) - before;
    return { perSecond: (requests / ms) * 1000, cpuMicros: (cpu / requests) * 1e6 };
  } finally {
    await vm.kill();
  }
}

function measureIdle(node: string, load: DiskLoad): Promise<Result> {
  return alternate(SLOW_ROUNDS, {
    ours: () => idlePercent(trapframeWithDisk(node, load)),
    theirs: () => idlePercent(qemuWithDisk('io_uring', load)),
  });
}

async function idlePercent(commandLine: CommandLine): Promise<number> {
  const vm = start(commandLine);
  try {
    await vm.sawByte('D');
    await settled();
    const before = cpuSeconds(vm.process.pid);
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    return ((cpuSeconds(vm.process.pid) - before) / (IDLE_MS / 1000)) * 100;
  } finally {
    await vm.kill();
  }
}

async function measureMemory(node: string, load: DiskLoad): Promise<Result> {
  const without = trapframe(node, await guest('spin'));
  const addedMb = async (): Promise<number> =>
    (((await overheadMib(trapframeWithDisk(node, load))) - (await overheadMib(without))) * MIB) / MB;
  return alternate(SLOW_ROUNDS, { ours: addedMb });
}
