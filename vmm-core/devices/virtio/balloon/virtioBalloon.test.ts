import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  BalloonMachine,
  bytesOf,
  FREE_FROM,
  loadBalloon,
  RAM_BYTES,
} from '../../../../test/support/balloonMachine.ts';
import { readable, writable } from '../../../../test/support/mockDriver.ts';
import { VIRTIO_BALLOON_F_REPORTING, VirtioBalloonStat } from '../../../abi/virtioBalloon.ts';
import * as mmio from '../../../abi/virtioMmio.ts';
import { DEFLATEQ, INFLATEQ, PAGE_BYTES, STATSQ } from './balloonState.ts';
import { PageRuns } from './pageRuns.ts';
import { readStatistics } from './statistics.ts';

const FIRST = FREE_FROM / PAGE_BYTES;
const BEYOND = RAM_BYTES / PAGE_BYTES;

before(loadBalloon);

/** A config field, by its place in the space. */
const NUM_PAGES = mmio.VIRTIO_MMIO_CONFIG;
const ACTUAL = mmio.VIRTIO_MMIO_CONFIG + 4;

describe('the memory balloon (§5.5)', () => {
  it('gives inflated pages back to the host, and no others', () => {
    const it = new BalloonMachine();
    for (let page = FIRST; page < FIRST + 8; page++) it.dirty(page);
    const head = it.give(INFLATEQ, [FIRST + 1, FIRST + 2, FIRST + 5]);
    assert.deepEqual(it.queue(INFLATEQ).used(), [{ head, writtenBytes: 0 }]);
    const given = Array.from({ length: 8 }, (_, i) => it.isZero(FIRST + i));
    assert.deepEqual(given, [false, true, true, false, false, true, false, false]);
    const { givenPages, refusedPages } = registers(it);
    assert.deepEqual([givenPages, refusedPages], [3, 0]);
  });

  it('takes numbers downwards, twice, and across the ends of its buffers', () => {
    const it = new BalloonMachine();
    for (let page = FIRST; page < FIRST + 4; page++) it.dirty(page);
    const bytes = bytesOf([FIRST + 3, FIRST + 2, FIRST + 1, FIRST + 3, FIRST]);
    it.chain(INFLATEQ, [readable(bytes.slice(0, 3)), readable(bytes.slice(3, 9)), readable(bytes.slice(9))]);
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => it.isZero(FIRST + i)),
      [true, true, true, true],
    );
  });

  it('refuses numbers outside memory, and takes what is around them', () => {
    const it = new BalloonMachine();
    it.dirty(BEYOND - 1);
    it.dirty(FIRST);
    it.give(INFLATEQ, [BEYOND - 1, BEYOND, BEYOND + 1, 0xffff_ffff, FIRST]);
    assert.deepEqual([it.isZero(BEYOND - 1), it.isZero(FIRST)], [true, true]);
    assert.equal(registers(it).refusedPages, 3);
    assert.equal(it.machine.brokenRule, '');
  });

  it('takes pages of every slot of memory', () => {
    const it = new BalloonMachine();
    const high = 0x1_0000_0000 / PAGE_BYTES;
    it.dirty(high);
    it.give(INFLATEQ, [high]);
    assert.ok(it.isZero(high));
  });

  it('survives a driver that gives away its own rings', () => {
    const it = new BalloonMachine();
    const { desc, driver, device } = it.queue(INFLATEQ).rings;
    it.give(
      INFLATEQ,
      [desc, driver, device].map((at) => at / PAGE_BYTES),
    );
    it.driver.kick(INFLATEQ);
    assert.ok(it.isZero(desc / PAGE_BYTES));
  });

  it('leaves the rest of a buffer that is no whole number', () => {
    const it = new BalloonMachine();
    it.dirty(FIRST);
    const head = it.chain(INFLATEQ, [readable(bytesOf([FIRST, FIRST + 1]).slice(0, 6))]);
    assert.deepEqual(it.queue(INFLATEQ).used(), [{ head, writtenBytes: 0 }]);
    assert.ok(it.isZero(FIRST));
  });

  it('takes a huge chain in many goes, between which main does other things', () => {
    const it = new BalloonMachine();
    it.machine.isMainBusy = true;
    it.chain(INFLATEQ, [readable(0x1_0000, FREE_FROM)]); // 16384 times page 0
    it.machine.turn();
    assert.deepEqual(it.queue(INFLATEQ).used(), []);
    assert.equal(registers(it).givenPages, 512);
    for (let go = 0; go < 40; go++) it.machine.turn();
    assert.equal(it.queue(INFLATEQ).used().length, 1);
  });

  it('does nothing more of a chain when its queue was reset meanwhile (§2.6.1)', () => {
    const it = new BalloonMachine();
    it.machine.isMainBusy = true;
    it.chain(INFLATEQ, [readable(0x1_0000, FREE_FROM)]);
    it.machine.turn();
    it.driver.write(mmio.VIRTIO_MMIO_QUEUE_SEL, INFLATEQ);
    it.driver.write(mmio.VIRTIO_MMIO_QUEUE_RESET, 1);
    for (let go = 0; go < 4; go++) it.machine.turn();
    assert.equal(registers(it).givenPages, 512);
  });

  it('returns what deflates: the pages are there already', () => {
    const it = new BalloonMachine();
    const head = it.give(DEFLATEQ, [FIRST, 0xffff_ffff]);
    assert.deepEqual(it.queue(DEFLATEQ).used(), [{ head, writtenBytes: 0 }]);
  });

  it('asks the driver for memory by its configuration space, and keeps that over a reset', () => {
    const it = new BalloonMachine();
    const { edges } = it.machine.line;
    it.balloon.setTarget(3 * PAGE_BYTES + 1);
    assert.equal(it.driver.read(NUM_PAGES), 3);
    assert.equal(it.machine.line.edges, edges + 1);
    it.driver.write(ACTUAL, 2);
    const { targetBytes, actualBytes, isReady } = it.balloon;
    assert.deepEqual([targetBytes, actualBytes, isReady], [3 * PAGE_BYTES, 2 * PAGE_BYTES, true]);
    it.driver.status = 0;
    it.machine.turn();
    assert.deepEqual([it.driver.read(NUM_PAGES), it.driver.read(ACTUAL)], [3, 0]);
    assert.equal(it.balloon.isReady, false);
  });

  it('lets the driver write nothing but what it has, and that byte by byte too', () => {
    const it = new BalloonMachine();
    it.driver.write(NUM_PAGES, 7);
    assert.equal(it.driver.read(NUM_PAGES), 0);
    [0x78, 0x56, 0x34, 0x12].forEach((byte, i) => it.driver.write(ACTUAL + i, byte, 1));
    assert.equal(it.driver.read(ACTUAL), 0x1234_5678);
  });
});

