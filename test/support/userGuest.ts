/**
 * A guest of a `user` network without a VM: sends frames to the link, and takes what the link has for it,
 * over the host's own sockets and epoll. What it is given must be right: headers, lengths, checksums.
 */
import assert from 'node:assert/strict';
import type { UserOpened } from '../../vmm-core/backends/net/user/userMessages.ts';
import { UserLink } from '../../vmm-core/backends/net/user/userLink.ts';
import { userNetwork } from '../../vmm-core/backends/net/user/addresses.ts';
import type { UserHost } from '../../vmm-core/backends/net/user/userHost.ts';
import type { TcpPart } from '../../vmm-core/backends/net/user/tcpPart.ts';
import {
  type GuestFrame,
  type GuestOffloads,
  type GuestPort,
  MAX_FRAME_BYTES,
  type Offload,
} from '../../vmm-core/backends/net/netLink.ts';
import { FlowTable } from '../../vmm-core/devices/virtio/net/flowTable.ts';
import { EpollPoller } from '../../vmm-core/kvm/net/epollPoller.ts';
import { KernelMessage } from '../../vmm-core/kvm/net/messageIo.ts';
import { IoBuffer } from '../../vmm-core/memory/ioBuffer.ts';
import { NO_OFFLOADS } from './netFrames.ts';
import {
  ethernet,
  ICMP,
  ICMPV6,
  ip,
  ip4,
  ip6,
  isSumRight,
  mac,
  type RawIp,
  seen,
  type SeenPacket,
  udp,
  UDP,
  withChecksum,
} from './rawPackets.ts';

export const GUEST_MAC = mac('52:54:00:12:34:56');
export const GATEWAY_MAC = mac('52:55:0a:00:02:02');
export const GUEST = ip4('10.0.2.15');
export const HOST = ip4('10.0.2.2');
export const DNS = ip4('10.0.2.3');
export const PREFIX6 = ip6('fd74:7261:7066::');
export const HOST6 = ip6('fd74:7261:7066::2');
export const DNS6 = ip6('fd74:7261:7066::3');
export const GUEST6 = ip6('fd74:7261:7066::5054:ff');

const HEAD_BYTES = 256;
const PAIRS = 4;
const PLAIN: Offload = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };
/** Of rounds of the event loop that bring nothing; far more than any loopback needs. */
const PATIENCE = 20_000;

export interface GuestOptions {
  readonly mtu?: number;
  readonly offloads?: Partial<GuestOffloads>;
  readonly opened?: Partial<UserOpened>;
  /** In place of one that only counts: attachUser.ts has it. */
  readonly makeTcp?: (host: UserHost) => TcpPart;
}

export interface Arrived extends SeenPacket {
  readonly offload: Offload;
}

export class UserGuest {
  readonly link: UserLink;
  readonly opened: UserOpened;
  /** What the link told main. */
  readonly told: unknown[] = [];
  readonly troubles: string[] = [];
  readonly drops: Record<string, number> = {};
  readonly segments: number[] = [];
  readonly accepted: { fd: number; from: string; to: string }[] = [];
  /** The guest has no buffers. */
  isFull = false;
  armedMs = Infinity;
  readonly poller: EpollPoller;
  readonly message = new KernelMessage([]);
  readonly #frames: Arrived[] = [];
  readonly #room = new Uint8Array(0x11000);
  #reservedBytes = 0;
  readonly #flows = new FlowTable();
  #pair = 0;
  #checks = true;

  constructor({ mtu = 1500, offloads = {}, opened = {}, makeTcp }: GuestOptions = {}) {
    const network = userNetwork(
      { network: Uint8Array.from(ip4('10.0.2.0')), bits: 24 },
      Uint8Array.from(PREFIX6),
      mtu,
      Uint8Array.from(GUEST_MAC),
    );
    this.opened = {
      network,
      nameservers: [{ family: 'ipv4', address: Uint8Array.of(127, 0, 0, 1), port: 53 }],
      search: [],
      hostname: 'alpine',
      bootfile: undefined,
      isRestricted: false,
      hasTftp: false,
      guestForwards: [],
      tcpForwards: [],
      udpForwards: [],
      ...opened,
    };
    this.poller = new EpollPoller((tag, events) => this.link.onReady(tag, events));
    this.link = new UserLink(
      this.opened,
      this.#port(mtu, { ...NO_OFFLOADS, ...offloads }),
      makeTcp ?? (() => this.#tcp()),
    );
  }

  /** A frame, from its Ethernet header on. */
  send(frame: Uint8Array, offload: Partial<Offload> = {}): void {
    this.link.send(guestFrame(frame, { ...PLAIN, ...offload }));
    this.link.onSent();
  }

  sendIp(header: RawIp, payload: Uint8Array, to: readonly number[] = GATEWAY_MAC): void {
    this.send(ethernet(to, GUEST_MAC, header.from.length === 4 ? 0x0800 : 0x86dd, ip(header, payload)));
  }

  sendUdp(
    from: readonly number[],
    fromPort: number,
    to: readonly number[],
    toPort: number,
    data: Uint8Array,
    hopLimit = 64,
  ): void {
    const header = { from, to, protocol: UDP, hopLimit };
    this.sendIp(header, withChecksum(header, udp(fromPort, toPort, data), 6));
  }

  sendIcmp(header: RawIp, message: Uint8Array, to: readonly number[] = GATEWAY_MAC): void {
    this.sendIp(header, withChecksum(header, message, 2), to);
  }

  /** Frames that are there already. */
  take(): Arrived[] {
    return this.#frames.splice(0);
  }

  /** The only frame that is there. */
  one(): Arrived {
    const frames = this.take();
    assert.equal(frames.length, 1, `${frames.length} frames have come`);
    return frames[0] as Arrived;
  }

  /** The next, as soon as the host's sockets bring it. */
  async next(): Promise<Arrived> {
    for (let round = 0; round < PATIENCE; round++) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      await this.turn();
    }
    throw new Error('waited for a frame that does not come');
  }

