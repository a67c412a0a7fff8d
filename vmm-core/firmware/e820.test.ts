import assert from 'node:assert/strict';
import { test } from 'node:test';
import { board } from '../../test/support/kernelImages.ts';
import { E820_RAM } from '../abi/e820.ts';
import * as layout from '../memory/layout.ts';
import { GIB, HOLE_BASE, HOLE_END, MIB, PAGE_BYTES, ramRanges } from '../memory/layout.ts';
import { e820Map } from './e820.ts';

const SIZES = [
  MIB,
  256 * MIB,
  2 * GIB,
  2 * GIB + PAGE_BYTES,
  3 * GIB,
  3 * GIB + PAGE_BYTES,
  4 * GIB,
  12 * GIB,
];

test('the e820 map is sorted, disjoint, and calls RAM only what a slot backs, outside the ROM area', () => {
  for (const size of SIZES) {
    const ranges = ramRanges(size);
    let last = 0;
    let ram = 0;
    for (const { address, sizeBytes, type } of e820Map(ranges, board())) {
      assert.ok(address >= last && sizeBytes > 0);
      last = address + sizeBytes;
      if (type !== E820_RAM) continue;
      ram += sizeBytes;
      assert.ok(last <= HOLE_BASE || address >= HOLE_END);
      assert.ok(last <= layout.CONVENTIONAL_RAM_END || address >= layout.HIGH_RAM_BASE);
    }
    assert.equal(ram, size - (layout.HIGH_RAM_BASE - layout.CONVENTIONAL_RAM_END));
  }
});
