import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as layout from './layout.ts';
import { GIB, HOLE_BASE, HOLE_END, MAX_SLOT_BYTES, MIB, PAGE_BYTES, ramRanges } from './layout.ts';

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

test('RAM up to 3 GiB is below the hole, the rest from 4 GiB on', () => {
  assert.deepEqual(ramRanges(256 * MIB), [{ base: 0, sizeBytes: 256 * MIB }]);
  assert.deepEqual(ramRanges(5 * GIB), [
    { base: 0, sizeBytes: 2 * GIB },
    { base: 2 * GIB, sizeBytes: GIB },
    { base: 4 * GIB, sizeBytes: 2 * GIB },
  ]);
});

test('RAM slots are disjoint, page aligned, at most 2 GiB, outside the hole, and add up', () => {
  for (const size of SIZES) {
    const ranges = ramRanges(size);
    assert.equal(
      ranges.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      size,
    );
    let last = 0;
    for (const { base, sizeBytes } of ranges) {
      assert.ok(base >= last && base % PAGE_BYTES === 0 && sizeBytes % PAGE_BYTES === 0);
      assert.ok(sizeBytes > 0 && sizeBytes <= MAX_SLOT_BYTES);
      assert.ok(base + sizeBytes <= HOLE_BASE || base >= HOLE_END);
      last = base + sizeBytes;
    }
  }
});

test('a partial page at the end is not RAM', () => {
  assert.deepEqual(ramRanges(MIB + 1), [{ base: 0, sizeBytes: MIB }]);
  assert.deepEqual(ramRanges(0), []);
});

test('the places that boot data prefers do not overlap', () => {
  const starts = [
    layout.BIOS_DATA,
    layout.BIOS_DATA_END,
    layout.PVH_START_INFO,
    layout.ZERO_PAGE,
    layout.BOOT_STACK,
    layout.PAGE_TABLES,
    layout.COMMAND_LINE,
    layout.EBDA,
    layout.ACPI_TABLES,
    layout.ACPI_TABLES + layout.ACPI_TABLES_BYTES,
    layout.MP_TABLE,
    layout.BOOT_GDT,
    layout.REAL_MODE_IRET,
    layout.HIGH_RAM_BASE,
  ];
  assert.deepEqual(
    starts,
    starts.toSorted((a, b) => a - b),
  );
  assert.ok(layout.PAGE_TABLES + 6 * PAGE_BYTES <= layout.COMMAND_LINE);
  assert.equal(layout.KVM_IDENTITY_MAP + PAGE_BYTES, layout.KVM_TSS);
  assert.equal(layout.KVM_TSS + 3 * PAGE_BYTES, layout.FIRMWARE_ROM_BASE);
});
