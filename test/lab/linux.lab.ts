/**
 * A stock Debian kernel, as its package ships it, boots under `vmm run` to a user space that answers on the
 * serial port and leaves by ACPI. The initrd's init is inside/l2Init.sh.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { longTest } from './inside/longTest.ts';
import { VMM, VmmRun } from './inside/vmmRun.ts';
import { PAYLOADS } from './inside/labProtocol.ts';

/** Of silence; an idle machine needs a tenth of it for the whole boot. */
const BOOT_MS = 120_000;
const ANSWER_MS = 60_000;
const READY = /TRAPFRAME-INIT-READY\r\n/;

const skip = existsSync(VMM) ? false : 'dist/vmm.js is not there: run "npm run build"';

function bootLinux(t: TestContext, kernel: string, ...more: readonly string[]): VmmRun {
  const guest = ['--kernel', kernel, '--initrd', PAYLOADS.initrd, '--memory', '256M'];
  const run = new VmmRun([...guest, '--cmdline', 'console=ttyS0 quiet', ...more]);
  t.after(() => run.kill());
  return run;
}

/**
 * From the boot to the power-off: the guest's init lives, hears what is typed, forks, and ends the VM with
 * exit code 0.
 */
async function bootTalkAndPowerOff(run: VmmRun, cpus: number): Promise<void> {
  await run.expect(READY, BOOT_MS);
  run.type('hello from the host\n');
  await run.expect(/got: hello from the host\r\n/, ANSWER_MS);
  const counted = await run.expect(/cpus: (\d+)\r\n/, ANSWER_MS);
  assert.equal(Number(counted[1]), cpus);
  await run.expect(/forked: 4 of 4\r\n/, ANSWER_MS);
  assert.equal(await run.exitCode(ANSWER_MS), 0);
}

describe('a stock Debian kernel under vmm run', { skip }, () => {
  it('boots as the bzImage it ships, answers on the serial port and powers off', async (t) => {
    await bootTalkAndPowerOff(bootLinux(t, PAYLOADS.bzImage, '--cpus', '1'), 1);
  });

  it('boots as the ELF inside, which is PVH by its note', async (t) => {
    await bootTalkAndPowerOff(bootLinux(t, PAYLOADS.vmlinux, '--cpus', '1'), 1);
  });

  longTest('boots as that ELF when PVH is asked for', async (t) => {
    await bootTalkAndPowerOff(bootLinux(t, PAYLOADS.vmlinux, '--protocol', 'pvh', '--cpus', '1'), 1);
  });

  it('boots as that ELF by the 64-bit Linux protocol', async (t) => {
    await bootTalkAndPowerOff(bootLinux(t, PAYLOADS.vmlinux, '--protocol', 'linux64', '--cpus', '1'), 1);
  });

  it('brings up a second CPU', async (t) => {
    await bootTalkAndPowerOff(bootLinux(t, PAYLOADS.bzImage, '--cpus', '2'), 2);
  });

  it('starts again when it reboots itself, and then powers off', async (t) => {
    const run = bootLinux(t, PAYLOADS.bzImage, '--cpus', '1');
    await run.expect(READY, BOOT_MS);
    run.type('reboot\n');
    await run.expect(/got: reboot\r\n/, ANSWER_MS);
    await bootTalkAndPowerOff(run, 1);
  });
});
