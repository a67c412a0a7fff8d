/**
 * TCP of the user network alone, without a guest and its exits: a thread that plays the guest's driver and
 * its TCP (userTcpGuest.ts), over the kernel's loopback to a process that takes or gives all (tcpPeer.c).
 * Figures are for each second of the one thread's processor time, with the played guest's share in it.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { bundled, ROOT } from '../scripts/bundle.ts';
import type { Part } from './part.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 5;
const ROUND_MS = 1000;

interface Load {
  readonly load: string;
  /** Of tcpPeer.c. */
  readonly peer: 'sink' | 'source' | 'echo';
  readonly title: string;
  readonly unit: string;
  /** Of what the guest has counted: bytes, connections. */
  readonly scale: number;
  readonly atLeast: number;
}

const GIGABITS = { unit: 'Gb/s', scale: 8e-9 };
const LOADS: readonly Load[] = [
  { load: 'upload-64k', peer: 'sink', title: 'guest to host, TSO', ...GIGABITS, atLeast: 10 },
  { load: 'upload-1460', peer: 'sink', title: 'guest to host, 1460 B', ...GIGABITS, atLeast: 1.5 },
  { load: 'download-64k', peer: 'source', title: 'host to guest, TSO', ...GIGABITS, atLeast: 10 },
  { load: 'download-1460', peer: 'source', title: 'host to guest, 1460 B', ...GIGABITS, atLeast: 1.5 },
  { load: 'connections', peer: 'echo', title: 'short connections', unit: 'k/s', scale: 1e-3, atLeast: 10 },
];

export const USER_TCP_PARTS: readonly Part[] = LOADS.map((it) => ({
  name: `userTcp-${it.load}`,
  title: `TCP of the user network without a guest, per core: ${it.title}`,
  unit: it.unit,
  target: { atLeast: it.atLeast },
  needsKvm: false,
  how:
    "A thread that plays the guest's driver and TCP calls the user network with frames in its memory; the peer is a process in C " +
    'over loopback. Divided by the processor time of the thread, the played guest included.',
  run: (node) => run(node, it),
}));

async function run(node: string, { load, peer, scale }: Load): ReturnType<Part['run']> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-bench-'));
  try {
    const program = path.join(folder, 'tcpPeer');
    execFileSync('gcc', ['-O2', '-o', program, path.join(ROOT, 'bench/tcpPeer.c')]);
    return await alternate(ROUNDS, {
      ours: async () => scale * (await measure(node, program, load, peer)),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** For each second of processor time. */
async function measure(node: string, program: string, load: string, mode: string): Promise<number> {
  const peer = spawn(program, [mode], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [port] = (await once(createInterface(peer.stdout), 'line')) as [string];
    const guest = [bundled('bench/userTcpGuest.ts'), load, port, String(ROUND_MS)];
    const { stdout } = await promisify(execFile)(node, guest);
    const { count, seconds } = JSON.parse(stdout) as { count: number; seconds: number };
    return count / seconds;
  } finally {
    peer.kill();
  }
}
