/** Frames from one process to another, by a switch and by a socket: switchPathMember.ts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { bundled } from '../scripts/bundle.ts';
import type { Group } from './part.ts';
import { alternateAll, summarize } from './statistics.ts';

const ROUNDS = 3;
const SECONDS = 1;
const LOADS = [
  { bytes: 64, title: 'frames of 64 bytes from one member of a switch to another' },
  { bytes: 1514, title: '1514 bytes' },
  { bytes: 65226, title: 'segments of 64 KiB' },
] as const;

type Way = 'switch' | 'socket';

export const SWITCH_PATH_GROUP: Group = {
  name: 'switch-path',
  title: 'a switch without guests',
  rows: LOADS.map(({ title }) => ({ title, target: { atLeastRatio: 1.5 }, unit: 'k/s' })),
  needsKvm: false,
  how:
    'Thousands of frames a second between two processes that do nothing else, by the memory that two members of a switch share, ' +
    'beside the same frames by a unix socket (SOCK_SEQPACKET), which copies twice and has two system calls a frame.',
  run: async (node) => {
    const file = bundled('bench/switchPathMember.ts');
    const measures = Object.fromEntries(
      LOADS.flatMap(({ bytes }, i) =>
        (['switch', 'socket'] as const).map((way) => [
          `${way}${i}`,
          () => framesPerMs(node, file, way, bytes),
        ]),
      ),
    );
    const values = await alternateAll(ROUNDS, measures);
    return LOADS.map((_, i) => ({
      ours: summarize(values[`switch${i}`] ?? []),
      theirs: summarize(values[`socket${i}`] ?? []),
    }));
  },
};

async function framesPerMs(node: string, file: string, way: Way, bytes: number): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-bench-'));
  const start = (role: string) =>
    spawn(node, [file, role, way, folder, `${bytes}`, `${SECONDS}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  const receiver = start('receive');
  const lines = createInterface(receiver.stdout);
  try {
    await once(lines, 'line');
    const sender = start('send');
    try {
      const [result] = (await once(lines, 'line')) as [string];
      return Number(result);
    } finally {
      sender.kill('SIGKILL');
    }
  } finally {
    receiver.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}
