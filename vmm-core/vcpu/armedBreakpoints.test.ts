import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gpa } from '../memory/guestMemory.ts';
import { ARMED_HW, ARMED_SW, type Armed, ArmedBreakpoints, MAX_ARMED } from './armedBreakpoints.ts';

const KERNEL = 0xffff_ffff_8100_0000n;
const hardware = (address: bigint): Armed => ({ kind: ARMED_HW, address });
const software = (address: bigint, at: number, original: number): Armed => ({
  kind: ARMED_SW,
  address,
  gpa: gpa(at),
  original,
});

test('what main arms is seen by every thread that has the same bytes', () => {
  const main = new ArmedBreakpoints();
  const vcpu = new ArmedBreakpoints(main.buffer);
  const armed = [hardware(KERNEL), software(KERNEL + 5n, 0x100_0005, 0x55)];
  main.replace(armed);
  assert.deepEqual(vcpu.entries(), armed);
  assert.deepEqual(vcpu.at(KERNEL), armed[0]);
  assert.deepEqual(vcpu.at(KERNEL + 5n), armed[1]);
  assert.equal(vcpu.at(KERNEL + 1n), undefined);
  assert.deepEqual(vcpu.hardware(), [KERNEL]);
});

test('replacing forgets what was there, and each replacement is a new generation', () => {
  const table = new ArmedBreakpoints();
  const before = table.generation;
  table.replace([hardware(1n), hardware(2n)]);
  table.replace([hardware(3n)]);
  assert.deepEqual(table.entries(), [hardware(3n)]);
  assert.equal(table.at(2n), undefined);
  table.replace([]);
  assert.equal(table.count, 0);
  assert.equal(table.generation, before + 3);
});

test('addresses use all 64 bits, guest-physical ones all 52', () => {
  const table = new ArmedBreakpoints();
  const entry = software(2n ** 64n - 1n, 2 ** 52 - 1, 0xcc);
  table.replace([entry, hardware(0n)]);
  assert.deepEqual(table.at(2n ** 64n - 1n), entry);
  assert.deepEqual(table.at(0n), hardware(0n));
});

test('a table holds MAX_ARMED and no more', () => {
  const table = new ArmedBreakpoints();
  table.replace(Array.from({ length: MAX_ARMED + 5 }, (_, i) => hardware(BigInt(i))));
  assert.equal(table.count, MAX_ARMED);
  assert.deepEqual(table.at(BigInt(MAX_ARMED - 1)), hardware(BigInt(MAX_ARMED - 1)));
  assert.equal(table.at(BigInt(MAX_ARMED)), undefined);
});