describe('reports of free pages (§5.5.6.7)', () => {
  for (const queue of [3, 4]) {
    it(`are taken by queue ${queue}: whole pages inside the buffers go back to the host`, () => {
      const it = new BalloonMachine();
      for (let page = FIRST; page < FIRST + 8; page++) it.dirty(page);
      const head = it.chain(queue, [
        writable(2 * PAGE_BYTES, FREE_FROM),
        writable(2 * PAGE_BYTES, FREE_FROM + 4 * PAGE_BYTES + 1),
        writable(10, FREE_FROM + 7 * PAGE_BYTES),
      ]);
      assert.deepEqual(it.queue(queue).used(), [{ head, writtenBytes: 0 }]);
      const given = Array.from({ length: 8 }, (_, i) => it.isZero(FIRST + i));
      assert.deepEqual(given, [true, true, false, false, false, true, false, false]);
      assert.equal(it.balloon.reportedBytes, 3 * PAGE_BYTES);
    });
  }

  it('are not taken from a driver that has not negotiated them', () => {
    const it = new BalloonMachine([VIRTIO_BALLOON_F_REPORTING]);
    it.dirty(FIRST);
    it.chain(4, [writable(PAGE_BYTES, FREE_FROM)]);
    assert.ok(!it.isZero(FIRST));
  });

  it('are taken a bounded number of bytes at a time, by both queues in turn', () => {
    const it = new BalloonMachine();
    it.machine.isMainBusy = true;
    const half = RAM_BYTES / 2;
    for (const queue of [3, 4])
      it.chain(
        queue,
        Array.from({ length: 20 }, () => writable(half, half)),
      );
    it.machine.turn();
    assert.equal(it.balloon.reportedBytes, 64 << 20);
    for (let go = 0; go < 8; go++) it.machine.turn();
    assert.equal(it.balloon.reportedBytes, 2 * 20 * half);
    assert.deepEqual([it.queue(3).used().length, it.queue(4).used().length], [1, 1]);
  });

  it('of single pages are no more calls of the host at a time than inflated ones', () => {
    const it = new BalloonMachine();
    it.machine.isMainBusy = true;
    for (let from = 0; from < 700; from += 175)
      it.queue(4).addIndirectChain(
        Array.from({ length: 175 }, (_, i) => writable(PAGE_BYTES, FREE_FROM + 2 * (from + i) * PAGE_BYTES)),
      );
    it.driver.kick(4);
    it.machine.turn();
    assert.equal(it.balloon.reportedBytes, 512 * PAGE_BYTES);
    it.machine.turn();
    assert.equal(it.balloon.reportedBytes, 700 * PAGE_BYTES);
    assert.equal(it.queue(4).used().length, 4);
  });

  it('take nothing that the driver only lets be read', () => {
    const it = new BalloonMachine();
    it.dirty(FIRST);
    it.chain(4, [readable(PAGE_BYTES, FREE_FROM)]);
    assert.ok(!it.isZero(FIRST));
    assert.equal(it.queue(4).used().length, 1);
  });
});

