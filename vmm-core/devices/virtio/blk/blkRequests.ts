/**
 * Requests to a block device, virtio 1.2 §5.2.6: from the queues to the image, and back with a status. On the
 * thread that serves the disk.
 *
 * One request at a time is in hand: its chain was taken from a queue, and what it needs is not all asked for
 * yet. Those before it are with the I/O engine (requestTable.ts). It may have to wait for a free slot, for
 * its share of a rate, or, if it has to be alone, until nothing else is under way; nothing is taken
 * meanwhile. In the guest's memory the header is read once; lengths and addresses are those that the queue
 * has checked.
 */
import {
  VIRTIO_BLK_ID_BYTES,
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_WRITE_ZEROES,
  VirtioBlkOuthdr,
} from '../../../abi/virtioBlk.ts';
import { DiskError } from '../../../backends/disk/diskError.ts';
import { type DiskImage, SECTOR_BYTES } from '../../../backends/disk/diskImage.ts';
import { gpa, type GuestMemory } from '../../../memory/guestMemory.ts';
import type { IoSlots } from '../../deviceService.ts';
import { DescriptorChain } from '../descriptorChain.ts';
import type { VirtQueue } from '../queue.ts';
import { ChainCursor } from './chainCursor.ts';
import { DataTransfer } from './dataTransfer.ts';
import { HostErrors } from './hostErrors.ts';
import type { RateLimit } from './rateLimit.ts';
import { NONE, RequestTable } from './requestTable.ts';
import { SectorRanges } from './sectorRanges.ts';

/** What requests are served with. */
export interface BlkHost {
  readonly memory: GuestMemory;
  readonly io: IoSlots;
  readonly queues: readonly VirtQueue[];
  readonly limit: RateLimit;
  /** Interrupts the driver unless it asked not to be. */
  notifyUsed(queue: VirtQueue): void;
  /** The driver broke a rule and there is no way to tell it: NEEDS_RESET. */
  fail(rule: string): void;
  /** Writes are to be on the disk when they are done (§5.2.6.2, "stable"). */
  isWriteThrough(): boolean;
  /** Discard and write-zeroes are negotiated. */
  mayDiscard(): boolean;
  mayWriteZeroes(): boolean;
  /** A sentence for the user. */
  tell(message: string): void;
}

/** The medium. */
export interface BlkDisk {
  readonly image: DiskImage;
  /** For messages. */
  readonly path: string;
  readonly isReadOnly: boolean;
  /** VIRTIO_BLK_ID_BYTES, padded with zeros. */
  readonly id: Uint8Array;
}

/**
 * Taken at a time, before the driver hears of those that are done and others on the thread have their turn.
 * The page cache is copied in the call that submits: while the driver deals with the first of several large
 * requests, the next are copied.
 */
const BATCH_REQUESTS = 64;
const BATCH_BYTES = 1 << 20;

/** The request in hand. */
const NOTHING = 0;
const WAITING = 1;
const RUNNING = 2;

const HEADER_BYTES = VirtioBlkOuthdr.size;
const { type: TYPE, sector: SECTOR } = VirtioBlkOuthdr.fields;
const U32_LIMIT = 2 ** 32;

export class BlkRequests {
  readonly #host: BlkHost;
  readonly #requests: RequestTable;
  readonly #chain = new DescriptorChain();
  readonly #cursor: ChainCursor;
  readonly #transfer: DataTransfer;
  readonly #ranges = new SectorRanges();
  readonly #errors: HostErrors;
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  #disk: BlkDisk;
  // Bits, by queue: something may be available; used buffers that the driver has not been told of.
  #available = 0;
  #used = 0;
  /** The queue whose turn it is. */
  #turn = 0;
  // The request in hand.
  #state = NOTHING;
  #queue = 0;
  #type = 0;
  #sector = 0;
  #dataBytes = 0;
  #isAdmitted = false;
  #isAlone = false;
  #request = NONE;
  #isPaused = false;
  #isTaking = false;
  /** A sync has failed: the kernel has dropped what it could not write, and no later one can succeed. */
  #syncErrno = 0;

