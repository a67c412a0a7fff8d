import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinPieces } from './pieces.ts';

test('pieces of whole bytes follow each other, with what is nowhere between them (§2.6.1.2)', () => {
  const joined = joinPieces(
    [
      { bytes: Uint8Array.of(1, 2, 3, 4), sizeBits: 16, offsetBits: 8 },
      { bytes: undefined, sizeBits: 8, offsetBits: 0 },
      { bytes: Uint8Array.of(9), sizeBits: 8, offsetBits: 0 },
    ],
    4,
    true,
  );
  assert.deepEqual([...joined.bytes], [2, 3, 0, 9]);
  assert.deepEqual([...joined.known], [1, 1, 0, 1]);
});

test('bits are counted from the low end on little-endian machines, from the high end on others', () => {
  const pieces = [
    { bytes: Uint8Array.of(0b1011_0110), sizeBits: 3, offsetBits: 1 },
    { bytes: Uint8Array.of(0xff, 0x01), sizeBits: 10, offsetBits: 0 },
  ];
  assert.deepEqual([...joinPieces(pieces, 2, true).bytes], [0b1111_1011, 0b0000_1111]);
  // From the high end: 011, then 1111 1111 00.
  assert.deepEqual([...joinPieces(pieces, 2, false).bytes], [0b0111_1111, 0b1110_0000]);
});

test('a byte with a bit that is nowhere is unknown, one shared only with padding is known', () => {
  const joined = joinPieces(
    [
      { bytes: Uint8Array.of(0xff), sizeBits: 3, offsetBits: 0 },
      { bytes: undefined, sizeBits: 5, offsetBits: 0 },
      { bytes: Uint8Array.of(1), sizeBits: 4, offsetBits: 0 },
    ],
    2,
    true,
  );
  assert.deepEqual([...joined.known], [0, 1]);
});

test('pieces past the object and past their place are left out', () => {
  const tooLong = joinPieces([{ bytes: Uint8Array.of(1, 2, 3), sizeBits: 24, offsetBits: 0 }], 2, true);
  assert.deepEqual([...tooLong.bytes], [1, 2]);
  const tooShort = joinPieces([{ bytes: Uint8Array.of(1), sizeBits: 16, offsetBits: 0 }], 2, true);
  assert.deepEqual([...tooShort.known], [0, 0]);
});
