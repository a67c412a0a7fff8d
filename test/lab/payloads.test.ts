/**
 * The lab's guests under another VMM: what fails in linux.lab.ts and passes here is our fault.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { prepareLab } from './lab.ts';
import { guestInitrd, innerVmlinux, stockKernel } from './payloads.ts';

const XEN_ELFNOTE_PHYS32_ENTRY = [4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, ...Buffer.from('Xen\0')]; // name, data size, type
const BOOT_TIMEOUT_MS = 90_000;

describe("the lab's guests", () => {
  let directory = '';
  let missing: string | undefined;
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'trapframe-payloads-'));
    missing = await prepareLab();
    if (missing !== undefined) return;
    const { bzImage } = await stockKernel();
    await writeFile(path.join(directory, 'bzImage'), bzImage);
    await writeFile(path.join(directory, 'vmlinux'), innerVmlinux(bzImage));
    await writeFile(path.join(directory, 'initrd'), await guestInitrd());
  });
  after(() => rm(directory, { recursive: true }));

  it('have an ELF kernel that can be entered by PVH', async (t) => {
    if (missing !== undefined) return t.skip(missing);
    const vmlinux = innerVmlinux((await stockKernel()).bzImage);
    assert.equal(vmlinux.toString('latin1', 0, 4), '\x7fELF');
    assert.ok(vmlinux.includes(Buffer.from(XEN_ELFNOTE_PHYS32_ENTRY)), 'no XEN_ELFNOTE_PHYS32_ENTRY');
  });

  for (const kernel of ['bzImage', 'vmlinux']) {
    it(`answer and power off as ${kernel} under QEMU`, async (t) => {
      if (missing !== undefined) return t.skip(missing);
      const machine = ['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '256', '-nodefaults'];
      const files = ['-kernel', path.join(directory, kernel), '-initrd', path.join(directory, 'initrd')];
      const console = [
        '-display',
        'none',
        '-serial',
        'stdio',
        '-append',
        'console=ttyS0 panic=-1 quiet',
        '-no-reboot',
      ];
      const qemu = spawn('qemu-system-x86_64', [...machine, ...files, ...console], {
        timeout: BOOT_TIMEOUT_MS,
      });
      let output = '';
      qemu.stdout.setEncoding('latin1').on('data', (text: string) => {
        const wasReady = output.includes('TRAPFRAME-INIT-READY');
        output += text;
        if (!wasReady && output.includes('TRAPFRAME-INIT-READY')) qemu.stdin.write('hello\n');
      });
      const code = await new Promise((resolve) => qemu.once('close', resolve));
      assert.match(output, /got: hello\r\ncpus: 2\r\nforked: 4 of 4\r\n/);
      assert.equal(code, 0);
    });
  }
});