  /** Lets the world go on, and the link see what has come. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (this.poller.take());
    if (this.armedMs === 0) {
      this.armedMs = Infinity;
      this.link.onTimer();
    }
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    for (let round = 0; round < PATIENCE; round++) {
      if (condition()) return;
      await this.turn();
    }
    throw new Error(`waited for ${what}`);
  }

  /** What arrives may be anything: for floods. */
  doNotLook(): void {
    this.#checks = false;
  }

  close(): void {
    this.link.close();
    this.poller.close();
  }

  #port(mtu: number, offloads: GuestOffloads): GuestPort {
    return {
      name: 'net0',
      mac: Uint8Array.from(GUEST_MAC),
      mtu,
      pairs: PAIRS,
      offloads,
      isCut: false,
      poller: this.poller,
      message: this.message,
      pairOf: (head) => this.#flows.pairOf(head, PAIRS),
      reserve: (lengthBytes, pair = 0) => {
        this.#pair = pair;
        this.#reservedBytes = lengthBytes;
        return !this.isFull && lengthBytes <= MAX_FRAME_BYTES;
      },
      write: (at, bytes) => {
        assert.ok(at + bytes.length <= this.#reservedBytes, 'more is written than was reserved');
        this.#room.set(bytes, at);
      },
      addTo: () => false,
      commit: (lengthBytes, offload) => this.#arrive(this.#room.slice(0, lengthBytes), offload, mtu),
      drop: (reason) => (this.drops[reason] = (this.drops[reason] ?? 0) + 1),
      arm: (delayMs) => (this.armedMs = Math.min(this.armedMs, delayMs)),
      setCarrier: () => undefined,
      trouble: (sentence) => this.troubles.push(sentence),
      tell: (news) => this.told.push(news),
    };
  }

  #arrive(frame: Uint8Array, offload: Readonly<Offload>, mtu: number): void {
    if (!this.#checks) return;
    const packet = seen(frame);
    assert.equal(this.#pair, this.#flows.pairOf(frame, PAIRS), "not on its flow's pair of queues");
    if (offload.gsoType === 0) assert.ok(frame.length <= 14 + mtu, 'a frame is larger than the MTU');
    const isSummed = packet.protocol === UDP || packet.protocol === ICMP || packet.protocol === ICMPV6;
    if (isSummed && offload.flags === 0 && packet.offset === 0 && !packet.hasMore)
      assert.ok(isSumRight(packet), 'a checksum is wrong');
    this.#frames.push({ ...packet, offload: { ...offload } });
  }

  #tcp(): TcpPart {
    return {
      onSegment: (packet) => this.segments.push(packet.payloadBytes),
      openToGuest: (fd, from, to) =>
        this.accepted.push({
          fd,
          from: `${from.address.join('.')}:${from.port}`,
          to: `${to.address.join('.')}:${to.port}`,
        }),
      onReady: () => undefined,
      onRoom: () => undefined,
      onSent: () => undefined,
      onTimer: () => Infinity,
      reset: () => undefined,
      report: () => ({}),
      close: () => undefined,
    };
  }
}

/** As the device lends it. */
export function guestFrame(bytes: Uint8Array, offload: Offload): GuestFrame {
  let io: IoBuffer | undefined;
  return {
    lengthBytes: bytes.length,
    head: bytes.slice(0, HEAD_BYTES),
    headBytes: Math.min(HEAD_BYTES, bytes.length),
    offload,
    copyTo: (into, from) => {
      assert.ok(from + into.length <= bytes.length, 'more is read than the frame has');
      into.set(bytes.subarray(from, from + into.length));
    },
    addTo: (message, from, lengthBytes) => {
      assert.ok(from + lengthBytes <= bytes.length, 'more is sent than the frame has');
      if (io === undefined) {
        io = new IoBuffer(bytes.length);
        io.bytes.set(bytes);
      }
      return message.addBuffer(io, from, lengthBytes);
    },
  };
}
