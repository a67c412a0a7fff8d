/**
 * The connections of a vsock device: rows of its shared registers, found by their two ports. One thread.
 */
import type { Registers } from '../../../bus/stateBlock.ts';
import { MAX_CONNECTIONS, STATE, type VsockState } from './vsockState.ts';

export const NONE = -1;

const BUCKETS = 2048;
/** Those with low numbers have a large buffer: there are seldom more, and many shall not take much. */
const LARGE_ROWS = 64;
const LARGE_BYTES = 256 * 1024;
const SMALL_BYTES = 64 * 1024;

/** How much may wait for a program, in bytes. */
export function bufferBytes(row: number): number {
  return row < LARGE_ROWS ? LARGE_BYTES : SMALL_BYTES;
}

export class ConnectionTable {
  readonly regs: Registers<VsockState>;
  readonly state: Uint32Array;
  readonly flags: Uint32Array;
  readonly guestPort: Uint32Array;
  readonly hostPort: Uint32Array;
  /** The socket of each. */
  readonly fd = new Int32Array(MAX_CONNECTIONS).fill(NONE);
  /** When it ends if nothing happens, by performance.now(). */
  readonly deadlineMs = new Float64Array(MAX_CONNECTIONS).fill(Infinity);
  /** forwardedBytes as the guest was told last. */
  readonly toldForwarded = new Uint32Array(MAX_CONNECTIONS);
  readonly #buckets = new Int32Array(BUCKETS).fill(NONE);
  readonly #next = new Int32Array(MAX_CONNECTIONS).fill(NONE);
  /** A stack. */
  readonly #free = Int32Array.from({ length: MAX_CONNECTIONS }, (_, i) => MAX_CONNECTIONS - 1 - i);
  #freeCount = MAX_CONNECTIONS;

  constructor(regs: Registers<VsockState>) {
    this.regs = regs;
    this.state = regs.connectionState;
    this.flags = regs.connectionFlags;
    this.guestPort = regs.guestPort;
    this.hostPort = regs.hostPort;
    this.state.fill(STATE.free);
  }

  get isFull(): boolean {
    return this.#freeCount === 0;
  }

  /** A row without ports. NONE: there is none left. */
  open(state: number, fd: number): number {
    if (this.#freeCount === 0) return NONE;
    const row = this.#free[--this.#freeCount] ?? NONE;
    this.state[row] = state;
    this.flags[row] = 0;
    this.fd[row] = fd;
    this.deadlineMs[row] = Infinity;
    this.toldForwarded[row] = 0;
    const { regs } = this;
    regs.bufAlloc[row] = bufferBytes(row);
    for (const column of [regs.receivedBytes, regs.receivedHigh, regs.forwardedBytes]) column[row] = 0;
    for (const column of [regs.sentBytes, regs.sentHigh, regs.peerBufAlloc, regs.peerFwdCnt]) column[row] = 0;
    return row;
  }

  /** From now on `find` finds it. */
  setPorts(row: number, hostPort: number, guestPort: number): void {
    this.hostPort[row] = hostPort;
    this.guestPort[row] = guestPort;
    const bucket = bucketOf(hostPort, guestPort);
    this.#next[row] = this.#buckets[bucket] ?? NONE;
    this.#buckets[bucket] = row;
  }

  find(hostPort: number, guestPort: number): number {
    let row = this.#buckets[bucketOf(hostPort, guestPort)] ?? NONE;
    while (row !== NONE && (this.hostPort[row] !== hostPort || this.guestPort[row] !== guestPort))
      row = this.#next[row] ?? NONE;
    return row;
  }

  /** `find` finds it no more. */
  dropPorts(row: number): void {
    const bucket = bucketOf(this.hostPort[row] ?? 0, this.guestPort[row] ?? 0);
    let before = NONE;
    for (let at = this.#buckets[bucket] ?? NONE; at !== NONE; before = at, at = this.#next[at] ?? NONE) {
      if (at !== row) continue;
      const next = this.#next[row] ?? NONE;
      if (before === NONE) this.#buckets[bucket] = next;
      else this.#next[before] = next;
      return;
    }
  }

  /** Its ports are dropped, its socket is closed. */
  close(row: number): void {
    this.state[row] = STATE.free;
    this.flags[row] = 0;
    this.fd[row] = NONE;
    this.deadlineMs[row] = Infinity;
    this.#free[this.#freeCount++] = row;
  }

  has(row: number, flags: number): boolean {
    return ((this.flags[row] ?? 0) & flags) !== 0;
  }

  set(row: number, flags: number): void {
    this.flags[row] = (this.flags[row] ?? 0) | flags;
  }

  clear(row: number, flags: number): void {
    this.flags[row] = (this.flags[row] ?? 0) & ~flags;
  }

  /** The guest's bytes that wait for the program, as the guest counts them. */
  usedBytes(row: number): number {
    return ((this.regs.receivedBytes[row] ?? 0) - (this.regs.forwardedBytes[row] ?? 0)) >>> 0;
  }

  addReceived(row: number, lengthBytes: number): void {
    addTo(this.regs.receivedBytes, this.regs.receivedHigh, row, lengthBytes);
  }

  addSent(row: number, lengthBytes: number): void {
    addTo(this.regs.sentBytes, this.regs.sentHigh, row, lengthBytes);
  }

  addForwarded(row: number, lengthBytes: number): void {
    this.regs.forwardedBytes[row] = (this.regs.forwardedBytes[row] ?? 0) + lengthBytes;
  }

  /** §5.10.6.3: how much the guest has room for. What it says may be nonsense: then that is nothing. */
  credit(row: number): number {
    const room = this.regs.peerBufAlloc[row] ?? 0;
    const underWay = ((this.regs.sentBytes[row] ?? 0) - (this.regs.peerFwdCnt[row] ?? 0)) >>> 0;
    return underWay < room ? room - underWay : 0;
  }

  /** The guest believes that half of our buffer is taken, and is mistaken. */
  isCreditDue(row: number): boolean {
    const told = this.toldForwarded[row] ?? 0;
    if (told === this.regs.forwardedBytes[row]) return false;
    return ((this.regs.receivedBytes[row] ?? 0) - told) >>> 0 >= (this.regs.bufAlloc[row] ?? 0) / 2;
  }
}

function addTo(low: Uint32Array, high: Uint32Array, row: number, lengthBytes: number): void {
  const before = low[row] ?? 0;
  low[row] = before + lengthBytes; // modulo 2^32
  if ((low[row] ?? 0) < before) high[row] = (high[row] ?? 0) + 1;
}

function bucketOf(hostPort: number, guestPort: number): number {
  const mixed = Math.imul(hostPort ^ Math.imul(guestPort, 0x9e37_79b1), 0x85eb_ca6b);
  return (mixed ^ (mixed >>> 15)) & (BUCKETS - 1);
}
