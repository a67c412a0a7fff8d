/**
 * A guest's TCP, small and whole: retransmission, reassembly, windows, SACK, both ways to open and to close.
 * It checks every frame that it gets as a suspicious peer would. The test carries the frames, and may lose,
 * repeat and reorder them; a segment that was cut by an offload is one frame, as the driver has it.
 */
import assert from 'node:assert/strict';
import { TCPHDR_CHECK, TH_ACK, TH_FIN, TH_PUSH, TH_RST, TH_SYN } from '../../vmm-core/abi/packets.ts';
import {
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from '../../vmm-core/abi/virtioNetHdr.ts';
import type { Offload } from '../../vmm-core/backends/net/netLink.ts';
import { checksumOf, fold, GOOD_SUM, sumOf } from '../../vmm-core/backends/net/user/packet/checksum.ts';
import { IpPacket } from '../../vmm-core/backends/net/user/packet/ipPacket.ts';
import { PacketHeaders } from '../../vmm-core/backends/net/user/packet/packetHeaders.ts';
import { TcpSegment } from '../../vmm-core/backends/net/user/packet/tcpSegment.ts';
import type { Endpoint } from '../../vmm-core/backends/net/user/tcp/tcpHost.ts';
import { frameOf, NO_OFFLOAD } from './netFrames.ts';
import { type ForGuest, GUEST_MAC, HOST_MAC } from './tcpWire.ts';

const TCP = 6;
const RESEND_MS = 200;

export interface GuestTcpOptions {
  readonly mss?: number;
  /** -1: does not scale. */
  readonly windowShift?: number;
  readonly hasSack?: boolean;
  /** Bytes of a frame that the device is to cut; 0: none. */
  readonly tsoBytes?: number;
  /** Leaves checksums to the device. */
  readonly csum?: boolean;
  /** What it takes before it is read. */
  readonly windowBytes?: number;
}

export class GuestTcp {
  readonly options: Required<GuestTcpOptions>;
  readonly sockets: GuestSocket[] = [];
  /** Accepts connections to this port. */
  listens = new Set<number>();
  /** Frames for the network. */
  readonly outgoing: ForGuest[] = [];
  /** RST to what it does not know. */
  strays = 0;
  /** What the link's MTU has room for. */
  mostSegment = 1460;
  readonly now: () => number;
  #sequence = 0x7fff_f000; // wraps soon

  constructor(now: () => number, options: GuestTcpOptions = {}) {
    this.now = now;
    this.options = {
      mss: 1460,
      windowShift: 7,
      hasSack: true,
      tsoBytes: 0,
      csum: true,
      windowBytes: 0x40000,
      ...options,
    };
  }

  connect(from: Endpoint, to: Endpoint): GuestSocket {
    const socket = new GuestSocket(this, from, to, (this.#sequence += 0x1234_567) | 0);
    this.sockets.push(socket);
    socket.sendSyn();
    return socket;
  }

  onFrame({ bytes, offload }: ForGuest): void {
    const frame = frameOf(bytes);
    const packet = new IpPacket();
    assert.equal(packet.read(frame), 'ip', 'an IP packet with a checksum that holds');
    assert.equal(packet.payloadAt + packet.payloadBytes, bytes.length, 'the frame is as long as it says');
    assert.deepEqual(bytes.subarray(0, 6), GUEST_MAC);
    const segment = new TcpSegment();
    assert.ok(segment.read(packet), 'a TCP segment');
    this.#checkOffload(packet, segment, bytes, offload);
    const to = { address: packet.destination(), port: segment.destinationPort };
    const from = { address: packet.source(), port: segment.sourcePort };
    const data = bytes.slice(segment.dataAt, segment.dataAt + segment.dataBytes);
    // The end is acknowledged for ever: TIME-WAIT without its end.
    const isNew = (segment.flags & TH_SYN) !== 0;
    let socket = this.sockets.find(
      (it) => !(isNew ? it.isGone : it.isReset) && same(it.from, to) && same(it.to, from),
    );
    if (socket === undefined && segment.flags === TH_SYN && this.listens.has(to.port)) {
      socket = new GuestSocket(this, to, from, (this.#sequence += 0x1234_567) | 0);
      this.sockets.push(socket);
    }
    if (socket !== undefined) return socket.onSegment(segment, data);
    this.strays++;
    if ((segment.flags & TH_RST) !== 0) return;
    const reset = new GuestSocket(this, to, from, segment.acknowledgement);
    reset.rcvNxt = (segment.sequence + data.length + (segment.flags & 3 ? 1 : 0)) | 0;
    reset.emit(TH_RST | TH_ACK, segment.acknowledgement, new Uint8Array(0));
  }

  /** Time has passed. */
  tick(): void {
    for (const socket of this.sockets) socket.tick();
  }

  #checkOffload(packet: IpPacket, segment: TcpSegment, bytes: Uint8Array, offload: Offload): void {
    const { view, payloadAt, payloadBytes } = packet;
    const most = Math.min(this.options.mss, this.mostSegment);
    const isCut = offload.gsoSize !== 0;
    assert.equal(isCut, segment.dataBytes > most, 'what is longer than a segment is to be cut');
    if (isCut) {
      assert.equal(offload.gsoSize, most);
      assert.equal(offload.hdrLen, segment.dataAt);
      assert.equal(offload.gsoType, packet.isIpv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
    }
    const pseudo = fold(
      sumOf(view, packet.sourceAt, packet.sourceAt + 2 * packet.addressBytes) + TCP + payloadBytes,
    );
    const all = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if ((offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0) {
      assert.equal(offload.csumStart, payloadAt);
      assert.equal(offload.csumOffset, TCPHDR_CHECK);
      assert.equal(view.getUint16(payloadAt + TCPHDR_CHECK), pseudo, 'the sum of the pseudo-header');
    } else assert.equal(fold(pseudo + sumOf(all, payloadAt, bytes.length)), GOOD_SUM, 'the checksum holds');
  }
}

export class GuestSocket {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly guest: GuestTcp;
  readonly received: Uint8Array[] = [];
  receivedBytes = 0;
  isOpen = false;
  /** The peer has sent all. */
  isEnded = false;
  /** It has acknowledged our end. */
  isFinAcked = false;
  isReset = false;
  /** Its last RST did not fit; for tests of who is believed. */
  challenges = 0;
  /** Segments that it had to send again. */
  resends = 0;
  /** Does not read: the window closes. */
  isPaused = false;
  rcvNxt = 0;
  sndUna: number;
  sndNxt: number;
  sndWnd = 0;
  #sndShift = 0;
  #mss = 536;
  #rcvShift = 0;
  #peerSack = false;
  /** From sndUna on, without SYN. */
  #outgoing: Uint8Array = new Uint8Array(0);
  #hasEnd = false;
  #hasSynSent = false;
  #isPassive = false;
  #pausedBytes = 0;
  readonly #early: { readonly sequence: number; readonly data: Uint8Array }[] = [];
  #finAt: number | undefined;
  #dupAcks = 0;
  #resendMs = Infinity;
  #retries = 0;

  constructor(guest: GuestTcp, from: Endpoint, to: Endpoint, sequence: number) {
    this.guest = guest;
    this.from = from;
    this.to = to;
    this.sndUna = sequence;
    this.sndNxt = (sequence + 1) | 0;
  }

  get isGone(): boolean {
    return this.isReset || (this.isEnded && this.isFinAcked);
  }

  get isAllAcked(): boolean {
    return this.#outgoing.length === 0;
  }

  /** In LAST-ACK, for so long that the peer's TIME-WAIT, which is short, was over. */
  get isEndLost(): boolean {
    return this.isReset && this.isEnded && this.#hasEnd;
  }

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.received));
  }

  write(bytes: Uint8Array): void {
    assert.ok(!this.#hasEnd, 'nothing follows the end');
    this.#outgoing = joined(this.#outgoing, bytes);
    if (this.isOpen) this.push();
  }

  end(): void {
    this.#hasEnd = true;
    if (this.isOpen) this.push();
  }

  abort(): void {
    this.emit(TH_RST | TH_ACK, this.sndNxt, new Uint8Array(0));
    this.isReset = true;
  }

  resume(): void {
    this.isPaused = false;
    this.#pausedBytes = 0;
    this.acknowledge();
  }

  sendSyn(): void {
    this.#hasSynSent = true;
    this.emit(this.#isPassive ? TH_SYN | TH_ACK : TH_SYN, this.sndUna, new Uint8Array(0));
    this.#arm();
  }

  acknowledge(): void {
    this.emit(TH_ACK, this.sndNxt, new Uint8Array(0));
  }

  get #sentBytes(): number {
    return (this.sndNxt - this.sndUna) | 0;
  }

  /** Sends what the window takes. */
  push(): void {
    const { tsoBytes } = this.guest.options;
    const most = tsoBytes > 0 ? Math.max(this.#mss, Math.floor(tsoBytes / this.#mss) * this.#mss) : this.#mss;
    for (;;) {
      const sent = this.#sentBytes;
      const left = this.#outgoing.length - sent;
      const room = this.sndWnd - sent;
      if (left < 0) break;
      const isEnd = this.#hasEnd && left <= Math.min(most, room - 1);
      if (left === 0 && !isEnd) break;
      if (room <= 0) break;
      const bytes = Math.min(left, most, room);
      const flags = TH_ACK | (bytes === left ? TH_PUSH : 0) | (isEnd && bytes === left ? TH_FIN : 0);
      this.emit(flags, this.sndNxt, this.#outgoing.subarray(sent, sent + bytes));
      this.sndNxt = (this.sndNxt + bytes + (isEnd && bytes === left ? 1 : 0)) | 0;
    }
    this.#arm();
  }

  onSegment(segment: TcpSegment, data: Uint8Array): void {
    const { flags, sequence } = segment;
    if ((flags & TH_RST) !== 0) {
      const isRight = this.isOpen ? sequence === this.rcvNxt : segment.acknowledgement === this.sndNxt;
      if (this.isGone) return; // RFC 1337: TIME-WAIT is not for others to end
      if (isRight) this.isReset = true;
      else this.challenges++;
      return;
    }
    if (!this.isOpen && !this.#handshake(segment)) return;
    if ((flags & TH_SYN) !== 0) return this.acknowledge();
    this.#onAck(segment, data.length);
    if (data.length > 0 || (flags & TH_FIN) !== 0) this.#onData(sequence, data, (flags & TH_FIN) !== 0);
    else if (((sequence - this.rcvNxt) | 0) < 0) this.acknowledge(); // a probe
    this.push();
  }

  tick(): void {
    if (this.isGone || this.guest.now() < this.#resendMs) return;
    this.#retries++;
    this.#resendMs = Infinity;
    assert.ok(this.#retries < 12, 'the peer is there still');
    if (!this.isOpen) return this.sendSyn();
    if (this.#sentBytes > 0) this.#resend();
    else if (this.#outgoing.length > 0 || this.#hasEnd)
      this.emit(TH_ACK, (this.sndNxt - 1) | 0, new Uint8Array(0)); // a probe of the window
    this.#arm();
  }

  /** A segment of this connection. */
  emit(flags: number, sequence: number, data: Uint8Array): void {
    const { csum } = this.guest.options;
    const headers = new PacketHeaders();
    const options = (flags & TH_SYN) !== 0 ? this.#synOptions() : this.#sackOption();
    headers.ethernet(HOST_MAC, GUEST_MAC);
    headers.ip(this.from.address, this.to.address, TCP, 20 + options.length + data.length);
    const shift = (flags & TH_SYN) !== 0 ? 0 : this.#rcvShift;
    const window = Math.min(0xffff, this.#window() >>> shift);
    const acknowledgement = (flags & TH_ACK) !== 0 ? this.rcvNxt : 0;
    headers.tcp(this.from.port, this.to.port, sequence, acknowledgement, flags, window, options.length);
    headers.bytes.set(options, headers.end - options.length);
    const length = 20 + options.length + data.length;
    const pseudo = headers.pseudoSum(length);
    let offload = NO_OFFLOAD;
    if (csum) {
      headers.setChecksum(TCPHDR_CHECK, pseudo);
      const isCut = data.length > this.#mss;
      const tso = this.from.address.length === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
      offload = {
        flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
        gsoType: isCut ? tso : 0,
        gsoSize: isCut ? this.#mss : 0,
        hdrLen: isCut ? headers.end : 0,
        csumStart: headers.transportAt,
        csumOffset: TCPHDR_CHECK,
      };
    } else {
      const dataSum = sumOf(new DataView(data.buffer, data.byteOffset, data.length), 0, data.length);
      headers.setChecksum(TCPHDR_CHECK, checksumOf(fold(pseudo + headers.transportSum() + dataSum)));
    }
    this.guest.outgoing.push({ bytes: joined(headers.bytes.subarray(0, headers.end), data), offload });
  }

  #window(): number {
    return Math.max(0, this.guest.options.windowBytes - this.#pausedBytes);
  }

  #synOptions(): Uint8Array {
    const { mss, windowShift, hasSack } = this.guest.options;
    const scale = windowShift >= 0 ? [1, 3, 3, windowShift] : [1, 1, 1, 1];
    return Uint8Array.of(2, 4, mss >> 8, mss & 0xff, ...scale, 1, 1, ...(hasSack ? [4, 2] : [1, 1]));
  }

  #sackOption(): Uint8Array {
    const first = this.#early[0];
    if (first === undefined || !this.#peerSack) return new Uint8Array(0);
    const option = new Uint8Array(12);
    const view = new DataView(option.buffer);
    view.setUint32(0, 0x0101_050a);
    view.setInt32(4, first.sequence);
    view.setInt32(8, first.sequence + first.data.length);
    return option;
  }

  /** Of SYN, SYN and ACK, or the last ACK. False: it is dealt with. */
  #handshake(segment: TcpSegment): boolean {
    const { flags, acknowledgement } = segment;
    if ((flags & TH_SYN) !== 0) {
      this.#learn(segment);
      if ((flags & TH_ACK) === 0) {
        this.#isPassive = true;
        this.sendSyn();
        return false;
      }
    }
    if ((flags & TH_ACK) === 0 || acknowledgement !== this.sndNxt || !this.#hasSynSent) return false;
    this.isOpen = true;
    this.sndUna = this.sndNxt;
    this.#retries = 0;
    this.#resendMs = Infinity;
    if ((flags & TH_SYN) === 0) return true;
    this.acknowledge();
    this.push();
    return false;
  }

  #learn(segment: TcpSegment): void {
    const { windowShift } = this.guest.options;
    this.rcvNxt = (segment.sequence + 1) | 0;
    this.#mss = Math.min(segment.maxSegmentBytes, this.guest.options.mss);
    this.sndWnd = segment.window;
    this.#peerSack = segment.isSackPermitted && this.guest.options.hasSack;
    if (segment.windowShift < 0 || windowShift < 0) return;
    this.#sndShift = segment.windowShift;
    this.#rcvShift = windowShift;
  }

  #onAck({ acknowledgement, window, flags }: TcpSegment, dataBytes: number): void {
    assert.notEqual(flags & TH_ACK, 0);
    const acked = (acknowledgement - this.sndUna) | 0;
    assert.ok(acked <= this.#sentBytes, 'what was never sent is not acknowledged');
    if (acked < 0) return;
    const before = this.sndWnd;
    this.sndWnd = window * 2 ** this.#sndShift;
    if (acked === 0) {
      if (dataBytes === 0 && this.#sentBytes > 0 && before === this.sndWnd && ++this.#dupAcks === 3)
        this.#resend();
      return;
    }
    this.#dupAcks = 0;
    this.#retries = 0;
    this.#resendMs = Infinity;
    const data = Math.min(acked, this.#outgoing.length);
    this.#outgoing = this.#outgoing.subarray(data);
    if (acked > data) this.isFinAcked = true;
    this.sndUna = acknowledgement;
  }

  #resend(): void {
    this.resends++;
    const isFinSent = this.#sentBytes > this.#outgoing.length;
    const bytes = Math.min(this.#outgoing.length, this.#mss, this.#sentBytes);
    const isEnd = isFinSent && bytes === this.#outgoing.length;
    this.emit(TH_ACK | (isEnd ? TH_FIN : 0), this.sndUna, this.#outgoing.subarray(0, bytes));
  }

  #onData(sequence: number, data: Uint8Array, isEnd: boolean): void {
    if (isEnd) this.#finAt = (sequence + data.length) | 0;
    const beyond = (sequence + data.length - this.rcvNxt - this.#window()) | 0;
    assert.ok(beyond <= 0, `nobody sends beyond the window: ${beyond}`);
    this.#early.push({ sequence, data });
    this.#early.sort((a, b) => (a.sequence - b.sequence) | 0);
    for (let next = this.#early[0]; next !== undefined; next = this.#early[0]) {
      const skip = (this.rcvNxt - next.sequence) | 0;
      if (skip < 0) break;
      this.#early.shift();
      if (skip < next.data.length) this.#take(next.data.subarray(skip));
    }
    if (this.#finAt === this.rcvNxt && !this.isEnded) {
      this.isEnded = true;
      this.rcvNxt = (this.rcvNxt + 1) | 0;
    }
    this.acknowledge();
  }

  #take(data: Uint8Array): void {
    this.received.push(data);
    this.receivedBytes += data.length;
    this.rcvNxt = (this.rcvNxt + data.length) | 0;
    if (this.isPaused) this.#pausedBytes += data.length;
  }

  #arm(): void {
    const isStuck =
      this.#sentBytes > 0 ||
      (this.isOpen && (this.#outgoing.length > 0 || (this.#hasEnd && !this.isFinAcked)));
    if (!isStuck) this.#resendMs = Infinity;
    else if (this.#resendMs === Infinity)
      this.#resendMs = this.guest.now() + RESEND_MS * 2 ** Math.min(6, this.#retries);
  }
}

function same(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && Buffer.compare(a.address, b.address) === 0;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
