import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvmError } from '../errors.ts';
import { EINTR, EIO } from '../kvm/errno.ts';
import { GuestEntry } from './guestEntry.ts';

/** KVM_RUN gives these results, one after the other. */
function entryInto(results: readonly number[]) {
  const left = [...results];
  const entry = new GuestEntry({ enter: () => left.shift() ?? assert.fail('entered once more') });
  return { entry, left };
}

test('an exit is to be answered, a signal is not, and what else the kernel says is an error', () => {
  const { entry } = entryInto([0, -EINTR, -EIO]);
  assert.equal(entry.enter(), true);
  assert.equal(entry.enter(), false);
  assert.throws(() => entry.enter(), KvmError);
});

test('a guest that is held is not entered before all that holds it is over, and looks for a stop in between', () => {
  const { entry, left } = entryInto([0]);
  let isDone = false;
  let isOtherDone = false;
  entry.hold(() => isDone);
  entry.hold(() => isOtherDone);
  assert.equal(entry.enter(), false);
  isDone = true;
  assert.equal(entry.enter(), false);
  assert.equal(entry.isHeld, true);
  isOtherDone = true;
  assert.equal(entry.enter(), false);
  assert.deepEqual([entry.isHeld, left.length], [false, 1]);
  assert.equal(entry.enter(), true);
});

test('however often a guest is held, it waits for one of them before it looks for a stop', () => {
  const { entry } = entryInto([]);
  let waits = 0;
  const neverOver = (): boolean => {
    waits++;
    return false;
  };
  for (let i = 0; i < 4096; i++) entry.hold(neverOver);
  assert.equal(entry.enter(), false);
  assert.equal(waits, 1);
});
