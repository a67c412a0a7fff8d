/** A network's TCP with a guest that a test plays: the port of the device, and frames both ways. */
import type { GuestOffloads, GuestPort, Offload } from '../../vmm-core/backends/net/netLink.ts';
import type { IcmpError, LostPacket } from '../../vmm-core/backends/net/user/icmpErrors.ts';
import { IpPacket } from '../../vmm-core/backends/net/user/packet/ipPacket.ts';
import type { Destination, HostSockets, TcpHost } from '../../vmm-core/backends/net/user/tcp/tcpHost.ts';
import { TcpNat, type TcpNatOptions } from '../../vmm-core/backends/net/user/tcp/tcpNat.ts';
import type { MessageIo } from '../../vmm-core/bus/messageIo.ts';
import type { Poller } from '../../vmm-core/bus/poller.ts';
import { FlowTable } from '../../vmm-core/devices/virtio/net/flowTable.ts';
import { IoBuffer } from '../../vmm-core/memory/ioBuffer.ts';
import { FakeSockets } from './fakeSockets.ts';
import { FrameBuffer, NO_OFFLOADS } from './netFrames.ts';

export const HOST_MAC = Uint8Array.of(0x52, 0x55, 10, 0, 2, 2);
export const GUEST_MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
export const TAG_BASE = 2 ** 24;

export const ALL_OFFLOADS: GuestOffloads = { ...NO_OFFLOADS, csum: true, tso4: true, tso6: true };

/** A frame for the guest, as its driver gets it. */
export interface ForGuest {
  readonly bytes: Uint8Array;
  readonly offload: Offload;
}

/** The device, with as much room as the test says. */
export class FakePort implements GuestPort {
  readonly name = 'net0';
  readonly mac = GUEST_MAC;
  readonly pairs = 4;
  readonly isCut = false;
  mtu = 1500;
  offloads = ALL_OFFLOADS;
  /** Frames that the guest has buffers for. */
  roomFrames = Infinity;
  readonly frames: ForGuest[] = [];
  readonly troubles: string[] = [];
  /** The longest frame that its buffers hold. */
  mostBytes = Infinity;
  /** What `arm` was asked for, since it was looked at. */
  armedMs = Infinity;
  readonly poller: Poller;
  readonly message: MessageIo;
  readonly #buffer = new IoBuffer(0x11000);
  readonly #frame = this.#buffer.bytes;
  readonly #flows = new FlowTable();
  #reserved = 0;
  #pair = 0;

  constructor(poller: Poller, message: MessageIo) {
    this.poller = poller;
    this.message = message;
  }

  pairOf(head: Uint8Array): number {
    return this.#flows.pairOf(head, this.pairs);
  }

  reserve(lengthBytes: number, pair = 0): boolean {
    this.#pair = pair;
    if (this.roomFrames <= 0 || lengthBytes > this.mostBytes) return false;
    this.#reserved = Math.max(this.#reserved, lengthBytes);
    return true;
  }

  write(at: number, bytes: Uint8Array): void {
    if (at + bytes.length > this.#reserved) throw new RangeError('written beyond what was reserved');
    this.#frame.set(bytes, at);
  }

  addTo(message: MessageIo, at: number, lengthBytes: number): boolean {
    if (at + lengthBytes > this.#reserved) throw new RangeError('more than was reserved');
    return message.addBuffer(this.#buffer, at, lengthBytes);
  }

  commit(lengthBytes: number, offload: Readonly<Offload>): void {
    if (lengthBytes > this.#reserved) throw new RangeError('more than was reserved');
    this.#reserved = 0;
    this.roomFrames--;
    const bytes = this.#frame.slice(0, lengthBytes);
    if (this.#pair !== this.pairOf(bytes)) throw new Error("a frame is not on its flow's pair of queues");
    this.frames.push({ bytes, offload: { ...offload } });
  }

  drop(): void {
    // Nobody counts.
  }

  arm(delayMs: number): void {
    if (!(delayMs >= 0)) throw new RangeError(`a timer in ${delayMs} ms`);
    this.armedMs = Math.min(this.armedMs, delayMs);
  }

  trouble(sentence: string): void {
    this.troubles.push(sentence);
  }

  setCarrier(): void {
    throw new Error('the wire is always there');
  }

  tell(): void {
    throw new Error('nobody is told');
  }
}

export interface WireOptions extends TcpNatOptions {
  readonly translate?: (address: Uint8Array, port: number) => Destination;
}

/** TCP between a guest's frames and sockets of a test; time is the test's. */
export class TcpWire {
  nowMs = 1000;
  readonly sockets: FakeSockets;
  readonly port: FakePort;
  readonly nat: TcpNat;
  /** When the timer is due. */
  dueMs = Infinity;
  /** How often it came. */
  timers = 0;
  /** What the guest was told of by ICMP. */
  readonly unreachable: {
    readonly lost: LostPacket;
    readonly sequence: number;
    readonly error: IcmpError;
  }[] = [];
  readonly #packet = new IpPacket();
  readonly #frame = new FrameBuffer();

  constructor({ translate, ...options }: WireOptions = {}) {
    this.sockets = new FakeSockets((tag, events) => this.nat.onReady(tag, events));
    this.port = new FakePort(this.sockets.poller, this.sockets.message);
    this.nat = new TcpNat(hostOf(this, translate ?? asItIs), options);
  }

  /** A frame of the guest; `sent` is due when the burst is over. */
  send(bytes: Uint8Array, offload?: Readonly<Offload>): void {
    const frame = this.#frame.put(bytes, offload);
    if (this.#packet.read(frame) === 'ip' && !this.#packet.isFragment && this.#packet.protocol === 6)
      this.nat.onSegment(this.#packet, frame);
  }

  sent(): void {
    this.nat.onSent();
  }

  /** Frames that have come for the guest since. */
  take(): ForGuest[] {
    this.followTimer();
    return this.port.frames.splice(0);
  }

  giveRoom(frames: number): void {
    this.port.roomFrames = frames;
    this.nat.onRoom();
  }

  /** Time passes; the timer comes when it is due. */
  advance(ms: number): void {
    for (const event of this.sockets.later.splice(0)) event();
    const end = this.nowMs + ms;
    for (this.followTimer(); this.dueMs <= end; this.followTimer()) {
      this.nowMs = Math.max(this.nowMs, this.dueMs);
      this.dueMs = Infinity;
      this.timers++;
      this.nat.onTimer();
    }
    this.nowMs = end;
  }

  /** True: the NAT wants another turn at once. */
  get wantsTurn(): boolean {
    this.followTimer();
    return this.dueMs <= this.nowMs;
  }

  followTimer(): void {
    this.dueMs = Math.min(this.dueMs, this.nowMs + this.port.armedMs);
    this.port.armedMs = Infinity;
  }
}

function hostOf(wire: TcpWire, translate: TcpHost['translate']): TcpHost {
  return {
    port: wire.port,
    sockets: wire.sockets satisfies HostSockets,
    mac: HOST_MAC,
    tagBase: TAG_BASE,
    now: () => wire.nowMs,
    translate,
    macOf: () => GUEST_MAC,
    unreachable: (lost, sequence, error) => wire.unreachable.push({ lost, sequence, error }),
  };
}

function asItIs(address: Uint8Array, port: number): Destination {
  return { family: address.length === 4 ? 'ipv4' : 'ipv6', address: address.slice(), port };
}
