/** The data path of a network interface alone, without a guest, a host and exits: netDataPathDevice.ts. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { bundled } from '../scripts/bundle.ts';
import type { Group, Row } from './part.ts';
import { alternateAll, summarize } from './statistics.ts';

const ROUNDS = 3;
const SECONDS = 1;

interface Load {
  readonly direction: 'send' | 'receive';
  readonly bytes: number;
  readonly title: string;
  /** Thousands of frames a second. Of the large ones: 8 GB/s. */
  readonly target: Row['target'];
}

const LOADS: readonly Load[] = [
  { direction: 'send', bytes: 64, title: 'frames of 64 bytes from the guest', target: { atLeast: 1000 } },
  { direction: 'send', bytes: 1514, title: '1514 bytes', target: { atLeast: 800 } },
  { direction: 'send', bytes: 65226, title: 'segments of 64 KiB', target: { atLeast: 123 } },
  { direction: 'receive', bytes: 64, title: 'frames of 64 bytes to the guest', target: { atLeast: 1000 } },
  { direction: 'receive', bytes: 1514, title: '1514 bytes', target: { atLeast: 800 } },
  {
    direction: 'receive',
    bytes: 65226,
    title: 'segments of 64 KiB, into buffers of 1536',
    target: { atLeast: 123 },
  },
];

export const NET_DATA_PATH_GROUP: Group = {
  name: 'net-data-path',
  title: 'a network interface without a guest',
  rows: LOADS.map(({ title, target }) => ({ title, target, unit: 'k/s' })),
  needsKvm: false,
  how:
    'Thousands of frames a second of the device’s own time, on one core: a driver in the same thread offers 256 descriptors again ' +
    'and again, and the link names the memory of each frame to the kernel’s iovecs without a call. The device copies headers only.',
  run: async (node) => {
    const file = bundled('bench/netDataPathDevice.ts');
    const measures = Object.fromEntries(
      LOADS.map(({ direction, bytes }, i) => [
        String(i),
        async () => {
          const { stdout } = await promisify(execFile)(node, [file, direction, `${bytes}`, `${SECONDS}`]);
          return Number(stdout);
        },
      ]),
    );
    const values = await alternateAll(ROUNDS, measures);
    return LOADS.map((_, i) => ({ ours: summarize(values[String(i)] ?? []) }));
  },
};
