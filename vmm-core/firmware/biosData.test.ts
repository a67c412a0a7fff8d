import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  board,
  bzImage,
  elfImage,
  multibootElf,
  pvhImage,
  ram,
  request,
  SPIN,
} from '../../test/support/kernelImages.ts';
import { loadKernel } from '../machine/loadKernel.ts';
import { gpa } from '../memory/guestMemory.ts';
import { MIB } from '../memory/layout.ts';
import { writeBiosData } from './biosData.ts';

test('the BIOS data area has the fields where kernels read them', () => {
  const memory = ram(MIB);
  writeBiosData(memory, board());
  const u16 = (address: number): number => memory.readU16(gpa(address));
  const u8 = (address: number): number => memory.readU8(gpa(address));
  assert.deepEqual([u16(0x400), u16(0x402), u16(0x404), u16(0x406)], [0x3f8, 0x2f8, 0x3e8, 0x2e8]);
  assert.equal(u16(0x40e), 0x9fc0);
  assert.equal(u16(0x410), 0x0822); // FPU, 80 columns in colour, 4 serial ports
  assert.equal(u16(0x413), 639);
  assert.deepEqual([u8(0x449), u16(0x44a), u16(0x463), u8(0x484)], [3, 80, 0x3d4, 24]);
  assert.equal(u8(0x9fc00), 1); // KiB of the extended area
});

test('every real-mode interrupt vector leads to an IRET', () => {
  const memory = ram(MIB);
  writeBiosData(memory, board());
  for (let vector = 0; vector < 256; vector++) {
    const target = memory.readU16(gpa(vector * 4)) + 16 * memory.readU16(gpa(vector * 4 + 2));
    assert.equal(memory.readU8(gpa(target)), 0xcf, `vector ${vector}`);
  }
});

test('every protocol leaves it in place', () => {
  const boots = [
    request(multibootElf()),
    request(elfImage()),
    request(pvhImage()),
    request(bzImage()),
    request(SPIN, { protocol: 'flat' }),
  ];
  for (const boot of boots) {
    const { protocol } = loadKernel(boot);
    assert.equal(boot.memory.readU16(gpa(0x413)), 639, protocol);
  }
});

test('an image that is loaded over it wins, as on a PC', () => {
  const memory = ram();
  const segments = [{ physicalAddress: 0x400, bytes: new Uint8Array(0x200).fill(0xab) }];
  loadKernel(request(elfImage({ entry: 0x400, segments }), { memory }));
  assert.equal(memory.readU16(gpa(0x413)), 0xabab);
});
