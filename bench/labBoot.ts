/** A stock Linux, from its disk to a shell, beside QEMU's microvm, in the lab (test/lab/boot.bench.ts). */
import path from 'node:path';
import { rowsOf } from './labRows.ts';
import type { Group, Result } from './part.ts';
import { summarize } from './statistics.ts';

const FILE = path.join(import.meta.dirname, '../test/lab/boot.bench.ts');
const ENVIRONMENT = { BENCH_ROUNDS: '5' };

export const LAB_BOOT_GROUP: Group = {
  name: 'labBoot',
  title: 'boot of Debian’s kernel in the lab',
  rows: [
    {
      title: 'boot of Debian’s kernel from its disk to a shell, in the lab',
      unit: 'ms',
      target: { atMostRatio: 1.1 },
    },
    { title: 'of that, from the first line of its log on', unit: 'ms', target: { atMostRatio: 1.1 } },
    { title: 'the whole boot from a warm core (what F5 uses)', unit: 'ms', target: { atMostRatio: 1.1 } },
    { title: 'of that, from the first line of its log on', unit: 'ms', target: { atMostRatio: 1.1 } },
  ],
  needsKvm: false,
  how:
    'In a Linux with AMD-V that QEMU emulates (test/lab/README.md): from before the process is spawned, or from sending `vm/create` to a ' +
    'waiting `vmm serve`, to the shell’s first word on ttyS0, with `quiet`. Root is ext4 on virtio; ours over PCI, QEMU’s microvm over ' +
    'MMIO. The first line of the log is when the kernel’s own clock begins. What is before that is the start of the VMM, which is ' +
    'emulated, too: Node needs seconds there for what takes it 60 ms on this machine’s CPU (see “process start to first serial byte”).',
  run: async () => {
    const rows = await rowsOf<BootRow>({ file: FILE, environment: ENVIRONMENT });
    return typeof rows === 'string' ? rows : resultsOf(rows);
  },
};

/** What test/lab/boot.bench.ts tells of each boot. */
interface BootRow {
  readonly side: 'cold' | 'warm' | 'qemu';
  readonly bootMs: number;
  readonly guestMs: number;
}

function resultsOf(rows: readonly BootRow[]): Result[] {
  const summary = (side: BootRow['side'], part: 'bootMs' | 'guestMs') =>
    summarize(rows.filter((it) => it.side === side).map((it) => it[part]));
  return (['cold', 'warm'] as const).flatMap((ours) =>
    (['bootMs', 'guestMs'] as const).map((part) => ({
      ours: summary(ours, part),
      theirs: summary('qemu', part),
    })),
  );
}
