import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FakeThread, fakeVcpus } from '../../test/support/fakeThread.ts';
import { STOP } from '../protocol/stopCause.ts';

const STEP = { flags: 0, start: 0n, end: 0n };

function told(threads: readonly FakeThread[]): readonly string[][] {
  return threads.map((thread) => thread.told);
}

test('vCPUs that run together are started from the last to the first, and come back together', async () => {
  const { threads, vcpus } = fakeVcpus(2);
  const order: number[] = [];
  for (const thread of threads) void thread.started().then(() => order.push(thread.index));
  const stops = vcpus.run();
  threads[1]?.hit(0x1000n);
  assert.deepEqual(await stops, [
    { cpu: 0, cause: { kind: STOP.pause } },
    { cpu: 1, cause: { kind: STOP.breakpoint } },
  ]);
  assert.deepEqual(order, [1, 0]);
});

test('a step concerns one vCPU', async () => {
  const { threads, vcpus } = fakeVcpus(3);
  const stop = vcpus.step(1, STEP);
  threads[1]?.stop({ kind: STOP.step });
  assert.deepEqual(await stop, { kind: STOP.step });
  assert.deepEqual(told(threads), [[], ['step'], []]);
  await assert.rejects(vcpus.step(3, STEP), /no vCPU 3/);
});

test('pausing stopped vCPUs does nothing', async () => {
  const { threads, vcpus } = fakeVcpus(1);
  vcpus.pause();
  const stops = vcpus.run();
  assert.deepEqual(told(threads), [['run']]);
  vcpus.pause();
  assert.deepEqual(await stops, [{ cpu: 0, cause: { kind: STOP.pause } }]);
});

test('a stop is reported once, even if several say that they were the last', async () => {
  const { threads, vcpus } = fakeVcpus(2);
  const first = vcpus.run();
  vcpus.pause();
  await first;
  let isOver = false;
  const second = vcpus.run().then(() => (isOver = true));
  threads[1]?.onStop(); // of the run before
  await new Promise(setImmediate);
  assert.equal(isOver, false);
  vcpus.pause();
  await second;
});

test('letting run what runs is a bug and says so', async () => {
  const { vcpus } = fakeVcpus(1);
  void vcpus.run();
  await assert.rejects(vcpus.run(), /running already/);
});
