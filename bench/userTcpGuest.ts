/**
 * A played guest for bench/userTcp.ts: this thread is its driver and its TCP, and has the user network's TCP
 * under it. Prints how much it has moved, and the processor time that took.
 *   userTcpGuest LOAD PORT MILLISECONDS
 */
import { ALL_OFFLOADS, FakePort, GUEST_MAC, HOST_MAC, TAG_BASE } from '../test/support/tcpWire.ts';
import { FrameBuffer, NO_OFFLOAD, NO_OFFLOADS } from '../test/support/netFrames.ts';
import { TCPHDR_CHECK, TH_ACK, TH_FIN, TH_PUSH, TH_RST, TH_SYN } from '../vmm-core/abi/packets.ts';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 } from '../vmm-core/abi/virtioNetHdr.ts';
import type { GuestOffloads, Offload } from '../vmm-core/backends/net/netLink.ts';
import { IpPacket } from '../vmm-core/backends/net/user/packet/ipPacket.ts';
import { PacketHeaders } from '../vmm-core/backends/net/user/packet/packetHeaders.ts';
import { KERNEL_SOCKETS } from '../vmm-core/backends/net/user/tcp/kernelSockets.ts';
import { TcpNat } from '../vmm-core/backends/net/user/tcp/tcpNat.ts';
import type { MessageIo } from '../vmm-core/bus/messageIo.ts';
import { poll } from '../vmm-core/kvm/io/syscalls.ts';
import { hostAddress } from '../vmm-core/kvm/libc.ts';
import { EpollPoller } from '../vmm-core/kvm/net/epollPoller.ts';
import { KernelMessage } from '../vmm-core/kvm/net/messageIo.ts';
import { IoBuffer } from '../vmm-core/memory/ioBuffer.ts';

const GUEST_ADDRESS = Uint8Array.of(10, 0, 2, 15);
const HOST_ADDRESS = Uint8Array.of(10, 0, 2, 2);
const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const IPPROTO_TCP = 6;
const HEADER_BYTES = 54;
const SHIFT = 7;
const GUEST_BUFFERS = 256;
const BUFFER_BYTES = 0x11000;
/** Frames that the driver queues before it kicks. */
const BURST = 16;
const POLLIN = 1;
const WAIT_MS = 1;
/** Until the code is compiled. */
const WARM_UP_MS = 300;

/** Frames land in guest memory that the processor's cache does not hold, and are looked at once. */
class GuestMemory extends FakePort {
  readonly #buffer = new IoBuffer(GUEST_BUFFERS * BUFFER_BYTES);
  readonly #memory = this.#buffer.bytes;
  readonly #view = new DataView(this.#memory.buffer);
  #at = 0;
  count = 0;
  onFrame: (view: DataView, at: number, lengthBytes: number) => void = () => undefined;

  override pairOf(): number {
    return 0;
  }

  override reserve(): boolean {
    return true;
  }

  override write(at: number, bytes: Uint8Array): void {
    this.message.clear();
    this.addTo(this.message, at, bytes.length);
    if (!this.message.fill(bytes)) this.#memory.set(bytes, this.#at + at);
  }

