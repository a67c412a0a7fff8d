import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { asksToHold, ServiceGate } from './serviceGate.ts';

function newWords(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * ServiceGate.WORDS));
}

test('zeroed memory is a gate that nobody holds', () => {
  const gate = new ServiceGate(newWords(), () => undefined);
  assert.equal(asksToHold(gate.asked), false);
  assert.equal(gate.takeReset(), false);
});

test('hold returns when the service has followed, release lets it go on', () => {
  const seen: boolean[] = [];
  const gate = new ServiceGate(newWords(), () => {
    seen.push(asksToHold(gate.asked));
    gate.follow(gate.asked);
  });
  gate.hold();
  gate.release();
  assert.deepEqual(seen, [true, false]);
});

test('a reset is seen once by the service', () => {
  const gate = new ServiceGate(newWords(), () => gate.follow(gate.asked));
  gate.hold();
  gate.reset();
  gate.release();
  assert.equal(gate.takeReset(), true);
  assert.equal(gate.takeReset(), false);
});

test('who holds the gate waits for the other thread to finish what is under way', async () => {
  const words = newWords();
  const done = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    const { workerData: { words, done } } = require('node:worker_threads');
    while (Atomics.load(words, 0) === 0) Atomics.wait(words, 0, 0, 10);
    Atomics.store(done, 0, 1);
    Atomics.store(words, 1, Atomics.load(words, 0));
    Atomics.notify(words, 1);`;
  const worker = new Worker(source, { eval: true, workerData: { words, done } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  new ServiceGate(words, () => undefined).hold();
  assert.equal(Atomics.load(done, 0), 1);
  await ended;
});

test('who serves the device and waits for its turn follows a holder that asks only then', async () => {
  const words = newWords();
  const [ASKED, DONE, ASKER] = [0, 1, 3];
  const steps = new Int32Array(new SharedArrayBuffer(8)); // the other holds; it was told to hurry
  const source = `
    const { workerData: { words, steps } } = require('node:worker_threads');
    Atomics.store(words, ${ASKER}, 1);
    Atomics.store(steps, 0, 1);
    Atomics.notify(steps, 0);
    Atomics.wait(steps, 1, 0);
    Atomics.store(words, ${ASKED}, 1);
    process.exitCode = Atomics.wait(words, ${DONE}, 0, 5000) === 'timed-out' ? 1 : 0;
    Atomics.store(words, ${ASKED}, 2);
    Atomics.store(words, ${ASKER}, 0);
    Atomics.notify(words, ${ASKER});`;
  const worker = new Worker(source, { eval: true, workerData: { words, steps } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  Atomics.wait(steps, 0, 0);
  const gate = new ServiceGate(words, () => {
    gate.follow(gate.asked);
    Atomics.store(steps, 1, 1);
    Atomics.notify(steps, 1);
  });
  gate.hold();
  gate.release();
  assert.equal(await ended, 0, 'the other has not waited in vain');
});

test('nobody waits for a service whose thread has died', () => {
  const gate = new ServiceGate(newWords(), () => undefined);
  gate.break();
  gate.hold();
  gate.release();
  gate.hold();
});
