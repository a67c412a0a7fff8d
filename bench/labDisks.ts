/**
 * Disks of a stock Linux guest beside QEMU's, in the lab (test/lab/disks.bench.ts, which prints its
 * measurements as diagnostics).
 */
import path from 'node:path';
import type { LabMessage } from '../test/lab/inside/labProtocol.ts';
import { prepareLab, runLab } from '../test/lab/lab.ts';
import { L1LostError } from '../test/lab/secondChance.ts';
import { DISK_WORKLOADS } from './diskLoads.ts';
import { besideBest, diskRows, type DiskSpeed } from './disks.ts';
import type { Group, Result } from './part.ts';
import { summarize } from './statistics.ts';

const FILE = path.join(import.meta.dirname, '../test/lab/disks.bench.ts');
const FILE_TIMEOUT_MS = 20 * 60_000;
const ENVIRONMENT = { BENCH_ROUNDS: '2', BENCH_SECONDS: '1' };
/** The emulator kills some L1 that are busy for long. */
const LAB_TRIES = 3;
const FORMATS = ['raw', 'qcow2'] as const;
const PEERS = ['qemu-uring', 'qemu-threads'] as const;

export const LAB_GROUP: Group = {
  name: 'labDisks',
  title: 'disks of Linux in the lab',
  rows: [
    {
      title: 'boot of Debian’s kernel from its disk to a shell, in the lab',
      unit: 'ms',
      target: { atMostRatio: 1.1 },
    },
    ...FORMATS.flatMap((format) => diskRows(`Linux in the lab, a ${format} disk`)),
  ],
  needsKvm: false,
  how:
    'In a Linux with AMD-V that QEMU emulates (test/lab/README.md): a stock Debian kernel from its start to a shell on its ext4 root, ' +
    'and fio in it, on a disk of 128 MiB in the page cache; the guests of both VMMs run beside each other and take turns, and the order ' +
    'changes with each round. Ours has its disks on PCI, QEMU’s microvm on MMIO. An exit costs 75 µs there, on both sides.',
  run: async () => (await prepareLab()) ?? measureInOneOf(LAB_TRIES),
};

/** What a diagnostic says behind `row `. */
interface LabRow {
  readonly side: string;
  readonly format: string;
  readonly workload: string;
  readonly bootMs?: number;
  readonly iops?: number;
  readonly cpuMicrosPerRequest?: number;
}

/** Of one L1, from its start to its end, or why there was none. */
async function measureInOneOf(tries: number): Promise<Result[] | string> {
  for (let i = 1; i <= tries; i++) {
    try {
      return resultsOf(await measureInLab());
    } catch (error) {
      if (!(error instanceof L1LostError)) throw error;
      console.log(`the emulator lost L1 ${i} of ${tries}`);
    }
  }
  return `the emulator lost ${tries} L1 in turn`;
}

async function measureInLab(): Promise<LabRow[]> {
  const rows: LabRow[] = [];
  const failures: string[] = [];
  const onMessage = (message: LabMessage): void => {
    if (message.type === 'fileEnd' && message.problem !== undefined) failures.push(message.problem);
    if (message.type !== 'test') return;
    const { event } = message;
    if (event.type === 'diagnostic' && event.message.startsWith('row '))
      rows.push(JSON.parse(event.message.slice('row '.length)) as LabRow);
    if (event.type === 'close' && event.outcome.error !== undefined)
      failures.push(`${event.name}: ${event.outcome.error.message}`);
  };
  await runLab({ files: [FILE], environment: ENVIRONMENT, fileTimeoutMs: FILE_TIMEOUT_MS, onMessage });
  if (failures.length > 0) throw new Error(failures.join('; '));
  return rows;
}

function resultsOf(rows: readonly LabRow[]): Result[] {
  const boots = (side: string): number[] =>
    rows.flatMap((it) => (it.side === side && it.bootMs !== undefined ? [it.bootMs] : []));
  const theirBoots = PEERS.map((it) => summarize(boots(it))).sort((a, b) => a.median - b.median);
  const [theirs = summarize([])] = theirBoots;
  const disks = FORMATS.flatMap((format) =>
    DISK_WORKLOADS.flatMap(({ title }) => {
      const speeds = (side: string): DiskSpeed[] =>
        rows
          .filter((it) => it.side === side && it.format === format && it.workload === title)
          .map((it) => ({ perSecond: it.iops ?? NaN, cpuMicros: it.cpuMicrosPerRequest ?? NaN }));
      return besideBest(speeds('ours'), PEERS.map(speeds));
    }),
  );
  return [{ ours: summarize(boots('ours')), theirs }, ...disks];
}
