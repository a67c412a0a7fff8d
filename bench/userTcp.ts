/**
 * TCP of the user network alone, without a guest and its exits: this thread plays the guest's driver and its
 * TCP, the kernel's loopback and a process (tcpPeer.c) are the network. Figures are of one core, with the
 * played guest's share in them.
 *   node --import tsx bench/userTcp.ts [SECONDS]
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import {
  ALL_OFFLOADS,
  FakePort,
  GUEST_MAC,
  HOST_MAC,
  NO_OFFLOADS,
  TAG_BASE,
} from '../test/support/tcpWire.ts';
import { FrameBuffer, NO_OFFLOAD } from '../test/support/netFrames.ts';
import { TCPHDR_CHECK, TH_ACK, TH_FIN, TH_PUSH, TH_RST, TH_SYN } from '../vmm-core/abi/packets.ts';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 } from '../vmm-core/abi/virtioNetHdr.ts';
import type { GuestOffloads, Offload } from '../vmm-core/backends/net/netLink.ts';
import { IpPacket } from '../vmm-core/backends/net/user/packet/ipPacket.ts';
import { PacketHeaders } from '../vmm-core/backends/net/user/packet/packetHeaders.ts';
import { KERNEL_SOCKETS } from '../vmm-core/backends/net/user/tcp/kernelSockets.ts';
import { TcpNat } from '../vmm-core/backends/net/user/tcp/tcpNat.ts';
import { EpollPoller } from '../vmm-core/kvm/net/epollPoller.ts';
import { KernelMessage } from '../vmm-core/kvm/net/messageIo.ts';

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

/** Frames land in guest memory that the processor's cache does not hold, and are looked at once. */
class GuestMemory extends FakePort {
  readonly #memory = new Uint8Array(GUEST_BUFFERS * BUFFER_BYTES);
  readonly #view = new DataView(this.#memory.buffer);
  #at = 0;
  onFrame: (view: DataView, at: number, lengthBytes: number) => void = () => undefined;

  override reserve(): boolean {
    return true;
  }

  override write(at: number, bytes: Uint8Array): void {
    this.#memory.set(bytes, this.#at + at);
  }

  override commit(lengthBytes: number): void {
    const at = this.#at;
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
  readonly #offload: Offload;
  readonly #hostPort: number;

  constructor(hostPort: number, offloads: GuestOffloads) {
    this.#hostPort = hostPort;
    this.#poller = new EpollPoller((tag, events) => this.nat.onReady(tag, events));
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

  /** One go of the I/O thread. */
  turn(): void {
    this.nat.onSent();
    this.#poller.take();
    if (this.port.armedMs === Infinity) return;
    this.port.armedMs = Infinity;
    this.nat.onTimer();
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

interface Peer {
  readonly port: number;
  readonly process: ChildProcess;
}

async function startPeer(program: string, mode: string): Promise<Peer> {
  const process = spawn(program, [mode], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(process.stdout), 'line')) as [string];
  return { port: Number(line), process };
}

async function main(): Promise<void> {
  const ms = 1000 * Number(process.argv[2] ?? 2);
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-bench-'));
  const program = path.join(folder, 'tcpPeer');
  execFileSync('gcc', ['-O2', '-o', program, path.join(process.cwd(), 'bench/tcpPeer.c')]);
  const measure = async (
    title: string,
    mode: string,
    offloads: GuestOffloads,
    run: (guest: Guest) => number,
    show: (count: number, seconds: number) => string,
  ): Promise<void> => {
    const peer = await startPeer(program, mode);
    const guest = new Guest(peer.port, offloads);
    const cpu = process.cpuUsage();
    const count = run(guest);
    const { user, system } = process.cpuUsage(cpu);
    guest.close();
    peer.process.kill();
    console.log(`${title}: ${show(count, ms / 1000)}, ${show(count, (user + system) / 1e6)} a core`);
  };
  const gigabits = (bytes: number, seconds: number): string =>
    `${((8 * bytes) / seconds / 1e9).toFixed(1)} Gb/s`;
  try {
    await measure('guest to host, 64 KiB', 'sink', ALL_OFFLOADS, (it) => upload(it, ms, 44 * 1460), gigabits);
    await measure('guest to host, 1460 B', 'sink', ALL_OFFLOADS, (it) => upload(it, ms, 1460), gigabits);
    await measure('host to guest, 64 KiB', 'source', ALL_OFFLOADS, (it) => download(it, ms), gigabits);
    await measure('host to guest, 1460 B', 'source', NO_OFFLOADS, (it) => download(it, ms), gigabits);
    await measure(
      'connections, 32 at once',
      'echo',
      ALL_OFFLOADS,
      (it) => connections(it, ms, 32),
      (n, s) => `${Math.round(n / s)} a second`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

void main();