describe('statistics of memory (§5.5.6.3)', () => {
  it('are asked for by returning the driver its buffer', async () => {
    const it = new BalloonMachine();
    const head = it.chain(STATSQ, [readable(statistics([[4, 1000n]]))]);
    assert.deepEqual(it.queue(STATSQ).used(), []);
    const [first, second] = [it.balloon.statistics(), it.balloon.statistics()];
    assert.deepEqual(it.queue(STATSQ).used(), [{ head, writtenBytes: 0 }]);
    it.chain(STATSQ, [readable(statistics([[4, 2000n]]))]);
    assert.deepEqual(await first, { freeMemory: 2000 });
    assert.deepEqual(await second, { freeMemory: 2000 });
  });

  it('are none from a driver that gives none, and the last of one that is reset', async () => {
    const it = new BalloonMachine();
    assert.deepEqual(await it.balloon.statistics(), {});
    it.chain(STATSQ, [readable(statistics([[5, 7n]]))]);
    const asked = it.balloon.statistics();
    it.driver.status = 0;
    it.machine.turn();
    assert.deepEqual(await asked, {});
  });

  it('keep one buffer of a driver that gives several', () => {
    const it = new BalloonMachine();
    for (let i = 0; i < 5; i++) it.chain(STATSQ, [readable(statistics([[4, 1n]]))]);
    assert.equal(it.queue(STATSQ).used().length, 4);
  });

  it('leave out what is not known, and what is cut off', () => {
    const bytes = statistics([
      [4, 5n],
      [999, 6n],
      [5, 2n ** 64n - 1n],
    ]);
    assert.deepEqual(readStatistics(bytes), { freeMemory: 5, totalMemory: 2 ** 64 });
    assert.deepEqual(readStatistics(bytes.subarray(0, 29)), { freeMemory: 5 });
  });
});

describe('runs of pages', () => {
  const runsOf = (pages: readonly number[]): number[][] => {
    const found: number[][] = [];
    const runs = new PageRuns((first, count) => found.push([first, count]));
    pages.forEach((it) => runs.add(it));
    runs.finish();
    return found;
  };

  it('grow upwards and downwards, and end where neighbours do', () => {
    assert.deepEqual(runsOf([]), []);
    assert.deepEqual(runsOf([0, 1, 2]), [[0, 3]]);
    assert.deepEqual(runsOf([7, 6, 5, 8, 3]), [
      [5, 4],
      [3, 1],
    ]);
    assert.deepEqual(runsOf([4, 4, 0xffff_ffff, 0]), [
      [4, 1],
      [4, 1],
      [0xffff_ffff, 1],
      [0, 1],
    ]);
  });
});

function registers({ machine }: BalloonMachine): { givenPages: number; refusedPages: number } {
  return machine.state.regs as unknown as { givenPages: number; refusedPages: number };
}

function statistics(all: readonly (readonly [tag: number, value: bigint])[]): Uint8Array {
  return Buffer.concat(all.map(([tag, val]) => VirtioBalloonStat.bytes({ tag, val })));
}
