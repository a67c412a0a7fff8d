/** File I/O by io_uring(7). Requests of one `wait` are submitted together, by the call that waits. */
import {
  IORING_CQE_F_MORE,
  IORING_FSYNC_DATASYNC,
  IORING_OP,
  IORING_POLL_ADD_MULTI,
} from '../../abi/ioUring.ts';
import type { IoEngine, IoEvents } from '../../bus/ioEngine.ts';
import type { Poller } from '../../bus/poller.ts';
import { KvmError } from '../../errors.ts';
import type { RamSlot } from '../../memory/guestMemory.ts';
import { EAGAIN, EBUSY, ECANCELED, EINTR, ETIME } from '../errno.ts';
import { PollerSet } from '../net/pollerSet.ts';
import { IovecTable } from './iovecTable.ts';
import { openRing, type RingMemory } from './openRing.ts';
import { performNow } from './performNow.ts';
import type { IoRing } from './ring.ts';
import { REQUEST, SlotRequests } from './slotRequests.ts';
import { poll } from './syscalls.ts';

/** Completions that are not of requests, but fit beside all of them. */
const SPARE_COMPLETIONS = 64;
const POLLIN = 1; // <asm-generic/poll.h>

/** What a completion is of; the other half of its user_data is a slot or the number of a watch. */
const OF = { REQUEST: 0, WATCH: 1, POLLER: 2, REMOVAL: 3 } as const;
const TWO_32 = 2 ** 32;
type Watched = typeof OF.WATCH | typeof OF.POLLER;

/** A kernel that has no room says so at once: it is asked again after this. */
const NO_ROOM_MS = 1;

interface Watch {
  readonly of: Watched;
  /** Of a poller its number. */
  readonly tag: number;
  readonly fd: number;
}

export class UringEngine implements IoEngine {
  readonly name: string;
  readonly slots: number;
  readonly iovecs: IovecTable;
  readonly #ring: IoRing;
  readonly #requests: SlotRequests;
  /** Undefined: it was unwatched, and the kernel may still tell of it; its number is free after that. */
  readonly #watches: (Watch | undefined)[] = [];
  readonly #freeWatches: number[] = [];
  readonly #pollers = new PollerSet();
  // What has to wait for the next `wait`: nearly always empty.
  readonly #unarmed: number[] = [];
  readonly #unsent: number[] = [];
  /** Slots that a test has failed, with the errors. */
  readonly #failed: { readonly slot: number; readonly answer: number }[] = [];

  /** Throws KvmError where io_uring is not to be had. */
  constructor(ram: readonly RamSlot[], memory: RingMemory) {
    this.#ring = openRing(memory);
    this.name = memory === 'own' ? 'io_uring' : 'io_uring with mapped rings';
    this.slots = this.#ring.completions - SPARE_COMPLETIONS;
    this.iovecs = new IovecTable(this.slots, ram);
    this.#requests = new SlotRequests(this.slots, this.iovecs);
  }

  readv(slot: number, fd: number, offset: number): void {
    this.#requests.begin(slot, REQUEST.READ, fd, offset);
    this.#start(slot);
  }

  writev(slot: number, fd: number, offset: number): void {
    this.#requests.begin(slot, REQUEST.WRITE, fd, offset);
    this.#start(slot);
  }

