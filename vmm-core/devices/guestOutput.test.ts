import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRing } from '../../test/support/devices.ts';
import { GuestOutput } from './guestOutput.ts';

const CAPACITY = 64;
const RESERVE = CAPACITY / 4;

function pushes(output: GuestOutput): number {
  let count = 0;
  while (output.push(count & 0xff)) count++;
  return count;
}

test('a guest is held back while the reserve is still free; in a hurry it uses that, and then drops', () => {
  const ring = newRing(CAPACITY);
  const output = new GuestOutput({ name: 'test', ring, onOutput: () => undefined });
  assert.equal(pushes(output), CAPACITY - RESERVE);
  ring.hurried = true;
  assert.equal(output.waitForSpace(), true, 'there is the reserve');
  assert.equal(pushes(output), RESERVE);
  assert.equal(output.waitForSpace(), false, 'and nothing more');
  ring.drain();
  ring.hurried = false;
  assert.equal(pushes(output), CAPACITY - RESERVE);
});

test('the thread that reads the ring itself does not wait, and uses the reserve', () => {
  const ring = newRing(CAPACITY);
  const output = new GuestOutput({ name: 'test', ring, onOutput: () => undefined, waitMs: 0 });
  assert.equal(pushes(output), CAPACITY);
  assert.equal(output.waitForSpace(), false);
});
