/**
 * Disks of a stock Linux guest under our VMM and under QEMU, in L1, the same files with the same fio: bench/
 * runs this and reads its diagnostics. Ours over PCI, QEMU's microvm over MMIO, which each has as its best.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { bootWithDisks, DiskGuest } from './inside/diskGuest.ts';
import type { GuestRun } from './inside/guestRun.ts';
import { DISK } from './inside/labProtocol.ts';
import { runQemu } from './inside/qemuRun.ts';
import { VMM } from './inside/vmmRun.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? '5');
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? '2');
const DATA_MIB = 256;
/** Of /proc/PID/stat: _SC_CLK_TCK. */
const TICKS_PER_SECOND = 100;
const CMDLINE = 'console=ttyS0 quiet';

interface Workload {
  readonly name: string;
  readonly fio: string;
}

const WORKLOADS: readonly Workload[] = [
  { name: '4 KiB random reads, QD1', fio: '--rw=randread --bs=4k --iodepth=1' },
  { name: '4 KiB random writes, QD1', fio: '--rw=randwrite --bs=4k --iodepth=1' },
  { name: '4 KiB random reads, QD32', fio: '--rw=randread --bs=4k --iodepth=32' },
  { name: '4 KiB random writes, QD32', fio: '--rw=randwrite --bs=4k --iodepth=32' },
  { name: '1 MiB sequential reads', fio: '--rw=read --bs=1m --iodepth=4' },
  { name: '1 MiB sequential writes', fio: '--rw=write --bs=1m --iodepth=4' },
];

type Side = 'ours' | 'qemu-uring' | 'qemu-threads';

/** The page cache of L1 is the disk on every side: what is measured is the way to it. */
function boot(side: Side, file: string, format: string): GuestRun {
  if (side === 'ours') {
    const disks = [`${DISK.root},format=raw,snapshot`, `${file},format=${format}`];
    return bootWithDisks(disks).run;
  }
  const aio = side === 'qemu-uring' ? 'io_uring' : 'threads';
  const options = `cache=writeback,aio=${aio}`;
  const root = { file: DISK.root, format: 'raw', options: 'snapshot=on,cache=writeback,aio=threads' };
  return runQemu([root, { file, format, options }], CMDLINE);
}

/** All threads, user and system. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

interface Measured {
  readonly iops: number;
  readonly bytesPerSecond: number;
  /** Of the whole VMM with its guest. */
  readonly cpuMicrosPerRequest: number;
}

async function measure(guest: DiskGuest, { fio }: Workload): Promise<Measured> {
  const fixed = `--name=x --filename=/dev/vdb --direct=1 --ioengine=libaio --time_based --runtime=${SECONDS}`;
  const pid = guest.run.pid ?? 0;
  const before = cpuSeconds(pid);
  const terse = await guest.sh(
    `fio ${fixed} ${fio} --size=${DATA_MIB}m --output-format=terse --terse-version=3`,
  );
  const spent = cpuSeconds(pid) - before;
  const fields = (terse.split('\n').find((it) => it.startsWith('3;')) ?? '').split(';').map(Number);
  const [reads, writes] = [5, 46].map((at) => ({
    totalKib: fields[at] ?? 0,
    kibPerSecond: fields[at + 1] ?? 0,
    iops: fields[at + 2] ?? 0,
    ms: fields[at + 3] ?? 0,
  }));
  const used = (reads?.iops ?? 0) > 0 ? reads : writes;
  if (used === undefined || used.iops === 0) throw new Error(`fio said: ${terse}`);
  const requests = (used.iops * used.ms) / 1000;
  return {
    iops: used.iops,
    bytesPerSecond: used.kibPerSecond * 1024,
    cpuMicrosPerRequest: (spent / requests) * 1e6,
  };
}

async function vmm(...args: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [VMM, ...args]);
}

describe('disks beside QEMU', () => {
  for (const format of ['raw', 'qcow2']) {
    it(`of format ${format}`, async (t) => {
      const file = path.join(DISK.mount, `bench.${format}`);
      await vmm('create', '-s', `${DATA_MIB}M`, `${format}:${file}`);
      for (let round = 0; round < ROUNDS; round++) {
        for (const side of ['ours', 'qemu-uring', 'qemu-threads'] as const) {
          const guest = new DiskGuest(boot(side, file, format));
          const startMs = performance.now();
          await guest.ready();
          const bootMs = performance.now() - startMs;
          t.diagnostic(`row ${JSON.stringify({ side, format, workload: 'boot', bootMs })}`);
          if (round === 0)
            await guest.sh(`dd if=/dev/urandom of=/dev/vdb bs=1M count=${DATA_MIB} 2>/dev/null`);
          for (const workload of WORKLOADS) {
            const measured = await measure(guest, workload);
            t.diagnostic(`row ${JSON.stringify({ side, format, workload: workload.name, ...measured })}`);
          }
          await guest.powerOff();
        }
      }
    });
  }
});
