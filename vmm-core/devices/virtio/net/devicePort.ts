/**
 * What an interface lends to its link: the guest's buffers for frames, behind the driver's filter. On the
 * thread that serves the interface. Frames go straight into guest memory, but where they must be seen first:
 * those of a locked interface, which may be for others, and those that the driver's buffers may be too small
 * for.
 */
import type { CaptureBuffer, CapturedFrame } from '../../../backends/net/capture/capture.ts';
import type { DropReason, GuestOffloads, GuestPort, Offload } from '../../../backends/net/netLink.ts';
import { MAX_FRAME_BYTES } from '../../../backends/net/netLink.ts';
import type { MessageIo } from '../../../bus/messageIo.ts';
import type { Poller } from '../../../bus/poller.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import { FlowTable } from './flowTable.ts';
import { FILTERED_BYTES, type MacFilter } from './macFilter.ts';
import type { NetCounters } from './netCounters.ts';
import { NO_OFFLOADS } from './netFeatures.ts';
import { ROOM, type RxBuffers } from './rxBuffers.ts';
import { ETHERNET_HEADER_BYTES } from './txFrames.ts';

export interface DevicePortOptions {
  readonly name: string;
  /** Kept up to date by the service. */
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly isLocked: boolean;
  /** By pair. */
  readonly buffers: readonly RxBuffers[];
  readonly filter: MacFilter;
  readonly counters: NetCounters;
  /** Made when a link asks for it. */
  readonly poller: () => Poller;
  readonly message: () => MessageIo;
  readonly setCarrier: (isUp: boolean) => void;
  readonly arm: (delayMs: number) => void;
  readonly trouble: (sentence: string) => void;
  readonly tell: (message: unknown) => void;
}

export class DevicePort implements GuestPort, CapturedFrame {
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly pairs: number;
  offloads: GuestOffloads = NO_OFFLOADS;
  /** The driver is ready and the link is up. */
  isOpen = false;
  /** See GuestPort. */
  isCut = false;
  /** The link has a frame of the guest: what it drops then is that. */
  isSending = false;
  /** Where frames are written to now. */
  capture: CaptureBuffer | undefined;
  /** Of the frame that is committed, for the capture. */
  lengthBytes = 0;
  /** A link went without room: it waits for `onRoom`. */
  isRoomWanted = false;
  readonly #options: DevicePortOptions;
  #poller: Poller | undefined;
  #message: MessageIo | undefined;
  /** Of the pairs those that the driver uses. */
  #pairsInUse = 1;
  /** Made when a link asks for it: a tap's kernel knows itself. */
  #flows: FlowTable | undefined;
  // The frame that is being made.
  #buffers: RxBuffers;
  #reservedBytes = 0;
  #isDetour = false;
  /** Where frames are that take the detour. */
  #detour: IoBuffer | undefined;
  readonly #head = new DataView(new ArrayBuffer(FILTERED_BYTES));

  constructor(options: DevicePortOptions) {
    const { name, mac, mtu, buffers } = options;
    this.#options = options;
    this.name = name;
    this.mac = mac;
    this.mtu = mtu;
    this.pairs = buffers.length;
    this.#buffers = this.#buffersOf(0);
  }

