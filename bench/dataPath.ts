/**
 * The data path of a disk alone, without a guest and its exits: the same driver, a process that plays the
 * guest's side of a virtqueue (dataPath.c), with our device (dataPathDevice.ts) and with one in C.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bundled } from '../scripts/bundle.ts';
import { closeFd, createEventFd, setBlocking } from '../vmm-core/kvm/libc.ts';
import { writeRawDisk } from './diskFiles.ts';
import type { Part } from './part.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 5;
const SECONDS = 1;
const MIB = 1 << 20;
const MEMORY_BYTES = 64 * MIB;
const DISK_BYTES = 256 * MIB;
/** Of a child; 0 to 2 are the standard ones. */
const KICK_FD = 3;
const CALL_FD = 4;

interface Load {
  readonly requests: number;
  readonly bytes: number;
  readonly operation: 'read' | 'write';
}

type Device = 'ours' | 'theirs';

const LOADS: readonly (Load & { readonly title: string; readonly atLeastRatio: number })[] = [
  {
    title: '4 KiB random reads, 1 at a time',
    requests: 1,
    bytes: 4096,
    operation: 'read',
    atLeastRatio: 0.6,
  },
  {
    title: '4 KiB random reads, 32 at a time',
    requests: 32,
    bytes: 4096,
    operation: 'read',
    atLeastRatio: 0.72,
  },
  {
    title: '4 KiB random writes, 1 at a time',
    requests: 1,
    bytes: 4096,
    operation: 'write',
    atLeastRatio: 0.6,
  },
  {
    title: '4 KiB random writes, 32 at a time',
    requests: 32,
    bytes: 4096,
    operation: 'write',
    atLeastRatio: 0.72,
  },
  { title: '1 MiB reads, 4 at a time', requests: 4, bytes: MIB, operation: 'read', atLeastRatio: 0.88 },
  { title: '1 MiB writes, 4 at a time', requests: 4, bytes: MIB, operation: 'write', atLeastRatio: 0.88 },
];

export const DATA_PATH_PARTS: readonly Part[] = LOADS.map(({ title, atLeastRatio, ...load }) => ({
  name: `dataPath-${load.operation}-${load.bytes / 1024}k-${load.requests}`,
  title: `a disk without a guest, beside C: ${title}`,
  unit: 'k/s',
  target: { atLeastRatio },
  needsKvm: false,
  how:
    'Thousands of requests a second of a process that plays the driver, over a virtqueue with indirect descriptors and event ' +
    'indices, two eventfds and a raw image in the page cache. Beside it a device that does the same in C with io_uring.',
  run: (node) => run(node, load),
}));

async function run(node: string, load: Load): ReturnType<Part['run']> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-bench-'));
  try {
    const place = prepare(folder);
    return await alternate(ROUNDS, {
      ours: () => measure(node, 'ours', place, load),
      theirs: () => measure(node, 'theirs', place, load),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Place {
  readonly program: string;
  readonly memory: string;
  readonly disk: string;
}

function prepare(folder: string): Place {
  const program = path.join(folder, 'dataPath');
  const source = path.join(import.meta.dirname, 'dataPath.c');
  execFileSync('gcc', ['-O2', '-fno-strict-aliasing', '-o', program, source]);
  const disk = path.join(folder, 'disk.raw');
  writeRawDisk(disk, DISK_BYTES);
  return { program, disk, memory: path.join(folder, 'memory') };
}

/** Thousands of requests per second. */
async function measure(node: string, device: Device, place: Place, load: Load): Promise<number> {
  const { program, memory, disk } = place;
  closeSync(openSync(memory, 'w')); // the rings are zero again
  truncateSync(memory, MEMORY_BYTES);
  const [kickFd, callFd] = [createEventFd(), createEventFd()];
  setBlocking(callFd);
  const start = (command: string, args: readonly (string | number)[]): ChildProcess =>
    spawn(command, args.map(String), { stdio: ['ignore', 'pipe', 'inherit', kickFd, callFd] });
  const fds = [KICK_FD, CALL_FD];
  const served =
    device === 'ours'
      ? start(node, [bundled('bench/dataPathDevice.ts'), memory, ...fds, disk])
      : start(program, ['device', memory, ...fds, disk]);
  try {
    const { requests, bytes, operation } = load;
    const driver = start(program, [
      ...['driver', memory, ...fds, requests, bytes, operation, SECONDS, DISK_BYTES],
    ]);
    let printed = '';
    driver.stdout?.on('data', (text: Buffer) => (printed += text.toString()));
    const [code] = (await once(driver, 'close')) as [number];
    if (code !== 0) throw new Error(`the driver of the data path ended with exit code ${code}`);
    return Number(printed) / 1000;
  } finally {
    served.kill('SIGKILL');
    await once(served, 'close');
    closeFd(kickFd);
    closeFd(callFd);
  }
}
