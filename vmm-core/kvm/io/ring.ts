/**
 * The two rings of one io_uring (io_uring_setup(2)): entries are written by hand into memory that the kernel
 * reads. openRing.ts makes it. One thread.
 */
import {
  IO_URING_CQE,
  IO_URING_CQE_BYTES,
  IO_URING_SQE,
  IO_URING_SQE_BYTES,
  IORING_ENTER_EXT_ARG,
  IORING_ENTER_GETEVENTS,
  IoUringGeteventsArg,
  KernelTimespec,
} from '../../abi/ioUring.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { closeFd, hostAddress } from '../libc.ts';
import { injectedFaults, underFaults } from './faults.ts';
import { ioUringEnter } from './syscalls.ts';

const SQE_WORDS = IO_URING_SQE_BYTES / 4;
const TWO_32 = 2 ** 32;
const NS_PER_MS = 1_000_000;

/** Where in the rings what is, in words; masks for the indices. */
export interface RingPlaces {
  readonly sqHead: number;
  readonly sqTail: number;
  readonly cqHead: number;
  readonly cqTail: number;
  readonly cqes: number;
  readonly sqMask: number;
  readonly cqMask: number;
}

export class IoRing {
  readonly fd: number;
  /** Submissions that fit before the kernel must take them. */
  readonly entries: number;
  /** That may wait for us. */
  readonly completions: number;
  readonly #rings: Int32Array;
  readonly #sqes: Int32Array;
  readonly #at: RingPlaces;
  readonly #argument: IoBuffer;
  readonly #timeout: DataView;
  readonly #argumentAddress: number;
  // Ahead of what the kernel was told, until `enter`.
  #sqTail: number;
  #cqHead: number;
  /** Where the completion being looked at is, in words. */
  #cqe = 0;

  constructor(fd: number, rings: Int32Array, sqes: Int32Array, at: RingPlaces) {
    this.fd = fd;
    this.entries = at.sqMask + 1;
    this.completions = at.cqMask + 1;
    this.#rings = rings;
    this.#sqes = sqes;
    this.#at = at;
    this.#sqTail = Atomics.load(this.#rings, at.sqTail);
    this.#cqHead = Atomics.load(this.#rings, at.cqHead);
    this.#argument = new IoBuffer(IoUringGeteventsArg.size + KernelTimespec.size);
    this.#argumentAddress = Number(hostAddress(this.#argument.memory));
    const view = new DataView(this.#argument.memory.buffer);
    IoUringGeteventsArg.write(view, { ts: BigInt(this.#argumentAddress + IoUringGeteventsArg.size) });
    this.#timeout = new DataView(this.#argument.memory.buffer, IoUringGeteventsArg.size, KernelTimespec.size);
  }

  /** Entries that the kernel has not taken yet. */
  get unsubmitted(): number {
    return (this.#sqTail - Atomics.load(this.#rings, this.#at.sqHead)) >>> 0;
  }

  get isFull(): boolean {
    return this.unsubmitted >= this.entries;
  }

  /**
   * Writes one entry; the ring is not full. `low` and `high` come back with the completion. The other fields
   * of the entry are never written, and so are 0.
   */
  push(
    opcode: number,
    fd: number,
    offset: number,
    address: number,
    length: number,
    flags: number,
    low: number,
    high: number,
  ): void {
    const at = (this.#sqTail & this.#at.sqMask) * SQE_WORDS;
    const sqes = this.#sqes;
    sqes[at + IO_URING_SQE.opcode / 4] = opcode;
    sqes[at + IO_URING_SQE.fd / 4] = fd;
    sqes[at + IO_URING_SQE.off / 4] = offset;
    sqes[at + IO_URING_SQE.off / 4 + 1] = offset / TWO_32;
    sqes[at + IO_URING_SQE.addr / 4] = address;
    sqes[at + IO_URING_SQE.addr / 4 + 1] = address / TWO_32;
    sqes[at + IO_URING_SQE.len / 4] = length;
    sqes[at + IO_URING_SQE.rw_flags / 4] = flags;
    sqes[at + IO_URING_SQE.user_data / 4] = low;
    sqes[at + IO_URING_SQE.user_data / 4 + 1] = high;
    this.#sqTail = (this.#sqTail + 1) | 0;
  }

  /**
   * Gives the kernel what was pushed, and the places of completions that were looked at; waits for
   * `minComplete` completions, at most `timeoutMs` (-1: for ever). Returns 0 or -errno; how much the kernel
   * took tells `unsubmitted` alone: an interrupted wait returns that as well.
   */
  enter(minComplete: number, timeoutMs: number): number {
    // Entries are written and completions read before the kernel is told. Only it reads these, and only now.
    Atomics.store(this.#rings, this.#at.sqTail, this.#sqTail);
    Atomics.store(this.#rings, this.#at.cqHead, this.#cqHead);
    const toSubmit = this.unsubmitted;
    const faults = injectedFaults();
    if (faults === undefined) return this.#enter(toSubmit, minComplete, timeoutMs);
    return underFaults(faults, { call: 'submit', fd: this.fd, offset: 0, lengthBytes: toSubmit }, (count) =>
      this.#enter(count, count < toSubmit ? 0 : minComplete, timeoutMs),
    );
  }

  /** Moves to the next completion; false: there is none. */
  next(): boolean {
    if (this.#cqHead === Atomics.load(this.#rings, this.#at.cqTail)) return false;
    this.#cqe = this.#at.cqes + (this.#cqHead & this.#at.cqMask) * (IO_URING_CQE_BYTES / 4);
    this.#cqHead = (this.#cqHead + 1) | 0;
    return true;
  }

  get low(): number {
    return this.#rings[this.#cqe + IO_URING_CQE.user_data / 4] ?? 0;
  }

  get high(): number {
    return this.#rings[this.#cqe + IO_URING_CQE.user_data / 4 + 1] ?? 0;
  }

  get result(): number {
    return this.#rings[this.#cqe + IO_URING_CQE.res / 4] ?? 0;
  }

  get flags(): number {
    return this.#rings[this.#cqe + IO_URING_CQE.flags / 4] ?? 0;
  }

  get hasCompletion(): boolean {
    return this.#cqHead !== Atomics.load(this.#rings, this.#at.cqTail);
  }

  /** Nothing may be under way. */
  close(): void {
    closeFd(this.fd);
  }

  #enter(toSubmit: number, minComplete: number, timeoutMs: number): number {
    if (minComplete === 0 || timeoutMs < 0)
      return Math.min(0, ioUringEnter(this.fd, toSubmit, minComplete, IORING_ENTER_GETEVENTS, 0, 0));
    this.#timeout.setInt32(0, Math.floor(timeoutMs / 1000), true);
    this.#timeout.setInt32(8, (timeoutMs % 1000) * NS_PER_MS, true);
    return Math.min(
      0,
      ioUringEnter(
        this.fd,
        toSubmit,
        minComplete,
        IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
        this.#argumentAddress,
        IoUringGeteventsArg.size,
      ),
    );
  }
}
