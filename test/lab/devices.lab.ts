/**
 * The legacy devices as a stock Debian kernel's drivers find them: what they say at boot, and how long they
 * took to say it.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { PAYLOADS } from './inside/labProtocol.ts';
import { shutdowns } from './inside/shutdowns.ts';
import { VMM, VmmRun } from './inside/vmmRun.ts';

/** Of silence; an idle machine needs a tenth of it for the whole boot. */
const BOOT_MS = 120_000;
const skip = existsSync(VMM) ? false : 'dist/vmm.js is not there: run "npm run build"';

describe("a stock Debian kernel's drivers", { skip }, () => {
  it('find four 16550A, the clock, the keyboard controller and the PM timer', async (t) => {
    const guest = ['--kernel', PAYLOADS.vmlinux, '--initrd', PAYLOADS.initrd, '--memory', '256M'];
    const run = new VmmRun([...guest, '--cmdline', 'console=ttyS0 8250.nr_uarts=4']);
    t.after(() => run.kill());
    const boot = await run.expect(/[^]*TRAPFRAME-INIT-READY/, BOOT_MS);
    const said = boot[0].replaceAll('\r', '');
    for (const line of said.split('\n'))
      if (/ttyS|rtc|i8042|PM-Timer|acpi_pm|atkbd|clocksource|nobody/i.test(line)) t.diagnostic(line);
    for (const [i, irq] of [4, 3, 4, 3].entries()) {
      assert.match(said, new RegExp(`ttyS${i} at I/O 0x[23][ef]8 \\(irq = ${irq}, .*is a 16550A`));
    }
    assert.match(said, /rtc_cmos .*setting system clock to 20\d\d-/);
    assert.match(said, /PM-Timer IO Port: 0x608/);
    assert.doesNotMatch(said, /nobody cared|i8042: .*(fail|error|timeout)|rtc_cmos.*(fail|broken)/i);
    run.type('bye\n');
    assert.equal(await run.exitCode(60_000), 0);
  });
});

describe('a kernel without its own GDT', { skip }, () => {
  it("takes an interrupt through a gate with selector 0x08, by the loader's GDT", async (t) => {
    const run = new VmmRun(['--kernel', PAYLOADS.intGate, '--memory', '16M', '--debug-exit', '--no-reboot']);
    t.after(() => run.kill());
    await run.expect(/^AB$/, 20_000);
    assert.equal(await run.exitCode(20_000), 33);
  });
});

describe('a triple fault under AMD-V, whose KVM resets the CPU', { skip }, () => {
  it('is reported as such, with the registers of the last exit instead of those after the reset', async (t) => {
    const run = new VmmRun(['--kernel', PAYLOADS.tripleFault, '--memory', '16M']);
    t.after(() => run.kill());
    assert.equal(await run.exitCode(20_000), 3);
    t.diagnostic(run.errors);
    const sentence =
      /^vmm: the guest triple faulted on vCPU 0 after its last exit at RIP 0x1000[0-9a-f]{2}: /m;
    assert.match(run.errors, sentence);
    assert.match(run.errors, /this host's KVM resets the CPU at a triple fault/);
    assert.match(run.errors, /rdx=00000000000003f8/);
    assert.match(run.errors, /rax=[0-9a-f]{14}54/); // the T that it printed
    assert.match(shutdowns().at(-1)?.values['rip'] ?? '', /^0x1000[0-9a-f]{2}$/);
  });
});
