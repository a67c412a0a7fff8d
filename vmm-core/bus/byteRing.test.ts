import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { newRing, randomNumbers } from '../../test/support/devices.ts';
import { ByteRing } from './byteRing.ts';

test('bytes come out in the order they went in, across the wrap', () => {
  const ring = newRing(8);
  const random = randomNumbers(3);
  const sent: number[] = [];
  const got: number[] = [];
  for (let i = 0; i < 5000; i++) {
    const chunk = Uint8Array.from({ length: random(6) }, () => random(256));
    if (random(2) === 0) sent.push(...chunk.subarray(0, ring.pushAll(chunk)));
    else for (const byte of chunk) if (ring.push(byte)) sent.push(byte);
    assert.equal(ring.length, sent.length - got.length);
    assert.equal(ring.free, 8 - ring.length);
    if (random(3) === 0) got.push(...ring.drain());
    else if (random(2) === 0) {
      const byte = ring.shift();
      if (byte !== undefined) got.push(byte);
    }
  }
  got.push(...ring.drain());
  assert.deepEqual(got, sent);
});

test('a full ring refuses a byte, pushAll takes what fits', () => {
  const ring = newRing(4);
  assert.equal(ring.pushAll(Uint8Array.of(1, 2, 3, 4, 5, 6)), 4);
  assert.equal(ring.push(7), false);
  assert.equal(ring.shift(), 1);
  assert.equal(ring.push(7), true);
  assert.deepEqual([...ring.drain()], [2, 3, 4, 7]);
  assert.equal(ring.shift(), undefined);
});

test('counters wrap at 2^32 without losing a byte', () => {
  const buffer = new SharedArrayBuffer(ByteRing.sizeBytes(8));
  new Int32Array(buffer, 0, 2).fill(-3);
  const ring = new ByteRing(buffer, 0, 8);
  assert.equal(ring.pushAll(Uint8Array.of(1, 2, 3, 4, 5, 6)), 6);
  assert.equal(ring.length, 6);
  assert.deepEqual([...ring.drain()], [1, 2, 3, 4, 5, 6]);
});

test('a capacity that is not a power of two is refused', () => {
  assert.throws(() => new ByteRing(new SharedArrayBuffer(64), 0, 12), RangeError);
});

test('the consumer is woken once, until it drains', () => {
  const ring = newRing(8);
  ring.push(1);
  assert.equal(ring.takeWakeup(), true);
  ring.push(2);
  assert.equal(ring.takeWakeup(), false);
  ring.drain();
  assert.equal(ring.takeWakeup(), true);
  ring.drain();
});

test('waitForSpace gives up after its time and returns at once when there is room', () => {
  const ring = newRing(4);
  assert.equal(ring.waitForSpace(0), true);
  ring.pushAll(new Uint8Array(4));
  assert.equal(ring.waitForSpace(5), false);
  ring.shift();
  assert.equal(ring.waitForSpace(1000), true);
});

test(
  'a producer thread faster than the consumer waits for space and loses nothing',
  { timeout: 20_000 },
  async () => {
    const capacity = 64;
    const total = 20_000;
    const buffer = new SharedArrayBuffer(ByteRing.sizeBytes(capacity));
    const ring = new ByteRing(buffer, 0, capacity);
    const producer = new Worker(
      `require('tsx/cjs');
     const { parentPort, workerData } = require('node:worker_threads');
     const { ByteRing } = require(workerData.module);
     const ring = new ByteRing(workerData.buffer, 0, ${capacity});
     for (let i = 0; i < ${total}; i++) {
       while (!ring.push(i % 251)) if (!ring.waitForSpace(10000)) throw new Error('no space');
       if (ring.takeWakeup()) parentPort.postMessage('output');
     }
     parentPort.postMessage('done');`,
      { eval: true, workerData: { buffer, module: require.resolve('./byteRing.ts') } },
    );
    const got: number[] = [];
    await new Promise<void>((resolve, reject) => {
      producer.on('error', reject);
      producer.on('message', () => {
        // One drain per message: no wake-up may be lost.
        got.push(...ring.drain());
        if (got.length === total) resolve();
      });
    });
    await producer.terminate();
    assert.ok(got.every((byte, i) => byte === i % 251));
  },
);
