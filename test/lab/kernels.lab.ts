/**
 * Kernels other than Linux, as their Debian packages ship them: what each finds in the machine and prints on
 * the serial port. No test depends on a version.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { missingNote, PAYLOADS } from './inside/labProtocol.ts';
import { VMM, VmmRun } from './inside/vmmRun.ts';

/** Of silence; an idle machine needs a tenth of it. */
const SILENCE_MS = 120_000;

function reasonToSkip(payload: string): string | false {
  if (!existsSync(VMM)) return 'dist/vmm.js is not there: run "npm run build"';
  return existsSync(payload) ? false : readFileSync(missingNote(payload), 'utf8');
}

describe('Xen, which is multiboot', { skip: reasonToSkip(PAYLOADS.xen) }, () => {
  it('finds the memory map, both CPUs and its module, which it refuses as a dom0', async (t) => {
    // The module is an ELF, but not a kernel that could be Xen's dom0.
    const guest = ['--kernel', PAYLOADS.xen, '--initrd', `${PAYLOADS.intGate} dom0-argument`];
    const cmdline = 'console=com1 com1=115200,8n1 loglvl=info noreboot';
    const run = new VmmRun([...guest, '--memory', '256M', '--cpus', '2', '--cmdline', cmdline]);
    t.after(() => run.kill());
    const boot = await run.expect(/[^]*Panic on CPU 0:\s+\(XEN\) [^\n]*\n/, SILENCE_MS);
    const said = boot[0].replaceAll('\r', '');
    assert.match(said, /^\(XEN\) Xen version \d/m);
    assert.ok(said.includes(`Command line: ${cmdline}\n`), said);
    assert.match(said, /\[0*0, 0*9fbff\] \(usable\)/); // up to the extended BIOS data area
    assert.match(said, /\[0*100000, 0*fffffff\] \(usable\)/);
    assert.match(said, /Brought up 2 CPUs/);
    assert.match(said, /Panic on CPU 0:\n\(XEN\) .*\bdom(?:ain )?0\b.*\n$/i);
  });
});

// Of its two variants the one that is entered in protected mode, unlike the lab's other guests.
describe('Memtest86+, a 32-bit bzImage', { skip: reasonToSkip(PAYLOADS.memtest32) }, () => {
  it('draws its screen on the serial port', async (t) => {
    const guest = ['--kernel', PAYLOADS.memtest32, '--memory', '32M'];
    const run = new VmmRun([...guest, '--cmdline', 'console=ttyS0,115200']);
    t.after(() => run.kill());
    await run.expect(/Memtest86\+/, SILENCE_MS);
    await run.expect(/Memory/, SILENCE_MS);
    await run.expect(/Testing/, SILENCE_MS);
  });
});
