/** The legacy devices as a stock Debian kernel's drivers find them: what they say at boot, and how long they took to say it. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { PAYLOADS } from './inside/labProtocol.ts';
import { VMM, VmmRun } from './inside/vmmRun.ts';

/** Without a word; a quiet machine needs a tenth of it for all of the boot. */
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

describe('a kernel without a GDT of its own', { skip }, () => {
  it("takes an interrupt through a gate with selector 0x08, by the loader's GDT", async (t) => {
    const run = new VmmRun(['--kernel', PAYLOADS.intGate, '--memory', '16M', '--debug-exit', '--no-reboot']);
    t.after(() => run.kill());
    await run.expect(/^AB$/, 20_000);
    assert.equal(await run.exitCode(20_000), 33);
  });
});

/** A boot sector: `T` on COM1, then an exception without an IDT. */
const TRIPLE_FAULT = Uint8Array.of(
  ...[0xfa, 0x31, 0xc0, 0x8e, 0xd8], // cli; xor %ax, %ax; mov %ax, %ds
  ...[0xba, 0xf8, 0x03, 0xb0, 0x54, 0xee], // mov $COM1, %dx; mov $'T', %al; out %al, %dx
  ...[0x0f, 0x01, 0x1e, 0x00, 0x80], // lidt 0x8000: zeros
  ...[0x31, 0xc9, 0xf7, 0xf1], // xor %cx, %cx; div %cx
);

describe('a triple fault under AMD-V, whose KVM resets the CPU', { skip }, () => {
  it('is told as what it is, with the registers of the last exit instead of those after the reset', async (t) => {
    const kernel = path.join(mkdtempSync(path.join(tmpdir(), 'tf-')), 'boot');
    writeFileSync(kernel, TRIPLE_FAULT);
    const run = new VmmRun(['--kernel', kernel, '--protocol', 'flat', '--memory', '16M']);
    t.after(() => run.kill());
    assert.equal(await run.exitCode(BOOT_MS), 3);
    t.diagnostic(run.errors);
    assert.match(
      run.errors,
      /^vmm: the guest triple faulted on vCPU 0 after its last exit at RIP 0x7c0[a-f]: /m,
    );
    assert.match(run.errors, /this host's KVM resets the CPU at a triple fault/);
    assert.match(run.errors, /rdx=00000000000003f8/);
    assert.match(run.errors, /rax=0000000000000054/);
  });
});
