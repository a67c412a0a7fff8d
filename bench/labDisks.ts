/**
 * Disks of a stock Linux guest beside QEMU's, in the lab (test/lab/disks.bench.ts, which prints its
 * measurements as diagnostics).
 */
import path from 'node:path';
import { DISK_WORKLOADS } from './diskLoads.ts';
import { besideBest, diskRows, type DiskSpeed } from './disks.ts';
import { rowsOf } from './labRows.ts';
import type { Group, Result } from './part.ts';

const FILE = path.join(import.meta.dirname, '../test/lab/disks.bench.ts');
const ENVIRONMENT = { BENCH_ROUNDS: '2', BENCH_SECONDS: '1' };
const FORMATS = ['raw', 'qcow2'] as const;
const PEERS = ['qemu-uring', 'qemu-threads'] as const;

/** A group for each format, each in an L1 of its own: the emulator loses some that are busy for long. */
export const LAB_DISKS: readonly Group[] = FORMATS.map((format) => ({
  name: `lab-${format}`,
  title: `${format} disks of Linux in the lab`,
  rows: diskRows(`Linux in the lab, a ${format} disk`),
  needsKvm: false,
  how:
    'In the lab as above: fio in a stock Debian kernel, on a disk of 128 MiB in the page cache; the guests of both VMMs run beside each ' +
    'other and take turns, and the order changes with each round. Ours has its disks on PCI, QEMU’s microvm on MMIO. An exit costs ' +
    '75 µs there, on both sides.',
  run: async () => {
    const rows = await rowsOf<LabRow>({
      file: FILE,
      environment: ENVIRONMENT,
      testNamePattern: `^of format ${format}$`,
    });
    return typeof rows === 'string' ? rows : resultsOf(rows);
  },
}));

/** What a diagnostic says behind `row `. */
interface LabRow {
  readonly side: string;
  readonly workload: string;
  readonly iops?: number;
  readonly cpuMicrosPerRequest?: number;
}

function resultsOf(rows: readonly LabRow[]): Result[] {
  return DISK_WORKLOADS.flatMap(({ title }) => {
    const speeds = (side: string): DiskSpeed[] =>
      rows
        .filter((it) => it.side === side && it.workload === title)
        .map((it) => ({ perSecond: it.iops ?? NaN, cpuMicros: it.cpuMicrosPerRequest ?? NaN }));
    return besideBest(speeds('ours'), PEERS.map(speeds));
  });
}
