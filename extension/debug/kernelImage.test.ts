import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKernelImage, KERNEL_HEADER_BYTES } from './kernelImage.ts';

function elf(type: number, machine: number, data = 1): Uint8Array {
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, data, 1]);
  header.writeUInt16LE(type, 16);
  header.writeUInt16LE(machine, 18);
  return header;
}

test('an x86 ELF file at fixed addresses is a kernel', () => {
  assert.equal(isKernelImage(elf(2, 62)), true);
  assert.equal(isKernelImage(elf(2, 3)), true);
});

test('programs, libraries, objects and other machines are not', () => {
  assert.equal(isKernelImage(elf(3, 62)), false, 'position independent');
  assert.equal(isKernelImage(elf(1, 62)), false, 'object file');
  assert.equal(isKernelImage(elf(2, 183)), false, 'AArch64');
  assert.equal(isKernelImage(elf(2, 62, 2)), false, 'big endian');
});

test('a bzImage is known by HdrS at 0x202', () => {
  const image = Buffer.alloc(KERNEL_HEADER_BYTES);
  image.write('HdrS', 0x202, 'latin1');
  assert.equal(isKernelImage(image), true);
});

test('short files are not kernels', () => {
  for (let length = 0; length < 20; length++)
    assert.equal(isKernelImage(elf(2, 62).subarray(0, length)), false);
});
