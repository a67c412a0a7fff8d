import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SPIN, bootError, ram, request, source } from '../../test/support/kernelImages.ts';
import { CR0_PE, CR0_PG } from '../abi/x86.ts';
import { loadKernel } from '../machine/loadKernel.ts';
import { gpa } from '../memory/guestMemory.ts';
import { MIB } from '../memory/layout.ts';

function bootSector(sizeBytes = 512): Uint8Array {
  const image = new Uint8Array(sizeBytes);
  image.set(SPIN);
  image.set([0x55, 0xaa], 510);
  return image;
}

const flat = { protocol: 'flat' } as const;

test('a boot sector starts at 0000:7C00 in real mode with the boot drive in DL', () => {
  const memory = ram();
  const { regs, sregs, entry } = loadKernel(request(bootSector(), { ...flat, memory }));
  assert.equal(entry, 0x7c00n);
  assert.equal(regs.rip, 0x7c00n);
  assert.equal(regs.rdx, 0x80n);
  assert.equal(sregs.cr0 & CR0_PE, 0n);
  for (const segment of [sregs.cs, sregs.ds, sregs.es, sregs.ss]) {
    assert.deepEqual([segment.selector, segment.base, segment.limit], [0, 0n, 0xffff]);
  }
  assert.deepEqual(sregs.idt, { base: 0n, limit: 0x3ff });
  assert.equal(memory.readU16(gpa(0x7c00)), 0xfeeb);
});

test('what follows the boot sector in the file is loaded behind it', () => {
  const image = bootSector(4096);
  image[4095] = 0x42;
  const memory = ram();
  loadKernel(request(image, { ...flat, memory }));
  assert.equal(memory.readU8(gpa(0x7c00 + 4095)), 0x42);
});

test('every real-mode vector points at an IRET', () => {
  const memory = ram();
  loadKernel(request(bootSector(), { ...flat, memory }));
  for (const vector of [0, 0x10, 0x13, 0xff]) {
    const address = memory.readU16(gpa(vector * 4 + 2)) * 16 + memory.readU16(gpa(vector * 4));
    assert.equal(memory.readU8(gpa(address)), 0xcf);
  }
});

test('any other raw code starts at 1 MiB in 32-bit protected mode', () => {
  const memory = ram();
  const { regs, sregs } = loadKernel(request(SPIN, { ...flat, memory }));
  assert.deepEqual(regs, { rip: BigInt(MIB), rflags: 2n });
  assert.equal(sregs.cr0 & (CR0_PE | CR0_PG), CR0_PE);
  assert.ok(sregs.cs.db);
  assert.equal(memory.readU16(gpa(MIB)), 0xfeeb);
});

test('raw code larger than memory, and a boot sector that reaches the ROM area, are errors', () => {
  const large = request(new Uint8Array(3 * MIB), { ...flat, memory: ram(2 * MIB) });
  assert.throws(() => loadKernel(large), bootError('needsMemory', /needs 4 MiB .* has 2 MiB/));
  const sector = request(bootSector(700 * 1024), flat);
  assert.throws(
    () => loadKernel(sector),
    bootError('imageUnsupported', /700 KiB in all, which reach into the ROM area: keep it below 608 KiB/),
  );
});

test('raw code takes no initrd', () => {
  const initrd = source('initrd', SPIN);
  assert.throws(
    () => loadKernel(request(SPIN, { ...flat, initrd })),
    bootError('imageUnsupported', /raw code/),
  );
});

test('a boot sector given without protocol "flat" is an error that mentions it', () => {
  assert.throws(
    () => loadKernel(request(bootSector())),
    bootError(
      'imageUnsupported',
      /BIOS boot sector or a disk image, and this VM has no BIOS.*protocol to "flat"/,
    ),
  );
});
