import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomNumbers } from '../../test/support/devices.ts';
import { bootError } from '../../test/support/kernelImages.ts';
import { ACPI_TABLES, COMMAND_LINE, MP_TABLE, PAGE_TABLES } from '../memory/layout.ts';
import { BootArea } from './bootArea.ts';

const IMAGE = 'kernel.elf';

test('what is free goes where it prefers to be', () => {
  const area = new BootArea(IMAGE, [{ address: 0x10_0000, memoryBytes: 0x1000 }]);
  assert.equal(area.place(PAGE_TABLES, 0x6000, 0x1000), PAGE_TABLES);
  assert.equal(area.place(ACPI_TABLES, 0x4000, 64), ACPI_TABLES);
});

test('what the image covers moves behind it, keeping its alignment', () => {
  const area = new BootArea(IMAGE, [{ address: 0x8000, memoryBytes: 0x1_8001 }]);
  assert.equal(area.place(PAGE_TABLES, 0x6000, 0x1000), 0x2_1000);
  assert.equal(area.place(COMMAND_LINE, 16), 0x2_0010);
});

test('page 0, which a kernel may not map, is for what has no place behind', () => {
  const area = new BootArea(IMAGE, [{ address: 0x8000, memoryBytes: 0x9_7c00 }]);
  assert.equal(area.place(PAGE_TABLES, 0x6000, 0x1000), 0x1000);
  assert.equal(area.place(COMMAND_LINE, 16), 0x500);
});

test('the MP floating pointer moves only to where it is looked for', () => {
  const area = new BootArea(IMAGE, [{ address: 0xe_0000, memoryBytes: 0x1_0100 }]);
  assert.equal(area.place(MP_TABLE, 0x100), 0xf_0100);
});

test('an image that leaves no room is an error that says where', () => {
  const low = new BootArea(IMAGE, [{ address: 0, memoryBytes: 0xa_0000 }]);
  assert.throws(
    () => low.place(COMMAND_LINE, 1),
    bootError('addressTaken', /fills memory at 0x500\.\.0x9fc00 and leaves no 1 bytes there/),
  );
  const high = new BootArea(IMAGE, [{ address: 0xe_0000, memoryBytes: 0x10_0000 }]);
  assert.throws(() => high.place(ACPI_TABLES, 64), bootError('addressTaken', /0xe0000\.\.0x100000/));
});

test('fuzz: whatever the image covers, nothing that is placed overlaps it or another', () => {
  const random = randomNumbers(7);
  for (let round = 0; round < 300; round++) {
    const busy = Array.from({ length: 1 + random(6) }, () => ({
      address: random(0x9_0000),
      memoryBytes: 1 + random(0x8000),
    }));
    const area = new BootArea(IMAGE, busy);
    const ranges = busy.slice();
    for (let i = 0; i < 8; i++) {
      const memoryBytes = 1 + random(0x2000);
      const address = area.place(random(2) === 0 ? PAGE_TABLES : COMMAND_LINE, memoryBytes);
      const clash = ranges.find(
        (it) => address < it.address + it.memoryBytes && it.address < address + memoryBytes,
      );
      assert.equal(clash, undefined, `round ${round}`);
      ranges.push({ address, memoryBytes });
    }
  }
});
