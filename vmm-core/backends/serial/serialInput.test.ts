import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { newRing } from '../../../test/support/devices.ts';
import { log } from '../../log.ts';
import { MAX_TYPED_BYTES, SerialInput } from './serialInput.ts';

/**
 * A UART that takes bursts of 16 from the ring whenever the guest has read what it had. Time is the test's.
 */
function newInput(t: TestContext, ringBytes = 64) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const ring = newRing(ringBytes);
  const guest = { inFifo: 0, received: '', looks: 0 };
  const receive = (): number => {
    guest.looks++;
    while (guest.inFifo < 16) {
      const byte = ring.shift();
      if (byte === undefined) break;
      guest.received += String.fromCharCode(byte);
      guest.inFifo++;
    }
    return guest.inFifo;
  };
  return { input: new SerialInput('com1', { receive }, ring), guest };
}

test('what does not fit into the ring follows in order as the guest reads', (t) => {
  const { input, guest } = newInput(t);
  const text = Array.from({ length: 3000 }, (_, i) => String.fromCharCode(33 + (i % 90))).join('');
  assert.ok(input.type(Buffer.from(text.slice(0, 1000), 'latin1')));
  assert.ok(input.type(Buffer.from(text.slice(1000), 'latin1')));
  for (let ms = 0; guest.received.length < text.length && ms < 1000; ms++) {
    guest.inFifo = 0;
    t.mock.timers.tick(1);
  }
  assert.equal(guest.received, text);
});

test('no timer runs when the device has taken everything', (t) => {
  const { input, guest } = newInput(t);
  input.type(Buffer.from('ls\n'));
  assert.equal(guest.looks, 1);
  t.mock.timers.tick(10_000);
  assert.equal(guest.looks, 1);
});

test('a guest that reads nothing is looked at ever less often, and soon again once it reads', (t) => {
  const { input, guest } = newInput(t);
  input.type(Buffer.from('x'.repeat(40)));
  t.mock.timers.tick(10_000);
  assert.ok(guest.looks < 100, `${guest.looks} looks in ten seconds`);
  for (let ms = 0; guest.received.length < 40 && ms < 200; ms++) {
    guest.inFifo = 0;
    t.mock.timers.tick(1);
  }
  assert.equal(guest.received.length, 40);
});

test('more than a megabyte that nobody reads is refused, and the log says so', (t) => {
  const said = t.mock.method(log, 'guest', () => undefined);
  const { input } = newInput(t);
  assert.ok(input.type(new Uint8Array(MAX_TYPED_BYTES)));
  assert.equal(input.type(new Uint8Array(MAX_TYPED_BYTES)), false);
  assert.equal(said.mock.callCount(), 1);
});
