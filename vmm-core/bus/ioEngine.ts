import type { Poller } from './poller.ts';

/**
 * Asynchronous file I/O on the I/O thread, into guest memory. An engine has a fixed number of slots; a slot
 * is one request, and its row of iovecs belongs to it until it is done. Nothing here allocates per request.
 * kvm/io/ has the engines.
 */
export interface IoEngine {
  /** In words, for `vmm check`. */
  readonly name: string;
  /** Requests that can be under way. */
  readonly slots: number;
  readonly iovecs: Iovecs;
  /**
   * From `offset` of the file on into what the slot's iovecs say. Is done once all of it is read, at the
   * file's end or with an error; short transfers, EINTR and EAGAIN are gone on from.
   */
  readv(slot: number, fd: number, offset: number): void;
  /** See readv. */
  writev(slot: number, fd: number, offset: number): void;
  /**
   * The same on this thread, at once: nothing is faster for a write into the page cache. Bytes or -errno.
   */
  writevNow(slot: number, fd: number, offset: number): number;
  fdatasync(slot: number, fd: number): void;
  /** From now on `onReady(tag)` is called some time after each write to this eventfd. */
  watch(tag: number, eventFd: number): void;
  /** No more of it, until it is watched again: `onReady(tag)` may come once more. */
  unwatch(tag: number): void;
  /**
   * A set of descriptors that `wait` waits for as well: it calls `onReady` then, a bounded number of times in
   * one go. Lives as long as the engine.
   */
  openPoller(onReady: (tag: number, events: number) => void): Poller;
  /**
   * Submits what was asked for since, and waits until something is done or ready, at most `timeoutMs` (-1:
   * for ever, 0: not at all); a signal ends that too. Then calls `events`, which may ask for more.
   */
  wait(timeoutMs: number, events: IoEvents): void;
  close(): void;
}

export interface IoEvents {
  /** `result`: bytes transferred (all, but at the end of a file), 0 for other requests, or -errno. */
  onDone(slot: number, result: number): void;
  onReady(tag: number): void;
}

/** Segments of one slot: as many as a virtqueue has descriptors. */
export const MAX_SEGMENTS = 256;

/**
 * What a slot transfers into or from. The one place where a guest-physical address becomes a host address for
 * I/O; each is checked here again.
 */
export interface Iovecs {
  /** Empties the row. */
  clear(slot: number): void;
  /** Appends guest memory. False, and nothing done: it is not inside one slot of RAM, or the row is full. */
  addGuest(slot: number, gpa: number, lengthBytes: number): boolean;
  /** A read into the row has ended early: zeros in what it has not filled. Before the slot is given back. */
  zeroRest(slot: number): void;
  /** Bytes in the row. */
  lengthBytes(slot: number): number;
}
