/** Drivers of the memory balloon, right and wrong ones. */
import assert from 'node:assert/strict';
import { INFLATEQ, PAGE_BYTES, STATSQ } from '../../vmm-core/devices/virtio/balloon/balloonState.ts';
import { BalloonMachine, FREE_FROM, RAM_BYTES } from './balloonMachine.ts';
import { randomNumbers } from './devices.ts';
import { readable, type Segment, writable } from './mockDriver.ts';

type Random = (below: number) => number;

/** Where pages are watched: rings and buffers are below. */
const FIRST = FREE_FROM / PAGE_BYTES;
const PAGES = 64;

/** Exactly the pages that were named, and whole, go back to the host, whatever else is named with them. */
export function balloonRound(seed: number): void {
  const random = randomNumbers(seed + 1);
  const it = new BalloonMachine();
  const expected = new Set<number>();
  for (let page = 0; page < PAGES; page++) it.dirty(FIRST + page);
  for (let step = 0; step < 30; step++) {
    it.machine.isMainBusy = random(2) === 0;
    const queue = random(5);
    try {
      it.queue(queue).addChain(chainFor(queue, random, expected));
    } catch {
      continue; // the device has them all, as of statistics
    }
    it.driver.kick(queue);
    if (random(4) === 0) it.driver.kick(random(8));
    if (random(4) === 0) it.balloon.setTarget(random(RAM_BYTES));
    for (let i = 0; i < 4; i++) it.machine.turn();
    it.queues.forEach((mock) => mock.used());
  }
  it.machine.isMainBusy = false;
  for (let i = 0; i < 16; i++) it.machine.turn();
  assert.equal(it.machine.brokenRule, '');
  for (let page = 0; page < PAGES; page++)
    assert.equal(it.isZero(FIRST + page), expected.has(FIRST + page), `page ${page}`);
}

function chainFor(queue: number, random: Random, expected: Set<number>): Segment[] {
  if (queue === INFLATEQ) return numbers(random, (page) => expected.add(page));
  if (queue >= 3) return reports(random, expected);
  if (queue === STATSQ) return [readable(Uint8Array.from({ length: random(100) }, () => random(256)))];
  return numbers(random, () => undefined);
}

/** Cut anywhere. */
function numbers(random: Random, onPage: (page: number) => void): Segment[] {
  const pages = Array.from({ length: random(12) }, () => {
    if (random(4) === 0) return [RAM_BYTES / PAGE_BYTES, 0xffff_ffff, 0x10_0200][random(3)] ?? 0;
    return FIRST + random(PAGES);
  });
  pages.forEach((page) => page < FIRST + PAGES && onPage(page));
  const bytes = new Uint8Array(Uint32Array.from(pages).buffer);
  const cut = random(bytes.length + 1);
  return [readable(bytes.slice(0, cut)), readable(bytes.slice(cut)), writable(random(8))];
}

function reports(random: Random, expected: Set<number>): Segment[] {
  return Array.from({ length: 1 + random(4) }, () => {
    const start = FREE_FROM + random(PAGES * PAGE_BYTES);
    const length = Math.min(random(8 * PAGE_BYTES), FREE_FROM + PAGES * PAGE_BYTES - start);
    const first = Math.ceil(start / PAGE_BYTES);
    const end = Math.floor((start + length) / PAGE_BYTES);
    for (let page = first; page < end; page++) expected.add(page);
    return writable(length, start);
  });
}
