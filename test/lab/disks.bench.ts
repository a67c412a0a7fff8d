/**
 * Disks of a stock Linux guest under our VMM and under QEMU, in L1, the same files with the same fio: bench/
 * runs this and reads its diagnostics. Ours over PCI, QEMU's microvm over MMIO, which each has as its best.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { cpuSeconds } from '../../bench/cpuTime.ts';
import { DISK_WORKLOADS, type DiskWorkload } from '../../bench/diskLoads.ts';
import { bootWithDisks, DiskGuest } from './inside/diskGuest.ts';
import type { GuestRun } from './inside/guestRun.ts';
import { DISK } from './inside/labProtocol.ts';
import { runQemu } from './inside/qemuRun.ts';
import { VMM } from './inside/vmmRun.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? '5');
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? '2');
const DATA_MIB = 256;
const CMDLINE = 'console=ttyS0 quiet';

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

function fioOptions({ operation, bytes, depth, step }: DiskWorkload): string {
  return `--rw=${step === 'random' ? 'rand' : ''}${operation} --bs=${bytes} --iodepth=${depth}`;
}

interface Measured {
  readonly iops: number;
  /** Of the whole VMM with its guest. */
  readonly cpuMicrosPerRequest: number;
}

async function measure(guest: DiskGuest, workload: DiskWorkload): Promise<Measured> {
  const fixed = `--name=x --filename=/dev/vdb --direct=1 --ioengine=libaio --time_based --runtime=${SECONDS}`;
  const pid = guest.run.pid ?? 0;
  const before = cpuSeconds(pid);
  const terse = await guest.sh(
    `fio ${fixed} ${fioOptions(workload)} --size=${DATA_MIB}m --output-format=terse --terse-version=3`,
  );
  const spent = cpuSeconds(pid) - before;
  const fields = (terse.split('\n').find((it) => it.startsWith('3;')) ?? '').split(';').map(Number);
  const [reads, writes] = [5, 46].map((at) => ({
    iops: fields[at + 2] ?? 0,
    ms: fields[at + 3] ?? 0,
  }));
  const used = (reads?.iops ?? 0) > 0 ? reads : writes;
  if (used === undefined || used.iops === 0) throw new Error(`fio said: ${terse}`);
  const requests = (used.iops * used.ms) / 1000;
  return {
    iops: used.iops,
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
          for (const workload of DISK_WORKLOADS) {
            const measured = await measure(guest, workload);
            t.diagnostic(`row ${JSON.stringify({ side, format, workload: workload.title, ...measured })}`);
          }
          await guest.powerOff();
        }
      }
    });
  }
});
