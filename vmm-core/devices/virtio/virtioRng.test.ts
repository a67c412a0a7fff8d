import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MockDriver, readable, writable } from '../../../test/support/mockDriver.ts';
import { MmioDriver, VirtioMachine } from '../../../test/support/virtioMachine.ts';
import { allocateGuestMemory } from '../../memory/guestMemory.ts';
import { MAX_REQUEST_BYTES, virtioRng } from './virtioRng.ts';
import { virtioState } from './virtioState.ts';

function startedRng(queue: MockDriver) {
  const machine = new VirtioMachine(virtioRng, virtioState(1, 0), queue.memory, { virtio: 'mmio' });
  const driver = new MmioDriver(machine);
  driver.start([queue.rings]);
  return { machine, driver };
}

describe('the virtio entropy device (§5.4)', () => {
  it('fills each buffer that it may write, and says how much', () => {
    const queue = new MockDriver({ hasEventIdx: true });
    const { driver } = startedRng(queue);
    const head = queue.addChain([readable(4), writable(64), writable(32)]);
    driver.kick(0);
    assert.deepEqual(queue.used(), [{ head, writtenBytes: 96 }]);
    assert.ok(queue.bytesOf(0).every((it) => it === 0));
    for (const index of [1, 2]) assert.ok(queue.bytesOf(index).some((it) => it !== 0));
  });

  it('gives a request no more than 64 KiB, however its buffers overlap', () => {
    const memory = allocateGuestMemory([{ base: 0, sizeBytes: 0x10_0000 }]);
    const queue = new MockDriver({ memory, hasEventIdx: true });
    const { driver } = startedRng(queue);
    queue.addChain([1, 2, 3, 4, 5].map(() => writable(0x8_0000, 0x8_0000)));
    driver.kick(0);
    assert.deepEqual(
      queue.used().map(({ writtenBytes }) => writtenBytes),
      [MAX_REQUEST_BYTES],
    );
  });

  it('returns a request that it can write nothing to', () => {
    const queue = new MockDriver({ hasEventIdx: true });
    const { driver } = startedRng(queue);
    const head = queue.addChain([readable(4)]);
    driver.kick(0);
    assert.deepEqual(queue.used(), [{ head, writtenBytes: 0 }]);
  });

  it('takes a bounded number of requests at a time', () => {
    const queue = new MockDriver({ size: 64, hasEventIdx: true });
    const { driver, machine } = startedRng(queue);
    machine.isMainBusy = true;
    for (let i = 0; i < 64; i++) queue.addChain([writable(1, 0x100)]);
    driver.kick(0);
    machine.turn();
    const first = queue.used().length;
    assert.ok(first > 0 && first < 64);
    for (let i = 0; i < 4; i++) machine.turn();
    assert.equal(queue.used().length, 64 - first);
  });
});
