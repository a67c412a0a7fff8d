import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressArray } from './address.ts';

const KERNEL = -0x7f000000;

test('addresses come back, near or far apart, kernel or user', () => {
  for (const addresses of [
    [],
    [0x1000],
    [KERNEL, KERNEL + 4, KERNEL + 0x2000000],
    [0x400000, 0x400010, 0x400010],
    [0, 0xffffffff],
    [0, 0x1_0000_0000],
    [KERNEL, 0, 0x7fff_ffff_f000],
  ]) {
    const array = new AddressArray(addresses);
    assert.equal(array.length, addresses.length);
    assert.deepEqual([...array], addresses);
    assert.ok(Number.isNaN(array.at(addresses.length)));
  }
  assert.deepEqual([...new AddressArray([1, 2, 3, 4], 2)], [1, 2]);
});

test('ascending addresses are searched', () => {
  for (const far of [0, 2 ** 40]) {
    const array = new AddressArray([KERNEL, KERNEL + 4, KERNEL + 4, KERNEL + 8, far]);
    assert.equal(array.countUpTo(KERNEL - 1), 0);
    assert.equal(array.countUpTo(KERNEL), 1);
    assert.equal(array.countUpTo(KERNEL + 7), 3);
    assert.equal(array.countUpTo(2 ** 45), 5);
    assert.equal(array.countUpTo(KERNEL + 4, 1, 2), 2);
    assert.equal(array.countUpTo(KERNEL, 2, 4), 2);
  }
});
