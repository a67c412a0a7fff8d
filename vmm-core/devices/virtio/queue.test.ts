/** Sections are those of virtio 1.2. What a hostile guest breaks must hurt only itself. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { MockDriver, type MockDriverOptions, readable, writable } from '../../../test/support/mockDriver.ts';
import {
  VRING_AVAIL_F_NO_INTERRUPT,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_USED_F_NO_NOTIFY,
} from '../../abi/virtioRing.ts';
import { allocateGuestMemory } from '../../memory/guestMemory.ts';
import { DescriptorChain, MAX_QUEUE_SIZE } from './descriptorChain.ts';
import { type QueueRings, SplitQueue } from './queue.ts';

const RAM_BYTES = 0x10_0000;
/** Descriptors, right and wrong, and what is available, over and over. */
const SCRIBBLER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { shared, desc, available, stop } = workerData;
  const values = [0, 1, 4, 7, 16, 64, 0x10000, 0x20000, 0xfffff, 0x100000, 0xffffffff, 0x10001, 0x30003];
  parentPort.postMessage('ready');
  for (let seed = 1; Atomics.load(stop, 0) === 0;) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const value = values[(seed >>> 8) % values.length];
    shared[desc / 4 + ((seed >>> 16) % 32)] = value;
    if (seed % 16 === 0) shared[available / 4] = ((seed >>> 4) % 8) << 16;
  }`;

class TestQueue {
  readonly driver: MockDriver;
  readonly queue: SplitQueue;
  readonly chain = new DescriptorChain();
  readonly broken: string[] = [];

  constructor(options: MockDriverOptions = {}, rings: Partial<QueueRings> = {}) {
    this.driver = new MockDriver(options);
    this.queue = new SplitQueue(0, this.driver.memory, (rule) => this.broken.push(rule));
    this.queue.enable({ ...this.driver.rings, ...rings });
  }

  pop(): boolean {
    return this.queue.pop(this.chain);
  }

  /** The device finds that the driver broke a rule of that section, once, and the queue is empty then. */
  assertBroken(section: string): void {
    assert.equal(this.pop(), false);
    assert.equal(this.broken.length, 1, `${this.broken.length} rules broken, not one`);
    assert.equal(this.broken[0]?.split(':')[0], section);
    assert.equal(this.queue.isInUse, false);
    assert.equal(this.pop(), false);
    this.queue.push(0, 0);
    assert.equal(this.queue.takeInterrupt(), false);
    assert.equal(this.broken.length, 1);
  }
}

describe('chains that are returned together (§5.1.6.4)', () => {
  it('are seen when they are published, all at once', () => {
    const { driver, queue } = new TestQueue();
    queue.put(3, 100);
    queue.put(5, 7);
    assert.deepEqual(driver.used(), []);
    queue.publish();
    assert.deepEqual(driver.used(), [
      { head: 3, writtenBytes: 100 },
      { head: 5, writtenBytes: 7 },
    ]);
  });

  it('are of no queue that is not in use', () => {
    const { driver, queue } = new TestQueue();
    queue.disable();
    queue.put(3, 100);
    queue.publish();
    queue.unpop(1);
    assert.deepEqual([driver.used(), queue.nextAvail], [[], 0]);
  });
});

it('a chain that nothing was done with is available again', () => {
  const { driver, queue, chain } = new TestQueue();
  const heads = [driver.addChain([writable(10)]), driver.addChain([writable(20)])];
  assert.ok(queue.pop(chain) && queue.pop(chain));
  assert.equal(queue.pop(chain), false);
  queue.unpop(2);
  const again = heads.map(() => (queue.pop(chain) ? chain.head : -1));
  assert.deepEqual([again, queue.pop(chain)], [heads, false]);
});

describe('a split virtqueue', () => {
  it('hands out a chain with what the device reads first, and returns it (§2.7.4, §2.7.8)', () => {
    const { driver, queue, chain } = new TestQueue();
    const head = driver.addChain([
      readable(Uint8Array.of(1, 2, 3)),
      readable(16),
      writable(512),
      writable(1),
    ]);
    assert.equal(queue.pop(chain), true);
    const { segments, readableBytes, writableBytes } = chain;
    assert.deepEqual([chain.head, segments, chain.readable], [head, 4, 2]);
    assert.deepEqual([readableBytes, writableBytes], [19, 513]);
    assert.deepEqual([...chain.length.subarray(0, 4)], [3, 16, 512, 1]);
    assert.equal(driver.view.getUint8((chain.gpa[0] ?? 0) + 1), 2);
    assert.equal(queue.pop(chain), false);
    assert.deepEqual(driver.used(), []);
    queue.push(head, 513);
    assert.deepEqual(driver.used(), [{ head, writtenBytes: 513 }]);
  });

  it('goes on over the wrap of its indexes at 2^16 (§2.7.13.3)', () => {
    const { driver, queue, chain } = new TestQueue({ size: 4 });
    for (let i = 0; i < 0x1_0004; i++) {
      const head = driver.addChain([writable(8, 0x8000)]);
      assert.ok(queue.pop(chain));
      queue.push(chain.head, i);
      assert.deepEqual(driver.used(), [{ head, writtenBytes: i }]);
    }
  });

  it('returns chains in the order of push, whatever that of pop was (§2.7.8)', () => {
    const { driver, queue, chain } = new TestQueue();
    const heads = [1, 2, 3].map((bytes) => driver.addChain([writable(bytes)]));
    for (const head of heads) {
      assert.ok(queue.pop(chain));
      assert.equal(chain.head, head);
    }
    for (const head of heads.toReversed()) queue.push(head, 0);
    assert.deepEqual(
      driver.used().map(({ head }) => head),
      heads.toReversed(),
    );
  });

  it('reads a table of indirect descriptors, aligned or not (§2.7.5.3)', () => {
    for (const shift of [0, 2]) {
      const { driver, queue, chain } = new TestQueue({ hasIndirect: true });
      if (shift !== 0) driver.allocate(shift, 1);
      const head = driver.addIndirectChain([readable(16, 0x100), readable(8, 0x200), writable(512, 0x300)]);
      if (shift !== 0) moveTable(driver, head, shift);
      assert.ok(queue.pop(chain));
      assert.deepEqual([chain.head, chain.segments, chain.readable], [head, 3, 2]);
      assert.deepEqual([...chain.gpa.subarray(0, 3)], [0x100, 0x200, 0x300]);
    }
  });

  it('ignores the write flag of the descriptor that names an indirect table (§2.7.5.3.2)', () => {
    const { driver, queue, chain, broken } = new TestQueue({ hasIndirect: true });
    const head = driver.addIndirectChain([readable(16, 0x100)]);
    driver.view.setUint16(driver.rings.desc + 12, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, true);
    assert.ok(queue.pop(chain));
    assert.deepEqual([chain.head, chain.readable, broken.length], [head, 1, 0]);
  });

  it('leaves out empty buffers; a chain may have no others', () => {
    const { driver, queue, chain, broken } = new TestQueue();
    driver.addChain([readable(0, 0x100), writable(4), writable(0, 0xffff_ffff)]);
    driver.addChain([writable(0, 0)]);
    assert.ok(queue.pop(chain));
    assert.deepEqual([chain.segments, chain.readable, chain.writableBytes], [1, 0, 4]);
    assert.ok(queue.pop(chain));
    assert.deepEqual([chain.segments, broken.length], [0, 0]);
  });

  it('starts anew when it is enabled again (§2.6.1)', () => {
    const { driver, queue, chain } = new TestQueue();
    driver.addChain([writable(4)]);
    assert.ok(queue.pop(chain));
    queue.push(chain.head, 4);
    queue.disable();
    queue.push(chain.head, 4);
    assert.equal(driver.used().length, 1);
    queue.enable(driver.rings);
    assert.equal(queue.nextAvail, 0);
    assert.equal(queue.nextUsed, 0);
  });
});

describe('a queue on loan', () => {
  it('is empty, and nothing of it is written, until it is taken back where it has come to', () => {
    const test = new TestQueue({ size: 4 });
    test.driver.addChain([readable(1)]);
    assert.ok(test.pop());
    test.queue.push(test.chain.head, 0);
    assert.deepEqual(test.queue.lend(), { ...test.driver.rings, nextAvail: 1 });
    assert.equal(test.queue.lend(), undefined);
    const before = test.driver.bytes.slice();
    test.driver.addChain([readable(1)]);
    const heads = [readable(2), readable(3)].map((it) => test.driver.addChain([it]));
    const after = test.driver.bytes.slice();
    assert.notDeepEqual(after, before);
    assert.ok(test.queue.isInUse && !test.pop() && !test.queue.takeInterrupt());
    test.queue.push(heads[0] ?? 0, 1);
    test.queue.unpop(1);
    assert.deepEqual(test.driver.bytes, after);
    test.queue.takeBack(2);
    assert.ok(test.pop());
    assert.equal(test.chain.head, heads[0]);
    assert.deepEqual([test.queue.nextAvail, test.queue.nextUsed], [3, 2]);
  });

  it('that the driver takes away is not taken back', () => {
    const test = new TestQueue();
    test.queue.lend();
    test.queue.disable();
    assert.ok(!test.queue.isInUse);
    test.queue.takeBack(3);
    assert.ok(!test.queue.isInUse);
    assert.equal(test.queue.nextAvail, 0);
    assert.equal(test.queue.lend(), undefined);
  });
});

describe('kicks (§2.7.10)', () => {
  it('without EVENT_IDX are unwanted from the first chain until the queue is empty', () => {
    const { driver, queue, chain } = new TestQueue();
    assert.equal(driver.usedFlags, 0);
    driver.addChain([writable(4)]);
    assert.ok(queue.pop(chain));
    assert.equal(driver.usedFlags, VRING_USED_F_NO_NOTIFY);
    assert.equal(queue.pop(chain), false);
    assert.equal(driver.usedFlags, 0);
  });

  it('with EVENT_IDX are wanted for what comes after the last chain seen, and flags stay 0', () => {
    const { driver, queue, chain } = new TestQueue({ hasEventIdx: true });
    driver.addChain([writable(4)]);
    assert.ok(driver.wantsKick(0));
    assert.ok(queue.pop(chain));
    driver.addChain([writable(4)]);
    assert.ok(!driver.wantsKick(1), 'the device is looking anyway');
    assert.ok(queue.pop(chain));
    assert.equal(queue.pop(chain), false);
    assert.equal(driver.availEvent, 2);
    driver.addChain([writable(4)]);
    assert.ok(driver.wantsKick(2));
    assert.equal(driver.usedFlags, 0);
  });
});

describe('interrupts (§2.7.7)', () => {
  it('without EVENT_IDX follow avail.flags', () => {
    const { driver, queue } = new TestQueue();
    assert.equal(queue.takeInterrupt(), false, 'nothing was pushed');
    queue.push(0, 0);
    assert.equal(queue.takeInterrupt(), true);
    assert.equal(queue.takeInterrupt(), false, 'one is enough');
    driver.setAvailFlags(VRING_AVAIL_F_NO_INTERRUPT);
    queue.push(0, 0);
    assert.equal(queue.takeInterrupt(), false);
  });

  it('with EVENT_IDX come when used.idx passes used_event, and flags are ignored (§2.7.7.2)', () => {
    const { driver, queue } = new TestQueue({ hasEventIdx: true });
    driver.setAvailFlags(VRING_AVAIL_F_NO_INTERRUPT);
    driver.setUsedEvent(2);
    queue.push(0, 0);
    queue.push(0, 0);
    assert.equal(queue.takeInterrupt(), false);
    queue.push(0, 0);
    assert.equal(queue.takeInterrupt(), true);
    queue.push(0, 0);
    assert.equal(queue.takeInterrupt(), false);
  });
});

describe('hostile rings', () => {
  const refused: readonly [string, Partial<QueueRings>][] = [
    ['of size 0', { size: 0 }],
    ['of a size that is no power of two', { size: 12 }],
    ['larger than the device offers', { size: 2 * MAX_QUEUE_SIZE }],
    ['whose descriptor table is not 16-byte aligned', { desc: 0x1_0008 }],
    ['whose available ring is not 2-byte aligned', { driver: 0x1_1001 }],
    ['whose used ring is not 4-byte aligned', { device: 0x1_2002 }],
    ['whose descriptor table ends outside memory', { desc: RAM_BYTES - 0x70 }],
    ['whose available ring ends outside memory', { driver: RAM_BYTES - 20 }],
    ['whose used ring ends outside memory', { device: RAM_BYTES - 64 }],
    ['at the end of the address space', { desc: 2 ** 64 - 0x1000 }],
    ['beyond what a page table can map', { device: 2 ** 52 }],
  ];
  for (const [what, rings] of refused) {
    it(`are refused ${what} (§2.7)`, () => new TestQueue({}, rings).assertBroken('§2.7'));
  }

  it('of two slots of memory are refused', () => {
    const memory = allocateGuestMemory([
      { base: 0, sizeBytes: 0x1_0000 },
      { base: 0x1_0000, sizeBytes: 0x1_0000 },
    ]);
    const broken: string[] = [];
    const queue = new SplitQueue(0, memory, (rule) => broken.push(rule));
    const flags = { hasEventIdx: false, hasIndirect: false };
    assert.equal(queue.enable({ size: 8, desc: 0xffc0, driver: 0, device: 0x1000, ...flags }), false);
    assert.equal(broken.length, 1);
    assert.equal(queue.enable({ size: 8, desc: 0x1_ff80, driver: 0, device: 0x1000, ...flags }), true);
  });
});

describe('a hostile driver', () => {
  it('makes more available than the queue has (§2.7.6)', () => {
    const test = new TestQueue({ size: 8 });
    test.driver.setAvailIdx(9);
    test.assertBroken('§2.7.6');
  });

  it('takes available chains back (§2.7.6.1)', () => {
    const test = new TestQueue({ size: 8 });
    test.driver.addChain([writable(4)]);
    assert.ok(test.pop());
    test.driver.setAvailIdx(0);
    test.assertBroken('§2.7.6');
  });

  it('offers a head that is no descriptor (§2.7.5)', () => {
    const test = new TestQueue({ size: 8 });
    test.driver.offer(8);
    test.assertBroken('§2.7.5');
  });

  it('continues a chain outside the table (§2.7.5)', () => {
    const test = new TestQueue({ size: 8 });
    test.driver.addChain([readable(1)]);
    test.driver.writeDescriptor(0, { gpa: 0, lengthBytes: 4, flags: VRING_DESC_F_NEXT, next: 0xffff });
    test.assertBroken('§2.7.5');
  });

  it('makes a chain a loop, of empty buffers too (§2.7.5.2)', () => {
    for (const lengthBytes of [0, 4]) {
      const test = new TestQueue({ size: 8 });
      test.driver.addChain([readable(1)]);
      test.driver.writeDescriptor(0, { gpa: 0, lengthBytes, flags: VRING_DESC_F_NEXT, next: 1 });
      test.driver.writeDescriptor(1, { gpa: 0, lengthBytes, flags: VRING_DESC_F_NEXT, next: 0 });
      test.assertBroken('§2.7.5.2');
    }
  });

  it('puts a buffer to read after one to write (§2.7.4.2)', () => {
    const test = new TestQueue();
    test.driver.addChain([writable(4), readable(4)]);
    test.assertBroken('§2.7.4.2');
  });

  const places: readonly [string, number | bigint, number][] = [
    ['in the hole', 0xd000_0000, 4],
    ['one byte too long', RAM_BYTES - 3, 4],
    ['at the top of the address space, so that its end wraps', 2n ** 64n - 4n, 8],
    ['where a double cannot hold the sum', 2n ** 53n - 1n, 2],
    ['of 4 GiB', 0, 0xffff_ffff],
  ];
  for (const [what, at, lengthBytes] of places) {
    it(`names a buffer ${what} (§2.7.5)`, () => {
      const test = new TestQueue();
      test.driver.addChain([writable(4)]);
      test.driver.writeDescriptor(0, { gpa: at, lengthBytes, flags: VRING_DESC_F_WRITE });
      test.assertBroken('§2.7.5');
    });
  }

  it('names a buffer that lies in two slots of memory (§2.7.5)', () => {
    const memory = allocateGuestMemory([
      { base: 0, sizeBytes: RAM_BYTES },
      { base: RAM_BYTES, sizeBytes: 0x1_0000 },
    ]);
    const test = new TestQueue({ memory });
    test.driver.addChain([writable(8, RAM_BYTES - 4)]);
    test.assertBroken('§2.7.5');
  });

  it('makes a chain of more than 4 GiB (§2.7.5.2)', () => {
    const memory = allocateGuestMemory([{ base: 0, sizeBytes: 0x7000_0000 }]); // never touched: costs nothing
    const test = new TestQueue({ memory });
    test.driver.addChain([1, 2, 3].map(() => writable(0x7000_0000, 0)));
    test.assertBroken('§2.7.5.2');
  });
});

describe('hostile indirect tables', () => {
  function broken(section: string, spoil: (driver: MockDriver) => void, hasIndirect = true): void {
    const test = new TestQueue({ hasIndirect });
    test.driver.addIndirectChain([readable(4, 0x100), writable(4, 0x200)]);
    spoil(test.driver);
    test.assertBroken(section);
  }
  const respell = (more: { gpa?: number; lengthBytes?: number; flags?: number }) => (driver: MockDriver) => {
    const gpa = Number(driver.view.getBigUint64(driver.rings.desc, true));
    driver.writeDescriptor(0, { gpa, lengthBytes: 32, flags: VRING_DESC_F_INDIRECT, ...more });
  };

  it('are refused when INDIRECT_DESC was not negotiated (§2.7.5.3.1)', () => {
    broken('§2.7.5.3.1', () => undefined, false);
  });

  it('are refused together with NEXT (§2.7.5.3.1)', () => {
    broken('§2.7.5.3.1', respell({ flags: VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT }));
  });

  it('are refused when empty, or with a part of a descriptor (§2.7.5.3)', () => {
    broken('§2.7.5.3', respell({ lengthBytes: 0 }));
    broken('§2.7.5.3', respell({ lengthBytes: 24 }));
  });

  it('are refused outside memory (§2.7.5.3)', () => {
    broken('§2.7.5.3', respell({ gpa: RAM_BYTES - 16 }));
  });

  it('are refused with more entries than a chain may have, before any is copied (§2.7.5.3.1)', () => {
    broken('§2.7.5.3.1', respell({ gpa: 0, lengthBytes: 16 * (MAX_QUEUE_SIZE + 1) }));
  });

  it('are refused inside another, which names itself (§2.7.5.3.1)', () => {
    broken('§2.7.5.3.1', (driver) => {
      const gpa = Number(driver.view.getBigUint64(driver.rings.desc, true));
      driver.writeDescriptor(0, { gpa, lengthBytes: 32, flags: VRING_DESC_F_INDIRECT }, gpa);
    });
  });

  it('are refused when they loop (§2.7.5.2)', () => {
    broken('§2.7.5.2', (driver) => {
      const gpa = Number(driver.view.getBigUint64(driver.rings.desc, true));
      driver.writeDescriptor(1, { gpa: 0, lengthBytes: 4, flags: VRING_DESC_F_NEXT, next: 1 }, gpa);
      driver.writeDescriptor(0, { gpa: 0, lengthBytes: 4, flags: VRING_DESC_F_NEXT, next: 1 }, gpa);
    });
  });

  it('make a chain longer than the device has room for together with the queue (§2.7.5.3.1)', () => {
    const test = new TestQueue({ size: 8, hasIndirect: true });
    const { driver } = test;
    const table = driver.allocate(16 * MAX_QUEUE_SIZE);
    for (let i = 0; i < MAX_QUEUE_SIZE; i++) {
      const flags = i + 1 < MAX_QUEUE_SIZE ? VRING_DESC_F_NEXT : 0;
      driver.writeDescriptor(i, { gpa: 0, lengthBytes: 1, flags, next: i + 1 }, table);
    }
    driver.writeDescriptor(0, { gpa: 0, lengthBytes: 1, flags: VRING_DESC_F_NEXT, next: 1 });
    driver.writeDescriptor(1, {
      gpa: table,
      lengthBytes: 16 * MAX_QUEUE_SIZE,
      flags: VRING_DESC_F_INDIRECT,
    });
    driver.offer(0);
    test.assertBroken('§2.7.5.3.1');
  });
});

describe('a driver that rewrites memory while the device looks', () => {
  it('changes nothing of a chain that was handed out: it was copied', () => {
    const { driver, queue, chain } = new TestQueue();
    driver.addChain([readable(16, 0x100), writable(512, 0x200)]);
    assert.ok(queue.pop(chain));
    driver.writeDescriptor(0, { gpa: 0xd000_0000, lengthBytes: 0xffff_ffff, flags: VRING_DESC_F_NEXT });
    driver.writeDescriptor(1, { gpa: 0xd000_0000, lengthBytes: 0xffff_ffff, flags: 0 });
    assert.deepEqual([...chain.gpa.subarray(0, 2)], [0x100, 0x200]);
    assert.deepEqual([...chain.length.subarray(0, 2)], [16, 512]);
  });

  it('from another thread gets chains inside memory, or a rule it broke, and no exception', async () => {
    const { driver, queue, chain } = new TestQueue({ size: 8, hasIndirect: true });
    const { desc, driver: available } = driver.rings;
    const { buffer, byteOffset } = driver.bytes;
    const shared = new Uint32Array(buffer, byteOffset);
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(SCRIBBLER, { eval: true, workerData: { shared, desc, available, stop } });
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    await new Promise((resolve) => worker.once('message', resolve));
    for (let i = 0; i < 100_000; i++) {
      if (!queue.isInUse) queue.enable(driver.rings);
      if (!queue.pop(chain)) continue;
      assert.ok(chain.segments <= MAX_QUEUE_SIZE && chain.readable <= chain.segments);
      for (let at = 0; at < chain.segments; at++)
        assert.ok(driver.memory.contains(chain.gpa[at] ?? -1, chain.length[at] ?? -1));
    }
    Atomics.store(stop, 0, 1);
    await ended;
  });

  it('does not move the ring by writing used.idx', () => {
    const { driver, queue } = new TestQueue();
    queue.push(3, 0);
    driver.view.setUint16(driver.rings.device + 2, 77, true);
    queue.push(4, 0);
    assert.equal(driver.view.getUint16(driver.rings.device + 2, true), 2);
  });
});

/** To a place that is not a multiple of 4. */
function moveTable(driver: MockDriver, head: number, shift: number): void {
  const at = driver.rings.desc + head * 16;
  const from = Number(driver.view.getBigUint64(at, true));
  const length = driver.view.getUint32(at + 8, true);
  const to = driver.allocate(length + shift) + shift;
  driver.bytes.copyWithin(to, from, from + length);
  driver.view.setBigUint64(at, BigInt(to), true);
}
