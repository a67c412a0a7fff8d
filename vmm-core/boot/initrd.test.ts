import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootError, ram, source } from '../../test/support/kernelImages.ts';
import { allocateGuestMemory, gpa } from '../memory/guestMemory.ts';
import { MIB, PAGE_BYTES } from '../memory/layout.ts';
import type { BusyRange } from './bootArea.ts';
import { loadInitrd, placeInitrd } from './initrd.ts';

function place(
  sizeBytes: number,
  busy: readonly BusyRange[],
  maximumAddress?: number,
  memory = ram(),
): number {
  const placed = placeInitrd(source('initrd.img', new Uint8Array(sizeBytes)), memory, busy, maximumAddress);
  assert.ok(placed);
  assert.equal(placed.sizeBytes, sizeBytes);
  assert.equal(placed.address % PAGE_BYTES, 0);
  return placed.address;
}

const KERNEL = { address: MIB, memoryBytes: 2 * MIB };

test('the initrd ends at the top of low RAM, page aligned', () => {
  assert.equal(place(1, [KERNEL]), 32 * MIB - PAGE_BYTES);
  assert.equal(place(PAGE_BYTES, [KERNEL]), 32 * MIB - PAGE_BYTES);
  assert.equal(place(PAGE_BYTES + 1, [KERNEL]), 32 * MIB - 2 * PAGE_BYTES);
});

test('the last byte may have the highest address the kernel allows, but not a higher one', () => {
  assert.equal(place(PAGE_BYTES, [KERNEL], 8 * MIB - 1), 8 * MIB - PAGE_BYTES);
  assert.equal(place(PAGE_BYTES, [KERNEL], 8 * MIB - 2), 8 * MIB - 2 * PAGE_BYTES);
});

test('it goes below a kernel that sits at the top, and between two parts of one', () => {
  assert.equal(place(MIB, [{ address: 30 * MIB, memoryBytes: 2 * MIB }]), 29 * MIB);
  const parts = [KERNEL, { address: 10 * MIB, memoryBytes: 22 * MIB }];
  assert.equal(place(MIB, parts), 9 * MIB);
  assert.equal(place(7 * MIB, parts), 3 * MIB);
});

test('overlapping busy ranges hide no others', () => {
  const busy = [
    { address: 4 * MIB, memoryBytes: 28 * MIB },
    { address: 2 * MIB, memoryBytes: 29 * MIB },
  ];
  assert.equal(place(MIB, busy), MIB);
});

test('an initrd that does not fit beside the kernel says how much memory it needs', () => {
  const large = source('initrd.img', new Uint8Array(30 * MIB));
  assert.throws(
    () => placeInitrd(large, ram(), [KERNEL]),
    bootError('needsMemory', /initrd initrd.img beside the kernel needs 33 MiB .* has 32 MiB: raise memory/),
  );
});

test('an initrd that no memory size would make fit says so', () => {
  assert.throws(
    () => placeInitrd(source('initrd.img', new Uint8Array(6 * MIB)), ram(), [KERNEL], 8 * MIB - 1),
    bootError('initrdTooLarge', /of 6 MiB does not fit below 0x800000/),
  );
});

test('an empty initrd is an error', () => {
  assert.throws(
    () => placeInitrd(source('initrd.img', new Uint8Array(0)), ram(), []),
    bootError('initrdEmpty', /initrd.img is empty/),
  );
});

test('no initrd is placed where there is none', () => {
  assert.equal(placeInitrd(undefined, ram(), []), undefined);
});

test('an initrd may lie over the boundary of two RAM slots', () => {
  const memory = allocateGuestMemory([
    { base: 0, sizeBytes: 8 * MIB },
    { base: 8 * MIB, sizeBytes: MIB },
  ]);
  const bytes = new Uint8Array(2 * MIB).map((_, index) => index % 251);
  const placed = placeInitrd(source('initrd.img', bytes), memory, [KERNEL]);
  loadInitrd(placed, memory);
  assert.equal(placed?.address, 7 * MIB);
  assert.equal(memory.readU8(gpa(8 * MIB - 1)), (MIB - 1) % 251);
  assert.equal(memory.readU8(gpa(8 * MIB)), MIB % 251);
});
