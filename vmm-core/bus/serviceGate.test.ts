import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ServiceGate } from './serviceGate.ts';

const nothing = (): void => undefined;

function newWords(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * ServiceGate.WORDS));
}

test('at zeroed memory nothing is asked for, and nobody waits', () => {
  const gate = new ServiceGate(newWords(), nothing);
  assert.equal(gate.isAsked, false);
  assert.equal(gate.wait(gate.asked), true);
});

test('who asks wakes the service, and waits no longer than that takes', () => {
  const seen: boolean[] = [];
  const gate = new ServiceGate(newWords(), () => {
    seen.push(gate.isAsked);
    gate.follow(gate.asked);
  });
  gate.ask();
  assert.equal(gate.wait(gate.asked), true);
  assert.deepEqual([seen, gate.isAsked], [[true], false]);
});

test('who waits for some time only learns that it is not done', () => {
  const gate = new ServiceGate(newWords(), nothing);
  gate.ask();
  const { asked } = gate;
  assert.equal(gate.wait(asked, 0), false);
  assert.equal(gate.wait(asked, 1), false);
  gate.follow(asked);
  assert.equal(gate.wait(asked, 0), true);
});

test('what others ask for later is not waited for', () => {
  const gate = new ServiceGate(newWords(), nothing);
  gate.ask();
  const { asked } = gate;
  gate.ask();
  gate.follow(asked);
  assert.equal(gate.wait(asked, 0), true);
  assert.equal(gate.isAsked, true);
  assert.equal(gate.wait(gate.asked, 0), false);
});

test('the counts wrap', () => {
  const words = newWords().fill(2 ** 31 - 1, 0, 2);
  const gate = new ServiceGate(words, nothing);
  gate.ask();
  assert.equal(gate.wait(gate.asked, 0), false);
  gate.follow(gate.asked);
  assert.equal(gate.wait(gate.asked, 0), true);
});

test('who waits is woken by the other thread when that is done', async () => {
  const words = newWords();
  const done = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    const { workerData: { words, done } } = require('node:worker_threads');
    const [ASKED, DONE] = [0, 1];
    while (Atomics.load(words, ASKED) === 0) Atomics.wait(words, ASKED, 0, 10);
    Atomics.store(done, 0, 1);
    Atomics.store(words, DONE, Atomics.load(words, ASKED));
    Atomics.notify(words, DONE);`;
  const worker = new Worker(source, { eval: true, workerData: { words, done } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const gate = new ServiceGate(words, nothing);
  gate.ask();
  assert.equal(gate.wait(gate.asked), true);
  assert.equal(Atomics.load(done, 0), 1);
  await ended;
});

test('nobody waits for a service whose thread has ended', () => {
  const gate = new ServiceGate(newWords(), nothing);
  gate.ask();
  gate.break();
  assert.equal(gate.wait(gate.asked), true);
  gate.ask();
  assert.equal(gate.wait(gate.asked), true);
});