  writevNow(slot: number, fd: number, offset: number): number {
    this.#requests.begin(slot, REQUEST.WRITE, fd, offset);
    return performNow(this.#requests, this.iovecs, slot);
  }

  fdatasync(slot: number, fd: number): void {
    this.#requests.begin(slot, REQUEST.SYNC, fd, 0);
    this.#start(slot);
  }

  watch(tag: number, eventFd: number): void {
    this.#watch({ of: OF.WATCH, tag, fd: eventFd });
  }

  unwatch(tag: number): void {
    const number = this.#watches.findIndex((it) => it?.of === OF.WATCH && it.tag === tag);
    if (number < 0) return;
    this.#watches[number] = undefined;
    // Without room it stays armed, and wakes this thread for nothing.
    if (!this.#unarmed.includes(number) && this.#hasRoom())
      this.#ring.push(IORING_OP.POLL_REMOVE, -1, 0, OF.WATCH * TWO_32 + number, 0, 0, number, OF.REMOVAL);
  }

  openPoller(onReady: (tag: number, events: number) => void): Poller {
    return this.#pollers.open(onReady, (tag, fd) => this.#watch({ of: OF.POLLER, tag, fd }));
  }

  wait(timeoutMs: number, events: IoEvents): void {
    if (this.#unsent.length > 0 || this.#unarmed.length > 0) this.#catchUp();
    const isBusy =
      this.#failed.length > 0 || this.#unsent.length > 0 || this.#pollers.isBusy || this.#ring.hasCompletion;
    if (!isBusy || this.#ring.unsubmitted > 0) this.#enter(isBusy || timeoutMs === 0 ? 0 : 1, timeoutMs);
    this.#deliver(events);
    if (this.#failed.length > 0) this.#deliverFailed(events);
    this.#pollers.tell();
  }

  close(): void {
    this.#pollers.close();
    this.#ring.close();
  }

  #start(slot: number): void {
    if (!this.#hasRoom()) {
      this.#unsent.push(slot);
      return;
    }
    const answer = this.#requests.announce(slot);
    if (answer === 0) this.#push(slot);
    else this.#failed.push({ slot, answer });
  }

  #push(slot: number): void {
    const requests = this.#requests;
    const fd = requests.fd[slot] ?? -1;
    const offset = requests.offset[slot] ?? 0;
    switch (requests.request[slot]) {
      case REQUEST.READ:
        return this.#pushTransfer(slot, IORING_OP.READ, IORING_OP.READV, fd, offset);
      case REQUEST.WRITE:
        return this.#pushTransfer(slot, IORING_OP.WRITE, IORING_OP.WRITEV, fd, offset);
      default:
        return this.#ring.push(IORING_OP.FSYNC, fd, 0, 0, 0, IORING_FSYNC_DATASYNC, slot, OF.REQUEST);
    }
  }

  #pushTransfer(slot: number, single: number, vector: number, fd: number, offset: number): void {
    const segments = this.#requests.segments(slot);
    if (segments === 1) {
      const bytes = this.#requests.firstBytes(slot);
      this.#ring.push(single, fd, offset, this.iovecs.firstAddress(slot), bytes, 0, slot, OF.REQUEST);
    } else {
      this.#ring.push(vector, fd, offset, this.iovecs.addressOfRow(slot), segments, 0, slot, OF.REQUEST);
    }
  }

  #watch(watch: Watch): void {
    const number = this.#freeWatches.pop() ?? this.#watches.length;
    this.#watches[number] = watch;
    this.#arm(number, watch);
  }

  #arm(number: number, { fd, of }: Watch): void {
    if (this.#hasRoom())
      this.#ring.push(IORING_OP.POLL_ADD, fd, 0, 0, IORING_POLL_ADD_MULTI, POLLIN, number, of);
    else this.#unarmed.push(number);
  }

  /** For one more entry: a full ring is given to the kernel first. */
  #hasRoom(): boolean {
    if (this.#ring.isFull) this.#enter(0, 0);
    return !this.#ring.isFull;
  }

  #catchUp(): void {
    for (const slot of this.#unsent.splice(0)) this.#start(slot);
    for (const number of this.#unarmed.splice(0)) {
      const watch = this.#watches[number];
      if (watch !== undefined) this.#arm(number, watch);
      else this.#freeWatches.push(number);
    }
  }

  #enter(minComplete: number, timeoutMs: number): void {
    const result = this.#ring.enter(minComplete, timeoutMs);
    if (result === 0 || result === -EINTR || result === -ETIME) return;
    if (result !== -EAGAIN && result !== -EBUSY) throw new KvmError('io_uring_enter', -result);
    if (!this.#ring.hasCompletion) poll(0, 0, NO_ROOM_MS);
  }

  /** What completes meanwhile is for the next time: others want their turn. */
  #deliver(events: IoEvents): void {
    const ring = this.#ring;
    for (let left = ring.completions; left > 0 && ring.next(); left--) {
      const { low, high, result, flags } = ring;
      if (high === OF.REQUEST) this.#settle(low, result, events);
      else if (high !== OF.REMOVAL) this.#onWatch(low, result, flags, events);
    }
  }

  #deliverFailed(events: IoEvents): void {
    for (const { slot, answer } of this.#failed.splice(0)) this.#settle(slot, answer, events);
  }

  #settle(slot: number, answer: number, events: IoEvents): void {
    if (this.#requests.settle(slot, answer)) this.#start(slot);
    else events.onDone(slot, this.#requests.result[slot] ?? 0);
  }

  /** The kernel ends a watch when it has no room for its completions, for one. */
  #onWatch(number: number, result: number, flags: number, events: IoEvents): void {
    const watch = this.#watches[number];
    const isOver = (flags & IORING_CQE_F_MORE) === 0;
    if (watch === undefined) {
      if (isOver) this.#freeWatches.push(number);
      return;
    }
    if (result < 0 && result !== -ECANCELED) throw new KvmError('IORING_OP_POLL_ADD', -result);
    if (isOver) this.#arm(number, watch);
    if (watch.of === OF.WATCH) events.onReady(watch.tag);
    else this.#pollers.markReady(watch.tag);
  }
}
