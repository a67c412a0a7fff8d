/**
 * Requests that are under way, by the slots of the I/O engine they hold. A request is its first slot; that is
 * its own until it is closed, and every further transfer of it has another. All in arrays, so that a request
 * allocates nothing. The thread of the disk.
 */
import { constants } from 'node:os';
import { VIRTIO_BLK_T_IN } from '../../../abi/virtioBlk.ts';
import type { IoEngine } from '../../../bus/ioEngine.ts';
import type { IoSlots } from '../../deviceService.ts';

/** No slot, or no request. */
export const NONE = -1;

const { EIO, ENODATA } = constants.errno;

export class RequestTable {
  /** Transfers that the engine has. */
  underWay = 0;
  readonly #io: IoSlots;
  readonly #engine: IoEngine;
  // Of a request.
  readonly #queue: Uint8Array;
  readonly #head: Uint16Array;
  readonly #statusAt: Float64Array;
  readonly #type: Uint32Array;
  /** What the driver is told to be written when it succeeds. */
  readonly #writtenBytes: Uint32Array;
  readonly #pending: Uint16Array;
  readonly #errno: Uint16Array;
  // Of a transfer.
  readonly #request: Int32Array;
  readonly #expected: Float64Array;

  constructor(io: IoSlots) {
    const { engine } = io;
    this.#io = io;
    this.#engine = engine;
    this.#queue = new Uint8Array(engine.slots);
    this.#head = new Uint16Array(engine.slots);
    this.#statusAt = new Float64Array(engine.slots);
    this.#type = new Uint32Array(engine.slots);
    this.#writtenBytes = new Uint32Array(engine.slots);
    this.#pending = new Uint16Array(engine.slots);
    this.#errno = new Uint16Array(engine.slots);
    this.#request = new Int32Array(engine.slots).fill(NONE);
    this.#expected = new Float64Array(engine.slots);
  }

  /** NONE: no slot is free. */
  open(queue: number, head: number, statusAt: number, type: number): number {
    const request = this.#io.takeSlot();
    if (request === NONE) return NONE;
    this.#queue[request] = queue;
    this.#head[request] = head;
    this.#statusAt[request] = statusAt;
    this.#type[request] = type;
    this.#writtenBytes[request] = 0;
    this.#pending[request] = 0;
    this.#errno[request] = 0;
    return request;
  }

  close(request: number): void {
    this.#io.giveSlot(request);
  }

  queueOf(request: number): number {
    return this.#queue[request] ?? 0;
  }

  headOf(request: number): number {
    return this.#head[request] ?? 0;
  }

  statusAt(request: number): number {
    return this.#statusAt[request] ?? 0;
  }

  typeOf(request: number): number {
    return this.#type[request] ?? 0;
  }

  setType(request: number, type: number): void {
    this.#type[request] = type;
  }

  writtenBytes(request: number): number {
    return this.#writtenBytes[request] ?? 0;
  }

  setWrittenBytes(request: number, lengthBytes: number): void {
    this.#writtenBytes[request] = lengthBytes;
  }

  /** 0: nothing has failed. */
  errnoOf(request: number): number {
    return this.#errno[request] ?? EIO;
  }

  /** The first failure counts. */
  fail(request: number, errno: number): void {
    if (this.#errno[request] === 0) this.#errno[request] = errno;
  }

  /** It has transfers under way. */
  isBusy(request: number): boolean {
    return this.#pending[request] !== 0;
  }

  /** A slot for one more transfer, with an empty row; NONE: none is free. `giveBack` if it is not used. */
  slotFor(request: number): number {
    const slot = this.#request[request] === NONE ? request : this.#io.takeSlot();
    if (slot !== NONE) this.#engine.iovecs.clear(slot);
    return slot;
  }

  giveBack(request: number, slot: number): void {
    if (slot !== request) this.#io.giveSlot(slot);
  }

  read(request: number, slot: number, fd: number, offset: number): void {
    this.#begin(request, slot, this.#engine.iovecs.lengthBytes(slot));
    this.#engine.readv(slot, fd, offset);
  }

  write(request: number, slot: number, fd: number, offset: number): void {
    this.#begin(request, slot, this.#engine.iovecs.lengthBytes(slot));
    this.#engine.writev(slot, fd, offset);
  }

  sync(request: number, fd: number): void {
    this.#begin(request, request, 0);
    this.#engine.fdatasync(request, fd);
  }

  /** On this thread, at once. Returns 0 or what went wrong; the slot is free again. */
  writeNow(request: number, slot: number, fd: number, offset: number): number {
    const expected = this.#engine.iovecs.lengthBytes(slot);
    const errno = failureOf(this.#engine.writevNow(slot, fd, offset), expected);
    this.giveBack(request, slot);
    return errno;
  }

  /**
   * A transfer is done: returns what went wrong with it, 0 for nothing. `requestOf` says before whose it is,
   * NONE: of a life before a reset, its end is of no interest. `mayEndEarly`: see DiskImage.
   */
  done(slot: number, result: number, mayEndEarly: boolean): number {
    const request = this.requestOf(slot);
    this.#request[slot] = NONE;
    this.underWay--;
    this.#pending[request] = (this.#pending[request] ?? 1) - 1;
    const errno = this.#endOf(slot, request, result, mayEndEarly);
    if (errno !== 0) this.fail(request, errno);
    this.giveBack(request, slot);
    return errno;
  }

  requestOf(slot: number): number {
    return this.#request[slot] ?? NONE;
  }

  /** Nothing is awaited any more. */
  forget(): void {
    this.#request.fill(NONE);
    this.underWay = 0;
  }

  #endOf(slot: number, request: number, result: number, mayEndEarly: boolean): number {
    const expected = this.#expected[slot] ?? 0;
    const isEarly = result >= 0 && result < expected;
    if (!isEarly || !mayEndEarly || this.typeOf(request) !== VIRTIO_BLK_T_IN)
      return failureOf(result, expected);
    this.#engine.iovecs.zeroRest(slot);
    return 0;
  }

  #begin(request: number, slot: number, expected: number): void {
    this.#request[slot] = request;
    this.#expected[slot] = expected;
    this.#pending[request] = (this.#pending[request] ?? 0) + 1;
    this.underWay++;
  }
}

/** ENODATA: a transfer that ends early has met the end of a file that is shorter than it was. */
function failureOf(result: number, expected: number): number {
  if (result === expected) return 0;
  return result < 0 ? -result : ENODATA;
}