  constructor(host: BlkHost, disk: BlkDisk) {
    const { io, memory } = host;
    this.#host = host;
    this.#disk = disk;
    this.#requests = new RequestTable(io);
    this.#cursor = new ChainCursor(this.#chain, memory);
    this.#transfer = new DataTransfer(this.#requests, io.engine.iovecs, this.#cursor, disk.image);
    this.#errors = new HostErrors((message) => host.tell(message));
  }

  /** Nothing is under way or half begun. A request that only waits is of no concern to the host. */
  get isIdle(): boolean {
    return this.#requests.underWay === 0 && this.#state !== RUNNING;
  }

  /** While idle. */
  set disk(disk: BlkDisk) {
    this.#disk = disk;
    this.#transfer.setImage(disk.image);
    this.#syncErrno = 0;
  }

  /** The driver has kicked a queue, or may have. True: there may be more. */
  onKick(queue: number): boolean {
    this.#available |= 1 << queue;
    return this.proceed();
  }

  /** Something that was waited for is there: a slot, time. True: there may be more. */
  proceed(): boolean {
    const isMore = this.#take();
    this.notify();
    return isMore;
  }

  /** A transfer is done. `notify` follows, when all that are done have been told. */
  onDone(slot: number, result: number): void {
    const request = this.#requests.requestOf(slot);
    if (request === NONE) return this.#host.io.giveSlot(slot);
    this.#isTaking = true; // its slot, given back, must not bring us further before we have looked at it
    const errno = this.#requests.done(slot, result, this.#disk.image.mayEndEarly);
    this.#isTaking = false;
    if (errno !== 0) this.#report(request, errno);
    const isInHand = this.#state === RUNNING && request === this.#request;
    if (!isInHand && !this.#requests.isBusy(request)) this.#finish(request);
    if (this.#state !== NOTHING && this.#requests.underWay === 0 && this.#take()) this.#host.io.arm(0);
  }

  /** Interrupts for what was returned since the last time. */
  notify(): void {
    for (let i = 0; this.#used !== 0; i++) {
      const bit = 1 << i;
      if ((this.#used & bit) === 0) continue;
      this.#used &= ~bit;
      const queue = this.#host.queues[i];
      if (queue !== undefined) this.#host.notifyUsed(queue);
    }
  }

  /** No more requests are begun; what has begun is finished. */
  pause(): void {
    this.#isPaused = true;
  }

  /** A request that waits is checked anew: the disk may be another, or larger. */
  resume(): void {
    this.#isPaused = false;
    this.#available = (1 << this.#host.queues.length) - 1;
    if (this.#state !== WAITING) return;
    this.#state = NOTHING;
    this.#accept();
  }

  /** While idle: the driver has reset the device. */
  reset(): void {
    this.#state = NOTHING;
    this.#request = NONE;
    this.#available = 0;
    this.#used = 0;
    this.#requests.forget();
  }

  /** While idle: the driver has reset that queue, and has its buffers back. */
  resetQueue(queue: number): void {
    if (this.#state === WAITING && this.#queue === queue) this.#state = NOTHING;
  }

  /** True: there may be more. */
  #take(): boolean {
    if (this.#isTaking) return true;
    this.#isTaking = true;
    try {
      for (let taken = 0, bytes = 0; taken < BATCH_REQUESTS && bytes < BATCH_BYTES; taken++) {
        if (this.#state === NOTHING && !this.#next()) return false;
        if (this.#state === WAITING && !this.#begin()) return false;
        if (this.#state !== RUNNING) continue; // it has been answered
        if (!this.#run()) return false;
        bytes += this.#dataBytes;
      }
      return true;
    } finally {
      this.#isTaking = false;
    }
  }

  /** The next chain in hand, or already answered. False: there is none. */
  #next(): boolean {
    if (this.#isPaused) return false;
    const { queues } = this.#host;
    for (let i = 0; this.#available !== 0 && i < queues.length; i++) {
      const index = (this.#turn + i) % queues.length;
      if ((this.#available & (1 << index)) === 0) continue;
      if (queues[index]?.pop(this.#chain) !== true) {
        this.#available &= ~(1 << index);
        continue;
      }
      this.#turn = index + 1;
      this.#queue = index;
      this.#accept();
      return true;
    }
    return false;
  }

  #accept(): void {
    const { readableBytes, writableBytes } = this.#chain;
    if (writableBytes === 0) return this.#host.fail('§5.2.6: a request without a byte for its status');
    if (readableBytes < HEADER_BYTES) return this.#answer(VIRTIO_BLK_S_IOERR);
    this.#readHeader();
    this.#isAdmitted = false;
    this.#isAlone = false;
    switch (this.#type) {
      case VIRTIO_BLK_T_IN:
        return this.#acceptData(writableBytes - 1);
      case VIRTIO_BLK_T_OUT:
        if (this.#disk.isReadOnly) return this.#answer(VIRTIO_BLK_S_IOERR);
        return this.#acceptData(readableBytes - HEADER_BYTES);
      case VIRTIO_BLK_T_FLUSH:
        this.#dataBytes = 0;
        this.#state = WAITING;
        return;
      case VIRTIO_BLK_T_GET_ID:
        return this.#answerId(writableBytes - 1);
      case VIRTIO_BLK_T_DISCARD:
        return this.#acceptRanges(this.#host.mayDiscard());
      case VIRTIO_BLK_T_WRITE_ZEROES:
        return this.#acceptRanges(this.#host.mayWriteZeroes());
      default:
        return this.#answer(VIRTIO_BLK_S_UNSUPP);
    }
  }

  /** Most drivers have it in a buffer of its own. */
  #readHeader(): void {
    const { gpa: start, length } = this.#chain;
    if ((length[0] ?? 0) >= HEADER_BYTES) {
      const at = start[0] ?? 0;
      const { memory } = this.#host;
      this.#type = memory.readU32(gpa(at + TYPE.offset));
      this.#sector =
        memory.readU32(gpa(at + SECTOR.offset)) + memory.readU32(gpa(at + SECTOR.offset + 4)) * U32_LIMIT;
      return;
    }
    this.#cursor.toReadable(0);
    this.#cursor.copyOut(this.#header);
    this.#type = this.#headerView.getUint32(TYPE.offset, true);
    this.#sector =
      this.#headerView.getUint32(SECTOR.offset, true) +
      this.#headerView.getUint32(SECTOR.offset + 4, true) * U32_LIMIT;
  }

  /** Sectors beyond 2^53 are rounded, and are beyond the end of any disk all the same. */
  #acceptData(dataBytes: number): void {
    const sectors = dataBytes / SECTOR_BYTES;
    const isWithin = this.#sector <= this.#capacitySectors - sectors;
    if (dataBytes % SECTOR_BYTES !== 0 || !isWithin) return this.#answer(VIRTIO_BLK_S_IOERR);
    if (this.#type === VIRTIO_BLK_T_IN) this.#cursor.toWritable();
    else this.#cursor.toReadable(HEADER_BYTES);
    this.#dataBytes = dataBytes;
    this.#isAlone = this.#transfer.begin(this.#sector * SECTOR_BYTES, dataBytes);
    this.#state = WAITING;
  }

  #acceptRanges(isNegotiated: boolean): void {
    if (!isNegotiated) return this.#answer(VIRTIO_BLK_S_UNSUPP);
    if (this.#disk.isReadOnly) return this.#answer(VIRTIO_BLK_S_IOERR);
    this.#cursor.toReadable(HEADER_BYTES);
    const lengthBytes = this.#chain.readableBytes - HEADER_BYTES;
    const status = this.#ranges.copy(this.#type, this.#cursor, lengthBytes, this.#capacitySectors);
    if (status !== VIRTIO_BLK_S_OK) return this.#answer(status);
    this.#dataBytes = 0;
    this.#isAlone = true;
    this.#state = WAITING;
  }

  get #capacitySectors(): number {
    return this.#disk.image.sizeBytes / SECTOR_BYTES;
  }

  /** False: it has to wait on. */
  #begin(): boolean {
    if (this.#isPaused) return false;
    if (this.#isAlone && this.#requests.underWay > 0) return false;
    if (!this.#isAdmitted) {
      const delayMs = this.#host.limit.admit(this.#dataBytes);
      if (delayMs > 0) {
        this.#host.io.arm(delayMs);
        return false;
      }
      this.#isAdmitted = true;
    }
    this.#request = this.#requests.open(this.#queue, this.#chain.head, this.#statusAt, this.#type);
    if (this.#request === NONE) return false;
    if (this.#type === VIRTIO_BLK_T_IN) this.#requests.setWrittenBytes(this.#request, this.#dataBytes);
    this.#state = RUNNING;
    return true;
  }

  /** False: it has to wait until something is done, or a slot is free. */
  #run(): boolean {
    const request = this.#request;
    try {
      if (!this.#perform(request)) return false;
    } catch (error) {
      this.#failBy(request, error);
    }
    this.#state = NOTHING;
    this.#request = NONE;
    if (!this.#requests.isBusy(request)) this.#finish(request);
    return true;
  }

  #perform(request: number): boolean {
    switch (this.#type) {
      case VIRTIO_BLK_T_IN:
        return this.#transfer.read(request);
      case VIRTIO_BLK_T_OUT: {
        const isAsked = this.#transfer.write(request);
        const errno = this.#requests.errnoOf(request);
        if (errno !== 0) this.#report(request, errno);
        return isAsked;
      }
      case VIRTIO_BLK_T_FLUSH:
        this.#sync(request);
        return true;
      default:
        this.#ranges.carryOut(this.#disk.image);
        return true;
    }
  }

  /** Makes durable what is written. The image may have nothing to sync. */
  #sync(request: number): void {
    const { image } = this.#disk;
    if (!image.flush()) return;
    if (this.#syncErrno === 0) this.#requests.sync(request, image.fd);
    else this.#requests.fail(request, this.#syncErrno);
  }

  /** All of it is done. A write that has to be durable is not, yet: it goes on as a flush. */
  #finish(request: number): void {
    if (this.#isToBeStable(request)) {
      this.#requests.setType(request, VIRTIO_BLK_T_FLUSH);
      try {
        this.#sync(request);
      } catch (error) {
        this.#failBy(request, error);
      }
      if (this.#requests.isBusy(request)) return;
    }
    const isGood = this.#requests.errnoOf(request) === 0;
    this.#push(
      this.#requests.queueOf(request),
      this.#requests.headOf(request),
      this.#requests.statusAt(request),
      isGood ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
      isGood ? this.#requests.writtenBytes(request) : 0,
    );
    this.#requests.close(request);
  }

  #isToBeStable(request: number): boolean {
    const type = this.#requests.typeOf(request);
    if (type === VIRTIO_BLK_T_IN || type === VIRTIO_BLK_T_FLUSH) return false;
    return this.#requests.errnoOf(request) === 0 && this.#host.isWriteThrough();
  }

  /** The chain in hand is done with, without the help of the disk. */
  #answer(status: number, writtenBytes = 0): void {
    this.#push(this.#queue, this.#chain.head, this.#statusAt, status, writtenBytes);
  }

  #answerId(roomBytes: number): void {
    if (roomBytes < VIRTIO_BLK_ID_BYTES) return this.#answer(VIRTIO_BLK_S_IOERR);
    this.#cursor.toWritable();
    this.#cursor.copyIn(this.#disk.id);
    this.#answer(VIRTIO_BLK_S_OK, VIRTIO_BLK_ID_BYTES);
  }

  /** `writtenBytes`: of data; the status byte comes after. */
  #push(queue: number, head: number, statusAt: number, status: number, writtenBytes: number): void {
    this.#host.memory.writeU8(gpa(statusAt), status);
    this.#host.queues[queue]?.push(head, writtenBytes + 1);
    this.#used |= 1 << queue;
  }

  /** The last byte that the device may write. */
  get #statusAt(): number {
    const { gpa: start, length, segments } = this.#chain;
    return (start[segments - 1] ?? 0) + (length[segments - 1] ?? 1) - 1;
  }

  #failBy(request: number, error: unknown): void {
    if (!(error instanceof DiskError)) throw error;
    this.#requests.fail(request, error.errno);
    this.#errors.ofImage(error);
  }

  #report(request: number, errno: number): void {
    const type = this.#requests.typeOf(request);
    const call = type === VIRTIO_BLK_T_IN ? 'read' : type === VIRTIO_BLK_T_FLUSH ? 'sync' : 'write';
    if (type === VIRTIO_BLK_T_FLUSH) this.#syncErrno = errno;
    this.#errors.ofCall(call, errno, this.#disk.path);
  }
}
