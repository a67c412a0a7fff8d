/** Poller by epoll(7). One thread; an I/O engine waits for its descriptor and has it take the events. */
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLL_EVENT,
  EPOLL_EVENT_BYTES,
  EPOLLET,
} from '../../abi/epoll.ts';
import type { Poller } from '../../bus/poller.ts';
import { KvmError } from '../../errors.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { EINTR } from '../errno.ts';
import { closeFd, hostAddress } from '../libc.ts';
import { epollCreate, epollCtl, epollTake } from './syscalls.ts';

/** That one go takes: others want their turn. */
const MAX_EVENTS = 64;
const EVENT_WORDS = EPOLL_EVENT_BYTES / 4;

interface Entry {
  readonly tag: number;
  readonly isLevel: boolean;
}

export class EpollPoller implements Poller {
  /** Readable while there is an event. */
  readonly fd: number;
  readonly #onReady: (tag: number, events: number) => void;
  /** What the kernel has told, and one more that it is told. */
  readonly #buffer = new IoBuffer((MAX_EVENTS + 1) * EPOLL_EVENT_BYTES);
  readonly #address = Number(hostAddress(this.#buffer.memory));
  readonly #words = new Uint32Array(this.#buffer.memory.buffer, 0, (MAX_EVENTS + 1) * EVENT_WORDS);
  readonly #entries = new Map<number, Entry>();
  #levels = 0;
  /** Of the events that were taken: those from #next on are not told yet. */
  #next = 0;
  #end = 0;

  /** Throws KvmError when there is no descriptor left. */
  constructor(onReady: (tag: number, events: number) => void) {
    this.#onReady = onReady;
    this.fd = epollCreate(EPOLL_CLOEXEC);
    if (this.fd < 0) throw new KvmError('epoll_create1', -this.fd);
  }

  add(fd: number, tag: number, events: number): number {
    const result = this.#control(EPOLL_CTL_ADD, fd, tag, events);
    if (result === 0) this.#enter(fd, tag, events);
    return result;
  }

  change(fd: number, tag: number, events: number): number {
    const result = this.#control(EPOLL_CTL_MOD, fd, tag, events);
    if (result < 0) return result;
    this.#forget(fd); // what is so still the kernel tells again
    this.#enter(fd, tag, events);
    return 0;
  }

  remove(fd: number): void {
    this.#control(EPOLL_CTL_DEL, fd, 0, 0);
    this.#forget(fd);
  }

  /** Tells of what there is, a bounded number. True: look again, soon. */
  take(): boolean {
    const count = epollTake(this.fd, this.#address, MAX_EVENTS);
    if (count < 0) {
      if (count === -EINTR) return true;
      throw new KvmError('epoll_wait', -count);
    }
    this.#end = count;
    for (this.#next = 0; this.#next < this.#end;) {
      const at = this.#next++ * EVENT_WORDS;
      const events = this.#words[at + EPOLL_EVENT.events / 4] ?? 0;
      if (events !== 0) this.#onReady(this.#words[at + EPOLL_EVENT.data / 4] ?? 0, events);
    }
    // The kernel wakes nobody for a level that has stayed.
    return count === MAX_EVENTS || (count > 0 && this.#levels > 0);
  }

  close(): void {
    closeFd(this.fd);
  }

  #control(operation: number, fd: number, tag: number, events: number): number {
    const at = MAX_EVENTS * EVENT_WORDS;
    this.#words[at + EPOLL_EVENT.events / 4] = events;
    this.#words[at + EPOLL_EVENT.data / 4] = tag;
    return epollCtl(this.fd, operation, fd, this.#address + MAX_EVENTS * EPOLL_EVENT_BYTES);
  }

  #enter(fd: number, tag: number, events: number): void {
    const isLevel = (events & EPOLLET) === 0;
    if (isLevel) this.#levels++;
    this.#entries.set(fd, { tag, isLevel });
  }

  /** Events of it that were taken and not told are void. */
  #forget(fd: number): void {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return;
    this.#entries.delete(fd);
    if (entry.isLevel) this.#levels--;
    for (let i = this.#next; i < this.#end; i++) {
      const at = i * EVENT_WORDS;
      if (this.#words[at + EPOLL_EVENT.data / 4] === entry.tag) this.#words[at + EPOLL_EVENT.events / 4] = 0;
    }
  }
}
