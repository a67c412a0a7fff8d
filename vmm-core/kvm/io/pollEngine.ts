/**
 * File I/O where io_uring is switched off: poll(2), and then one request after the other on this thread, so
 * that a slow disk holds up all that it serves.
 */
import type { IoEngine, IoEvents } from '../../bus/ioEngine.ts';
import type { Poller } from '../../bus/poller.ts';
import { KvmError } from '../../errors.ts';
import type { RamSlot } from '../../memory/guestMemory.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { EINTR } from '../errno.ts';
import { hostAddress } from '../libc.ts';
import { PollerSet } from '../net/pollerSet.ts';
import { IovecTable } from './iovecTable.ts';
import { performNow } from './performNow.ts';
import { REQUEST, SlotRequests } from './slotRequests.ts';
import { poll, takeEvents } from './syscalls.ts';

const SLOTS = 128;
const MAX_WATCHES = 1024;
/** struct pollfd: i32 fd, i16 events, i16 revents; here as two words. */
const POLLFD_WORDS = 2;
/** poll(2) passes over it: the place of one that is watched no more. */
const NO_FD = -1;
const POLLIN = 1; // <asm-generic/poll.h>
const REVENTS_SHIFT = 16;
const EVENT_BYTES = 8;

interface Watch {
  /** Of a poller its number. */
  readonly tag: number;
  readonly isPoller: boolean;
}

export class PollEngine implements IoEngine {
  readonly name = 'poll and preadv';
  readonly slots = SLOTS;
  readonly iovecs: IovecTable;
  readonly #requests: SlotRequests;
  /** Asked for, and being worked through: the two take turns. */
  #asked: number[] = [];
  #atWork: number[] = [];
  /** In the order of #fds. */
  readonly #watches: Watch[] = [];
  readonly #pollers = new PollerSet();
  readonly #buffer: IoBuffer;
  readonly #bufferAddress: number;
  readonly #fds: Int32Array;

  constructor(ram: readonly RamSlot[]) {
    this.iovecs = new IovecTable(SLOTS, ram);
    this.#requests = new SlotRequests(SLOTS, this.iovecs);
    this.#buffer = new IoBuffer(EVENT_BYTES + MAX_WATCHES * POLLFD_WORDS * 4);
    this.#bufferAddress = Number(hostAddress(this.#buffer.memory));
    this.#fds = new Int32Array(this.#buffer.memory.buffer, EVENT_BYTES, MAX_WATCHES * POLLFD_WORDS);
  }

  readv(slot: number, fd: number, offset: number): void {
    this.#requests.begin(slot, REQUEST.READ, fd, offset);
    this.#asked.push(slot);
  }

  writev(slot: number, fd: number, offset: number): void {
    this.#requests.begin(slot, REQUEST.WRITE, fd, offset);
    this.#asked.push(slot);
  }

  writevNow(slot: number, fd: number, offset: number): number {
    this.#requests.begin(slot, REQUEST.WRITE, fd, offset);
    return performNow(this.#requests, this.iovecs, slot);
  }

  fdatasync(slot: number, fd: number): void {
    this.#requests.begin(slot, REQUEST.SYNC, fd, 0);
    this.#asked.push(slot);
  }

  watch(tag: number, eventFd: number): void {
    this.#watch({ tag, isPoller: false }, eventFd);
  }

  unwatch(tag: number): void {
    const at = this.#watches.findIndex((it) => !it.isPoller && it.tag === tag);
    if (at >= 0) this.#fds[at * POLLFD_WORDS] = NO_FD;
  }

  openPoller(onReady: (tag: number, events: number) => void): Poller {
    return this.#pollers.open(onReady, (tag, fd) => this.#watch({ tag, isPoller: true }, fd));
  }

  wait(timeoutMs: number, events: IoEvents): void {
    const isBusy = this.#asked.length > 0 || this.#pollers.isBusy;
    if (this.#asked.length > 0) this.#work(events);
    const ready = poll(this.#bufferAddress + EVENT_BYTES, this.#watches.length, isBusy ? 0 : timeoutMs);
    if (ready > 0) this.#tellReady(events);
    else if (ready < 0 && ready !== -EINTR) throw new KvmError('poll', -ready);
    this.#pollers.tell();
  }

  close(): void {
    this.#pollers.close();
  }

  #watch(watch: Watch, fd: number): void {
    const free = this.#watches.findIndex((_, at) => this.#fds[at * POLLFD_WORDS] === NO_FD);
    const at = free < 0 ? this.#watches.length : free;
    if (at >= MAX_WATCHES) throw new RangeError('too many descriptors to watch');
    this.#watches[at] = watch;
    this.#fds[at * POLLFD_WORDS] = fd;
    this.#fds[at * POLLFD_WORDS + 1] = POLLIN;
  }

  #work(events: IoEvents): void {
    [this.#asked, this.#atWork] = [this.#atWork, this.#asked];
    for (const slot of this.#atWork) events.onDone(slot, performNow(this.#requests, this.iovecs, slot));
    this.#atWork.length = 0;
  }

  #tellReady(events: IoEvents): void {
    this.#watches.forEach(({ tag, isPoller }, at) => {
      if (!this.#isReady(at)) return;
      if (isPoller) return this.#pollers.markReady(tag);
      takeEvents(this.#fds[at * POLLFD_WORDS] ?? -1, this.#bufferAddress);
      events.onReady(tag);
    });
  }

  #isReady(at: number): boolean {
    return (this.#fds[at * POLLFD_WORDS + 1] ?? 0) >> REVENTS_SHIFT !== 0;
  }
}
