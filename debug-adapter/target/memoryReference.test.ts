import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../errors.ts';
import { parseMemoryReference } from './memoryReference.ts';

test('linear, per vCPU and physical references', () => {
  assert.deepEqual(parseMemoryReference('0x1000'), { address: 0x1000n });
  assert.deepEqual(parseMemoryReference('4096', -16), { address: 0xff0n });
  assert.deepEqual(parseMemoryReference('cpu2:0xffffffff81000000'), {
    address: 0xffff_ffff_8100_0000n,
    cpu: 2,
  });
  assert.deepEqual(parseMemoryReference('PHYS:0x1000', 8), { address: 0x1008n, physical: true });
});

test('offsets wrap at 2^64', () => {
  assert.deepEqual(parseMemoryReference('0x0', -1), { address: 0xffff_ffff_ffff_ffffn });
});

test('anything else is a user error', () => {
  for (const text of [
    '',
    'rax',
    '0x',
    '0x11112222333344445',
    'phys',
    'phys0x1000',
    'cpu:0x1',
    'cpu0x1',
    '-1',
    '1.5',
  ]) {
    assert.throws(() => parseMemoryReference(text), UserError, text);
  }
});
