/**
 * A stock Linux from its disk to a shell, under our VMM, from a cold and from a warm core, and under QEMU's
 * microvm, in L1 and in turns: bench/ runs this and reads its diagnostics. One guest runs at a time.
 */
import { it } from 'node:test';
import { bootWithDisks, DiskGuest } from './inside/diskGuest.ts';
import { DISK, PAYLOADS } from './inside/labProtocol.ts';
import { runQemu } from './inside/qemuRun.ts';
import { WarmCore } from './inside/warmCore.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? '5');
const CMDLINE = 'console=ttyS0 quiet';
const SHELL = /AGENT-READY\n/;
/** The kernel's clock, which began just before the first line of its log: `[    6.123456] now`. */
const ASK_CLOCK = 'echo now >/dev/kmsg; dmesg | tail -n 1';
const CLOCK = /\[ *(\d+\.\d+)\] now\n/;

interface Boot {
  /** To the shell, from before its VMM is started; from `vm/create` where the core is warm. */
  readonly bootMs: number;
  /** Of that, from the first line of the kernel's log on. */
  readonly guestMs: number;
}

const SIDES = {
  cold: () => bootProcess(() => bootWithDisks([`${DISK.root},format=raw,snapshot`])),
  warm: bootWarm,
  qemu: () => bootProcess(bootQemu),
};

function bootQemu(): DiskGuest {
  const root = { file: DISK.root, format: 'raw', options: 'snapshot=on,cache=writeback,aio=threads' };
  return new DiskGuest(runQemu([root], CMDLINE));
}

async function bootProcess(start: () => DiskGuest): Promise<Boot> {
  const startedMs = performance.now();
  const guest = start();
  await guest.ready();
  const readyMs = performance.now();
  const clock = CLOCK.exec(`${await guest.sh(ASK_CLOCK)}\n`);
  const boot = bootOf(startedMs, readyMs, clock);
  await guest.kill();
  return boot;
}

async function bootWarm(): Promise<Boot> {
  const core = await WarmCore.start();
  const startedMs = performance.now();
  await core.boot({
    name: 'warm',
    kernel: PAYLOADS.vmlinux,
    initrd: DISK.initrd,
    memory: '384M',
    cmdline: CMDLINE,
    disks: [{ path: DISK.root, format: 'raw', snapshot: true }],
    serial: { com1: 'terminal' },
  });
  await core.expect(SHELL);
  const readyMs = performance.now();
  await core.type(`${ASK_CLOCK}\n`);
  const clock = await core.expect(CLOCK);
  const boot = bootOf(startedMs, readyMs, clock);
  await core.end();
  return boot;
}

/** The guest was asked at once, so its clock tells when it began. */
function bootOf(startedMs: number, readyMs: number, clock: RegExpExecArray | null): Boot {
  return { bootMs: readyMs - startedMs, guestMs: Number(clock?.[1]) * 1000 };
}

it('boots beside QEMU', async (t) => {
  const sides = Object.keys(SIDES) as (keyof typeof SIDES)[];
  // The first round reads all there is for the first time, and V8 compiles; it does not count.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      const boot = await SIDES[side]();
      if (round > 0) t.diagnostic(`row ${JSON.stringify({ side, ...boot })}`);
    }
  }
});
