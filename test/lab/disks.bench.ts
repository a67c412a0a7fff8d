/**
 * Disks of a stock Linux guest under our VMM and under QEMU, in L1, like files with the same fio: bench/ runs
 * this and reads its diagnostics. Ours over PCI, QEMU's microvm over MMIO, which each has as its best. The
 * guests run beside each other and take turns, since what else this machine does in a minute changes a result
 * by more than a VMM does.
 */
import { execFile } from 'node:child_process';
import { closeSync, copyFileSync, fsyncSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { cpuSeconds } from '../../bench/cpuTime.ts';
import { writeRawDisk } from '../../bench/diskFiles.ts';
import { DISK_WORKLOADS, type DiskWorkload } from '../../bench/diskLoads.ts';
import { bootWithDisks, DiskGuest } from './inside/diskGuest.ts';
import type { GuestRun } from './inside/guestRun.ts';
import { DISK } from './inside/labProtocol.ts';
import { runQemu } from './inside/qemuRun.ts';
import { VMM } from './inside/vmmRun.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? '5');
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? '2');
/** Of each side, and all are in L1's page cache. */
const DATA_MIB = 128;
/** Before what counts: V8 compiles what serves requests in the first two thousand of a kind. */
const WARM_REQUESTS = 6000;
const CMDLINE = 'console=ttyS0 quiet';
const FIO = 'fio --name=x --filename=/dev/vdb --direct=1 --ioengine=libaio';

const SIDES = ['ours', 'qemu-uring', 'qemu-threads'] as const;
type Side = (typeof SIDES)[number];

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
  const pid = guest.run.pid ?? 0;
  const before = cpuSeconds(pid);
  const terse = await guest.sh(
    `${FIO} --time_based --runtime=${SECONDS} ${fioOptions(workload)} --size=${DATA_MIB}m --output-format=terse --terse-version=3`,
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

async function warmUp(guest: DiskGuest): Promise<void> {
  await guest.sh(
    `${FIO} --rw=randrw --bs=4096 --iodepth=32 --size=${DATA_MIB}m --number_ios=${WARM_REQUESTS}`,
  );
}

async function vmm(...args: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [VMM, ...args]);
}

/** An image full of data for each side. On L1's disk, too: what L1 still had to write would disturb them. */
async function makeImages(format: string): Promise<Record<Side, string>> {
  const raw = path.join(DISK.mount, 'bench.data');
  writeRawDisk(raw, DATA_MIB << 20);
  const fileOf = (side: Side): string => path.join(DISK.mount, `${side}.${format}`);
  const files = {
    ours: fileOf('ours'),
    'qemu-uring': fileOf('qemu-uring'),
    'qemu-threads': fileOf('qemu-threads'),
  };
  for (const file of Object.values(files)) {
    if (format === 'raw') copyFileSync(raw, file);
    else await vmm('convert', raw, file);
    sync(file);
  }
  rmSync(raw);
  return files;
}

function sync(file: string): void {
  const fd = openSync(file, 'r+');
  fsyncSync(fd);
  closeSync(fd);
}

describe('disks beside QEMU', () => {
  for (const format of ['raw', 'qcow2']) {
    it(`of format ${format}`, async (t) => {
      const tell = (row: object): void => t.diagnostic(`row ${JSON.stringify(row)}`);
      const files = await makeImages(format);
      for (let round = 0; round < ROUNDS; round++) {
        const guests: { side: Side; guest: DiskGuest }[] = [];
        // The first to boot reads all there is for the first time.
        for (const side of round % 2 === 0 ? SIDES : SIDES.toReversed()) {
          const guest = new DiskGuest(boot(side, files[side], format));
          await guest.ready();
          guests.push({ side, guest });
        }
        for (const { guest } of guests) await warmUp(guest);
        for (const workload of DISK_WORKLOADS)
          for (const { side, guest } of guests)
            tell({ side, workload: workload.title, ...(await measure(guest, workload)) });
        for (const { guest } of guests) await guest.powerOff();
      }
      for (const file of Object.values(files)) rmSync(file);
    });
  }
});
