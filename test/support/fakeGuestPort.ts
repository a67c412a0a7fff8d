/** What a link has of its device, without a guest: frames that come are kept, frames that go are bytes. */
import type { MessageIo } from '../../vmm-core/bus/messageIo.ts';
import type { Poller } from '../../vmm-core/bus/poller.ts';
import type {
  DropReason,
  GuestFrame,
  GuestOffloads,
  GuestPort,
  LinkReport,
  NetLink,
  Offload,
} from '../../vmm-core/backends/net/netLink.ts';
import { HEAD_BYTES, MAX_FRAME_BYTES } from '../../vmm-core/backends/net/netLink.ts';
import { noOffload } from '../../vmm-core/backends/net/offloadHeader.ts';
import type { IoEngine } from '../../vmm-core/bus/ioEngine.ts';
import { openIoEngine } from '../../vmm-core/kvm/io/openIoEngine.ts';
import { KernelMessage } from '../../vmm-core/kvm/net/messageIo.ts';
import { FlowTable } from '../../vmm-core/devices/virtio/net/flowTable.ts';
import { IoBuffer } from '../../vmm-core/memory/ioBuffer.ts';

const PAIRS = 4;

export interface TakenFrame {
  readonly bytes: Uint8Array;
  readonly offload: Offload;
}

export const ALL_OFFLOADS: GuestOffloads = {
  csum: true,
  tso4: true,
  tso6: true,
  ecn: true,
  ufo: true,
  uso4: true,
  uso6: true,
};

export interface FakePortOptions {
  readonly name?: string;
  readonly mac?: Uint8Array;
  readonly mtu?: number;
  readonly offloads?: GuestOffloads;
}

export class FakeGuestPort implements GuestPort {
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly pairs = PAIRS;
  offloads: GuestOffloads;
  readonly poller: Poller;
  readonly message: MessageIo;
  /** What has come, in order. */
  readonly frames: TakenFrame[] = [];
  /** Of `frames`: on which pair of queues they came, and on which they are waited for. */
  readonly steered: { readonly came: number; readonly awaited: number }[] = [];
  readonly drops: DropReason[] = [];
  readonly troubles: string[] = [];
  readonly told: unknown[] = [];
  isUp = true;
  isCut = false;
  /** Of frames that the guest takes yet. */
  room = Infinity;
  /** Longer ones have no room. */
  roomBytes = MAX_FRAME_BYTES;
  /** When the link wants to be called, by performance.now(). */
  dueMs = Infinity;
  readonly #engine: IoEngine = openIoEngine('poll', []);
  readonly #buffer = new IoBuffer(MAX_FRAME_BYTES);
  readonly #flows = new FlowTable();
  #pair = 0;
  #link: NetLink | undefined;

  constructor({ name = 'net0', mac, mtu = 1500, offloads = ALL_OFFLOADS }: FakePortOptions = {}) {
    this.name = name;
    this.mac = mac ?? Uint8Array.of(0xfe, 0xe1, 0xbb, 0xd0, 0, 1);
    this.mtu = mtu;
    this.offloads = offloads;
    this.message = new KernelMessage([]);
    this.poller = this.#engine.openPoller((tag, events) => this.#link?.onReady(tag, events));
  }

  /** The link that this port is lent to. */
  connect(link: NetLink): void {
    this.#link = link;
  }

  /** Until it holds, or `timeoutMs` have passed: false. */
  waitFor(holds: () => boolean, timeoutMs = 10_000): boolean {
    const end = performance.now() + timeoutMs;
    while (!holds()) {
      const leftMs = Math.min(end, this.dueMs) - performance.now();
      this.turn(Math.max(0, Math.ceil(leftMs)));
      if (performance.now() >= end) return holds();
    }
    return true;
  }

  /** One wait, at most so long, and what it was good for. */
  turn(timeoutMs = 0): void {
    this.#engine.wait(timeoutMs, { onDone: () => undefined, onReady: () => undefined });
    if (performance.now() < this.dueMs) return;
    this.dueMs = Infinity;
    this.#link?.onTimer?.();
  }

  /** The guest has offered buffers. */
  tellRoom(): void {
    this.#link?.onRoom?.();
  }

  /** The user pulls the cable, or puts it back. */
  setCut(isCut: boolean): void {
    this.isCut = isCut;
    if (isCut) this.#link?.onCut?.();
    else this.tellRoom();
  }

  report(): LinkReport {
    return this.#link?.report() ?? {};
  }

  /** From the guest. */
  send(bytes: Uint8Array, offload: Readonly<Offload> = noOffload()): void {
    this.#link?.send(new FakeGuestFrame(bytes, offload), 0);
    this.#link?.onSent?.();
  }

  /** Once is enough. */
  close(): void {
    this.#link?.close();
    if (this.#link !== undefined) this.#engine.close();
    this.#link = undefined;
  }

  reserve(lengthBytes: number, pair = 0): boolean {
    this.#pair = pair;
    return this.room > 0 && this.isUp && !this.isCut && lengthBytes <= this.roomBytes;
  }

  pairOf(head: Uint8Array): number {
    return this.#flows.pairOf(head, PAIRS);
  }

  write(at: number, bytes: Uint8Array): void {
    this.#buffer.bytes.set(bytes, at);
  }

  addTo(message: MessageIo, at: number, lengthBytes: number): boolean {
    return message.addBuffer(this.#buffer, at, lengthBytes);
  }

  commit(lengthBytes: number, offload: Readonly<Offload>): void {
    this.room--;
    const bytes = this.#buffer.bytes.slice(0, lengthBytes);
    this.frames.push({ bytes, offload: { ...offload } });
    this.steered.push({ came: this.#pair, awaited: this.pairOf(bytes) });
  }

  drop(reason: DropReason): void {
    this.drops.push(reason);
  }

  setCarrier(isUp: boolean): void {
    this.isUp = isUp;
  }

  arm(delayMs: number): void {
    this.dueMs = Math.min(this.dueMs, performance.now() + delayMs);
  }

  trouble(sentence: string): void {
    this.troubles.push(sentence);
  }

  tell(message: unknown): void {
    this.told.push(message);
  }
}

export class FakeGuestFrame implements GuestFrame {
  readonly lengthBytes: number;
  readonly head: Uint8Array;
  readonly headBytes: number;
  readonly offload: Readonly<Offload>;
  readonly #buffer: IoBuffer;

  constructor(bytes: Uint8Array, offload: Readonly<Offload>) {
    this.lengthBytes = bytes.length;
    this.headBytes = Math.min(bytes.length, HEAD_BYTES);
    this.head = new Uint8Array(HEAD_BYTES);
    this.head.set(bytes.subarray(0, this.headBytes));
    this.offload = offload;
    this.#buffer = new IoBuffer(bytes.length);
    this.#buffer.bytes.set(bytes);
  }

  copyTo(into: Uint8Array, from: number): void {
    into.set(this.#buffer.bytes.subarray(from, from + into.length));
  }

  addTo(message: MessageIo, from: number, lengthBytes: number): boolean {
    return message.addBuffer(this.#buffer, from, lengthBytes);
  }
}