  get poller(): Poller {
    return (this.#poller ??= this.#options.poller());
  }

  get message(): MessageIo {
    return (this.#message ??= this.#options.message());
  }

  /** See GuestPort, as all that follows. */
  reserve(lengthBytes: number, pair = 0): boolean {
    const buffers = this.#buffersOf(pair);
    const room = this.isOpen && lengthBytes <= MAX_FRAME_BYTES ? buffers.reserve(lengthBytes) : ROOM.notYet;
    if (room === ROOM.notYet) {
      this.isRoomWanted = true;
      this.#reservedBytes = 0;
      return false;
    }
    const isDetour = room === ROOM.never || this.#options.isLocked;
    if (isDetour && !this.#isDetour) this.#beginDetour();
    this.#buffers = buffers;
    this.#reservedBytes = lengthBytes;
    return true;
  }

  pairOf(head: Uint8Array): number {
    if (this.#pairsInUse === 1) return 0;
    this.#flows ??= new FlowTable();
    return this.#flows.pairOf(head, this.#pairsInUse);
  }

  write(at: number, bytes: Uint8Array): void {
    this.#check(at + bytes.length);
    if (this.#detour !== undefined && this.#isDetour) this.#detour.bytes.set(bytes, at);
    else this.#buffers.write(at, bytes, bytes.length);
  }

  addTo(message: MessageIo, at: number, lengthBytes: number): boolean {
    this.#check(at + lengthBytes);
    if (this.#detour !== undefined && this.#isDetour) return message.addBuffer(this.#detour, at, lengthBytes);
    return this.#buffers.addTo(message, at, lengthBytes);
  }

  commit(lengthBytes: number, offload: Readonly<Offload>): void {
    const isReserved = this.isOpen && this.#reservedBytes > 0;
    if (isReserved) this.#check(lengthBytes);
    const { counters } = this.#options;
    if (!isReserved) counters.receivedDropped('linkDown');
    else if (lengthBytes < ETHERNET_HEADER_BYTES) counters.receivedDropped('malformed');
    else if (!this.#passesFilter(lengthBytes)) counters.receivedDropped('filtered');
    else if (!this.#endDetour(lengthBytes)) counters.receivedDropped('noRoom');
    else {
      this.lengthBytes = lengthBytes;
      if (this.capture !== undefined) this.capture.add(false, this);
      this.#buffers.commit(lengthBytes, offload);
      counters.received(lengthBytes);
    }
    this.#reservedBytes = 0;
    this.#isDetour = false;
  }

  /** See CapturedFrame. */
  copyTo(into: Uint8Array, from: number): void {
    this.#buffers.copyTo(into, from);
  }

  drop(reason: DropReason): void {
    const { counters } = this.#options;
    if (this.isSending && reason !== 'noRoom') counters.sentDropped(reason);
    else counters.receivedDropped(reason === 'noRoom' && !this.isOpen ? 'linkDown' : reason);
  }

  setCarrier(isUp: boolean): void {
    this.#options.setCarrier(isUp);
  }

  arm(delayMs: number): void {
    this.#options.arm(delayMs);
  }

  trouble(sentence: string): void {
    this.#options.trouble(sentence);
  }

  tell(message: unknown): void {
    this.#options.tell(message);
  }

  get pairsInUse(): number {
    return this.#pairsInUse;
  }

  /** The driver uses so many pairs of queues from now on. */
  usePairs(pairs: number): void {
    this.forget();
    this.#pairsInUse = pairs;
    this.#flows = undefined;
  }

  /** The guest has sent a frame that begins so. */
  learn(head: Uint8Array, pair: number): void {
    if (this.#flows !== undefined) this.#flows.learn(head, pair);
  }

  /** The frame that was being made is no more. */
  forget(): void {
    this.#reservedBytes = 0;
    this.#isDetour = false;
  }

  #buffersOf(pair: number): RxBuffers {
    const { buffers } = this.#options;
    const found = buffers[pair % this.#pairsInUse];
    if (found === undefined) throw new RangeError(`no pair ${pair} of queues`);
    return found;
  }

  /** What was written of the frame goes along. */
  #beginDetour(): void {
    this.#detour ??= new IoBuffer(MAX_FRAME_BYTES);
    if (this.#reservedBytes > 0) this.#buffers.copyTo(this.#detour.bytes.subarray(0, this.#reservedBytes), 0);
    this.#isDetour = true;
  }

  /** False: the driver's buffers are too small for the frame. */
  #endDetour(lengthBytes: number): boolean {
    if (!this.#isDetour || this.#detour === undefined) return true;
    if (this.#buffers.reserve(lengthBytes) !== ROOM.yes) return false;
    this.#buffers.write(0, this.#detour.bytes.subarray(0, lengthBytes), lengthBytes);
    return true;
  }

  #passesFilter(lengthBytes: number): boolean {
    const { filter } = this.#options;
    if (!filter.isActive) return true;
    const head = this.#head;
    const headBytes = Math.min(lengthBytes, FILTERED_BYTES);
    if (this.#isDetour && this.#detour !== undefined)
      for (let i = 0; i < headBytes; i++) head.setUint8(i, this.#detour.bytes[i] ?? 0);
    else this.#buffers.read(head, headBytes);
    return filter.passes(head, lengthBytes);
  }

  #check(end: number): void {
    if (end > this.#reservedBytes)
      throw new RangeError(`${this.name}: byte ${end} of a frame is not reserved`);
  }
}