  override addTo(message: MessageIo, at: number, lengthBytes: number): boolean {
    return message.addBuffer(this.#buffer, this.#at + at, lengthBytes);
  }

  override commit(lengthBytes: number): void {
    const at = this.#at;
    this.count++;
    this.#at = (this.#at + BUFFER_BYTES) % this.#memory.length;
    this.onFrame(this.#view, at, lengthBytes);
  }
}

class Guest {
  readonly port: GuestMemory;
  readonly nat: TcpNat;
  readonly #poller: EpollPoller;
  readonly #headers = new PacketHeaders();
  readonly #frame = new FrameBuffer();
  readonly #packet = new IpPacket();
  readonly #pollfd = new IoBuffer(8);
  readonly #pollAddress = Number(hostAddress(this.#pollfd.memory));
  #events = 0;
  #seenFrames = 0;
  readonly #offload: Offload;
  readonly #hostPort: number;

  constructor(hostPort: number, offloads: GuestOffloads) {
    this.#hostPort = hostPort;
    this.#poller = new EpollPoller((tag, events) => {
      this.#events++;
      this.nat.onReady(tag, events);
    });
    const view = new DataView(this.#pollfd.memory.buffer);
    view.setInt32(0, this.#poller.fd, true);
    view.setInt16(4, POLLIN, true);
    this.port = new GuestMemory(this.#poller, new KernelMessage([]));
    this.port.offloads = offloads;
    this.#offload = {
      ...NO_OFFLOAD,
      flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
      csumStart: 34,
      csumOffset: TCPHDR_CHECK,
    };
    this.nat = new TcpNat({
      port: this.port,
      sockets: KERNEL_SOCKETS,
      mac: HOST_MAC,
      tagBase: TAG_BASE,
      now: () => performance.now(),
      translate: (_, port) => ({ family: 'ipv4', address: LOOPBACK, port }),
      macOf: () => GUEST_MAC,
      unreachable: () => {
        throw new Error('the host cannot be reached');
      },
    });
  }

  /** What is in the frame's memory behind the header is the data. */
  send(port: number, flags: number, sequence: number, acknowledgement: number, bytes = 0, options = 0): void {
    const headers = this.#headers;
    headers.ethernet(HOST_MAC, GUEST_MAC);
    headers.ip(GUEST_ADDRESS, HOST_ADDRESS, IPPROTO_TCP, 20 + options + bytes);
    headers.tcp(port, this.#hostPort, sequence, acknowledgement, flags, 0xffff, options);
    if (options > 0) {
      headers.view.setUint32(HEADER_BYTES, 0x0204_05b4);
      headers.view.setUint32(HEADER_BYTES + 4, 0x0103_0300 | SHIFT);
    }
    const frame = this.#frame;
    frame.buffer.bytes.set(headers.bytes.subarray(0, headers.end));
    this.#offload.gsoType = bytes > 1460 ? VIRTIO_NET_HDR_GSO_TCPV4 : 0;
    this.#offload.gsoSize = bytes > 1460 ? 1460 : 0;
    frame.putLength(headers.end + bytes, this.#offload);
    if (this.#packet.read(frame) !== 'ip') throw new Error('the guest sends no packets');
    this.nat.onSegment(this.#packet, frame);
  }

  /** One go of the I/O thread. It waits where there is nothing to do. */
  turn(): void {
    this.nat.onSent();
    const { count } = this.port;
    this.#events = 0;
    this.#poller.take();
    if (this.port.armedMs !== Infinity) {
      this.port.armedMs = Infinity;
      this.nat.onTimer();
    } else if (this.#events === 0 && count === this.#seenFrames) poll(this.#pollAddress, 1, WAIT_MS);
    this.#seenFrames = count;
  }

  close(): void {
    this.nat.close();
    this.#poller.close();
  }
}

interface Stream {
  sent: number;
  acked: number;
  window: number;
  received: number;
  rcvNxt: number;
  isOpen: boolean;
}

function open(guest: Guest): Stream {
  const stream: Stream = { sent: 1, acked: 0, window: 0, received: 0, rcvNxt: 0, isOpen: false };
  guest.port.onFrame = (view, at, lengthBytes) => {
    const flags = view.getUint8(at + 47);
    if ((flags & TH_RST) !== 0) throw new Error('the connection was reset');
    if ((flags & TH_SYN) !== 0) {
      stream.rcvNxt = (view.getInt32(at + 38) + 1) | 0;
      stream.window = view.getUint16(at + 48);
      stream.acked = 1;
      stream.isOpen = true;
      return;
    }
    stream.acked += (view.getInt32(at + 42) - stream.acked) | 0;
    stream.window = view.getUint16(at + 48) << SHIFT;
    stream.received += lengthBytes - HEADER_BYTES;
    stream.rcvNxt = (stream.rcvNxt + lengthBytes - HEADER_BYTES) | 0;
  };
  guest.send(40000, TH_SYN, 0, 0, 0, 8);
  while (!stream.isOpen) guest.turn();
  guest.send(40000, TH_ACK, 1, stream.rcvNxt);
  return stream;
}

/** Bytes in `ms`. */
function upload(guest: Guest, ms: number, frameBytes: number): number {
  const stream = open(guest);
  guest.turn();
  const end = performance.now() + ms;
  while (performance.now() < end) {
    for (let i = 0; i < BURST; i++) {
      if (((stream.sent - stream.acked) | 0) + frameBytes > stream.window) break;
      guest.send(40000, TH_ACK | TH_PUSH, stream.sent, stream.rcvNxt, frameBytes);
      stream.sent = (stream.sent + frameBytes) | 0;
    }
    guest.turn();
  }
  const [first] = (guest.nat.report() as { list: { fromGuestBytes: number }[] }).list;
  return first?.fromGuestBytes ?? 0;
}

function download(guest: Guest, ms: number): number {
  const stream = open(guest);
  const end = performance.now() + ms;
  let seen = stream.rcvNxt;
  while (performance.now() < end) {
    guest.turn();
    if (stream.rcvNxt !== seen) guest.send(40000, TH_ACK, 1, stream.rcvNxt);
    seen = stream.rcvNxt;
  }
  return stream.received;
}

/** Connections that open, send a byte, get one back and close; so many at a time. */
function connections(guest: Guest, ms: number, atOnce: number): number {
  let done = 0;
  let port = 1024;
  const start = (): void => {
    port = port === 65535 ? 1024 : port + 1;
    guest.send(port, TH_SYN, 0, 0, 0, 8);
  };
  const replies: (() => void)[] = [];
  guest.port.onFrame = (view, at, lengthBytes) => {
    const flags = view.getUint8(at + 47);
    const local = view.getUint16(at + 36);
    const sequence = view.getInt32(at + 38);
    if ((flags & TH_RST) !== 0) throw new Error('a connection was reset');
    if ((flags & TH_SYN) !== 0)
      replies.push(() => guest.send(local, TH_ACK | TH_PUSH, 1, (sequence + 1) | 0, 1));
    else if ((flags & TH_FIN) !== 0) {
      replies.push(() => guest.send(local, TH_ACK, 3, (sequence + lengthBytes - HEADER_BYTES + 1) | 0));
      done++;
      replies.push(start);
    } else if (lengthBytes > HEADER_BYTES)
      replies.push(() => guest.send(local, TH_ACK | TH_FIN, 2, (sequence + 1) | 0));
  };
  for (let i = 0; i < atOnce; i++) start();
  const end = performance.now() + ms;
  while (performance.now() < end) {
    guest.turn();
    for (const reply of replies.splice(0)) reply();
  }
  return done;
}

const LOADS: Readonly<
  Record<string, readonly [offloads: GuestOffloads, run: (guest: Guest, ms: number) => number]>
> = {
  'upload-64k': [ALL_OFFLOADS, (guest, ms) => upload(guest, ms, 44 * 1460)],
  'upload-1460': [NO_OFFLOADS, (guest, ms) => upload(guest, ms, 1460)],
  'download-64k': [ALL_OFFLOADS, download],
  'download-1460': [NO_OFFLOADS, download],
  connections: [ALL_OFFLOADS, (guest, ms) => connections(guest, ms, 32)],
};

function main([load = '', port = '', ms = '']: readonly string[]): void {
  const [offloads, run] = LOADS[load] ?? [];
  if (offloads === undefined || run === undefined) throw new Error(`no load ${load}`);
  const guest = new Guest(Number(port), offloads);
  run(guest, WARM_UP_MS);
  guest.nat.reset();
  const cpu = process.cpuUsage();
  const count = run(guest, Number(ms));
  const { user, system } = process.cpuUsage(cpu);
  guest.close();
  console.log(JSON.stringify({ count, seconds: (user + system) / 1e6 }));
}

main(process.argv.slice(2));
