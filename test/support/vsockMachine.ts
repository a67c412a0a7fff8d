/**
 * A vsock device with all that it needs: queues driven by mock drivers, the host's end with real unix sockets
 * in a folder of its own. `run` is what the I/O thread does until nothing is left to do. Nothing here waits:
 * what one end of a unix socket has sent is at the other.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { AF_UNIX, SHUT_RD, SHUT_WR, SOCK_STREAM } from '../../vmm-core/abi/socket.ts';
import * as abi from '../../vmm-core/abi/virtioVsock.ts';
import { HostSockets } from '../../vmm-core/backends/vsock/hostSockets.ts';
import { ListenSocket } from '../../vmm-core/backends/vsock/listenSocket.ts';
import { StateBlock } from '../../vmm-core/bus/stateBlock.ts';
import { SplitQueue, type VirtQueue } from '../../vmm-core/devices/virtio/queue.ts';
import { LISTEN_TAG } from '../../vmm-core/devices/virtio/vsock/hostPrograms.ts';
import { VsockCore } from '../../vmm-core/devices/virtio/vsock/vsockCore.ts';
import { RX_QUEUE, TX_QUEUE, VSOCK_STATE } from '../../vmm-core/devices/virtio/vsock/vsockState.ts';
import { closeFd } from '../../vmm-core/kvm/libc.ts';
import { EpollPoller } from '../../vmm-core/kvm/net/epollPoller.ts';
import { KernelMessage } from '../../vmm-core/kvm/net/messageIo.ts';
import {
  acceptFrom,
  bindSocket,
  connectSocket,
  listenOn,
  openSocket,
  shutdownSocket,
} from '../../vmm-core/kvm/net/sockets.ts';
import { allocateGuestMemory, type GuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { IoBuffer } from '../../vmm-core/memory/ioBuffer.ts';
import { MockDriver, OFF_START, readable, type Segment, writable } from './mockDriver.ts';

export const GUEST_CID = 3;
const { ECONNRESET } = constants.errno;
const HEADER = abi.VirtioVsockHdr;
const PAGE = 0x1000;
/** A driver's packets, with its header. */
const TX_AREA_BYTES = 0x11000;

export interface Packet {
  readonly op: number;
  readonly srcPort: number;
  readonly dstPort: number;
  readonly srcCid: number;
  readonly dstCid: number;
  readonly type: number;
  readonly flags: number;
  readonly len: number;
  readonly bufAlloc: number;
  readonly fwdCnt: number;
  readonly data: Uint8Array;
}

export interface VsockMachineOptions {
  readonly queueSize?: number;
  /** Receive buffers that are offered from the start, and their size. */
  readonly rxBuffers?: number;
  readonly rxBytes?: number;
  readonly memoryBytes?: number;
}

export class VsockMachine {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'trapframe-vsock-'));
  readonly path = path.join(this.folder, 'vsock');
  readonly memory: GuestMemory;
  readonly rx: MockDriver;
  readonly tx: MockDriver;
  readonly core: VsockCore;
  readonly block = StateBlock.allocate(VSOCK_STATE);
  readonly broken: string[] = [];
  readonly told: string[] = [];
  readonly interrupts = [0, 0];
  readonly poller: EpollPoller;
  /** Other ends, closed with the machine. */
  readonly #peers: Peer[] = [];
  readonly #queues: readonly SplitQueue[];
  readonly #listener: ListenSocket;
  readonly #kicked = new Set<number>();
  readonly #rxAt = new Map<number, readonly Segment[]>();
  readonly #txAt = new Map<number, { readonly start: number; readonly descriptors: number }>();
  readonly #freeTx: number[] = [];
  /** Memory of receive buffers that were used, by their size. */
  readonly #freeRx = new Map<number, number[]>();
  /** Descriptors that the drivers have left. */
  rxFree: number;
  txFree: number;
  #isTimerDue = false;
  nowMs = 0;
  /** What is offered again after it was used. */
  readonly #rxBytes: number;
  isRefilling = true;

  constructor(options: VsockMachineOptions = {}) {
    const { queueSize = 64, rxBuffers = 16, rxBytes = PAGE, memoryBytes = 32 << 20 } = options;
    this.memory = allocateGuestMemory([{ base: 0, sizeBytes: memoryBytes }], OFF_START);
    this.rx = new MockDriver({ size: queueSize, memory: this.memory });
    this.tx = new MockDriver({ size: queueSize, memory: this.memory, base: memoryBytes / 2 });
    this.#rxBytes = rxBytes;
    this.rxFree = this.txFree = queueSize;
    const fail = (rule: string): void => void this.broken.push(rule);
    this.#queues = [this.rx, this.tx].map(({ rings }, index) => {
      const queue = new SplitQueue(index, this.memory, fail, queueSize);
      queue.enable(rings);
      return queue;
    });
    const [rx, tx] = this.#queues as [SplitQueue, SplitQueue];
    this.#listener = new ListenSocket(this.path);
    let core: VsockCore | undefined;
    this.poller = new EpollPoller((tag, events) => core?.onReady(tag, events));
    this.core = core = new VsockCore({
      regs: this.block.regs,
      memory: this.memory,
      rx,
      tx,
      cid: GUEST_CID,
      sockets: new HostSockets(this.#listener.opened, this.memory.slots, this.poller, LISTEN_TAG),
      nowMs: () => this.nowMs,
      notifyUsed: (queue) => this.#notify(queue),
      kick: (queue) => void this.#kicked.add(queue),
      arm: (delayMs) => {
        if (delayMs <= 0) this.#isTimerDue = true;
      },
      fail,
      trouble: (sentence) => void this.told.push(sentence),
    });
    this.core.resume();
    for (let i = 0; i < rxBuffers; i++) this.offer([writable(rxBytes)]);
    this.run();
  }

  /** Whoever is in `using`, or after a test. */
  close(): void {
    for (const it of this.#peers) it.close();
    this.core.close();
    this.#listener.remove();
    this.poller.close();
    rmSync(this.folder, { recursive: true });
  }

  /** A receive buffer; the device does not know yet. */
  offer(segments: readonly Segment[]): void {
    const placed = segments.map((it) => ({ ...it, at: it.at ?? this.#areaOf(it.lengthBytes) }));
    this.rxFree -= placed.length;
    this.#rxAt.set(this.rx.addChain(placed), placed);
  }

  #areaOf(lengthBytes: number): number {
    return this.#freeRx.get(lengthBytes)?.pop() ?? this.rx.allocate(lengthBytes);
  }

  kick(queue: number): void {
    this.#kicked.add(queue);
  }

  /** Until there is nothing more to do. */
  run(): void {
    for (let idle = 0; idle < 2;) {
      const before = this.poller.take();
      if (this.#isTimerDue) this.core.onTimer();
      const kicked = [...this.#kicked];
      this.#kicked.clear();
      for (const it of kicked) if (this.core.onKick(it)) this.#kicked.add(it);
      idle = !before && kicked.length === 0 && !this.#isTimerDue ? idle + 1 : 0;
      this.#isTimerDue = false;
    }
  }

  /** Time has passed. */
  wait(ms: number): void {
    this.nowMs += ms;
    this.core.onTimer();
    this.run();
  }

  /** A packet of the guest. Its header and data are in one buffer, or in those that `cut` makes of them. */
  send(
    packet: Partial<Packet> & Pick<Packet, 'op'>,
    cut: (all: Uint8Array) => readonly Uint8Array[] = (all) => [all],
  ): void {
    this.put(packet, cut);
    this.kick(TX_QUEUE);
    this.run();
  }

  /** The same, and the device is not told. */
  put(
    packet: Partial<Packet> & Pick<Packet, 'op'>,
    cut: (all: Uint8Array) => readonly Uint8Array[] = (all) => [all],
  ): void {
    const data = packet.data ?? new Uint8Array();
    const all = new Uint8Array(HEADER.size + data.length);
    all.set(headerBytes({ len: data.length, ...packet }));
    all.set(data, HEADER.size);
    this.putRaw(cut(all));
  }

  putRaw(pieces: readonly Uint8Array[]): void {
    this.#reclaim();
    const start = this.#freeTx.pop() ?? this.tx.allocate(TX_AREA_BYTES, PAGE);
    let at = start;
    const segments = pieces.map((it) => {
      const segment = readable(it, at);
      at += it.length;
      return segment;
    });
    this.#txAt.set(this.tx.addChain(segments), { start, descriptors: segments.length });
    this.txFree -= segments.length;
  }

  get areTaken(): boolean {
    this.#reclaim();
    return this.#txAt.size === 0;
  }

  #reclaim(): void {
    for (const { head } of this.tx.used()) {
      const sent = this.#txAt.get(head);
      if (sent === undefined) throw new Error('the device returns what it does not have');
      this.#freeTx.push(sent.start);
      this.txFree += sent.descriptors;
      this.#txAt.delete(head);
    }
  }

  /** What the guest has received since the last time. Its buffers are offered again. */
  received(): Packet[] {
    const packets: Packet[] = [];
    for (let found = this.#takeUsed(); found.length > 0; found = this.isRefilling ? this.#takeUsed() : []) {
      packets.push(...found);
      if (!this.isRefilling) break;
      this.kick(RX_QUEUE);
      this.run();
    }
    return packets;
  }

  #takeUsed(): Packet[] {
    return this.rx.used().map(({ head, writtenBytes }) => {
      const segments = this.#rxAt.get(head) ?? [];
      this.#rxAt.delete(head);
      const all = new Uint8Array(writtenBytes);
      let done = 0;
      for (const { at = 0, lengthBytes } of segments) {
        const part = this.rx.bytes.subarray(at, at + Math.min(lengthBytes, writtenBytes - done));
        all.set(part, done);
        done += part.length;
      }
      this.rxFree += segments.length;
      if (this.isRefilling) this.offer(segments);
      else this.#freeAreas(segments);
      return packetOf(all);
    });
  }

  #freeAreas(segments: readonly Segment[]): void {
    for (const { at = 0, lengthBytes } of segments) {
      const free = this.#freeRx.get(lengthBytes);
      if (free === undefined) this.#freeRx.set(lengthBytes, [at]);
      else free.push(at);
    }
  }

  get rxBytes(): number {
    return this.#rxBytes;
  }

  /** A program that connects to the guest. */
  connect(): Peer {
    const peer = Peer.to(this.path);
    this.#peers.push(peer);
    return peer;
  }

  /** A program that the guest can connect to. */
  listen(port: number): Listener {
    const listener = new Listener(`${this.path}_${port}`, (it) => this.#peers.push(it));
    this.#peers.push(listener);
    return listener;
  }

  #notify(queue: VirtQueue): void {
    if (this.#queues[queue.index]?.takeInterrupt() === true)
      this.interrupts[queue.index] = (this.interrupts[queue.index] ?? 0) + 1;
  }
}

export function headerBytes(packet: Partial<Packet>): Uint8Array {
  return HEADER.bytes({
    src_cid: BigInt(packet.srcCid ?? GUEST_CID),
    dst_cid: BigInt(packet.dstCid ?? abi.VMADDR_CID_HOST),
    src_port: packet.srcPort ?? 0,
    dst_port: packet.dstPort ?? 0,
    len: packet.len ?? 0,
    type: packet.type ?? abi.VIRTIO_VSOCK_TYPE_STREAM,
    op: packet.op ?? 0,
    flags: packet.flags ?? 0,
    buf_alloc: packet.bufAlloc ?? 0,
    fwd_cnt: packet.fwdCnt ?? 0,
  });
}

function packetOf(all: Uint8Array): Packet {
  const found = HEADER.read(new DataView(all.buffer, all.byteOffset, all.length));
  return {
    op: found.op,
    srcPort: found.src_port,
    dstPort: found.dst_port,
    srcCid: Number(found.src_cid),
    dstCid: Number(found.dst_cid),
    type: found.type,
    flags: found.flags,
    len: found.len,
    bufAlloc: found.buf_alloc,
    fwdCnt: found.fwd_cnt,
    data: all.subarray(HEADER.size),
  };
}

/** A program's end of a socket. */
export class Peer {
  static readonly #buffer = new IoBuffer(1 << 20);
  static readonly #message = new KernelMessage([]);
  readonly fd: number;
  #isClosed = false;

  constructor(fd: number) {
    if (fd < 0) throw new Error(`no socket: ${fd}`);
    this.fd = fd;
  }

  static to(file: string): Peer {
    const peer = new Peer(openSocket(AF_UNIX, SOCK_STREAM));
    const result = connectSocket(peer.fd, { family: 'unix', path: file });
    if (result < 0) throw new Error(`cannot connect: ${result}`);
    return peer;
  }

  /** How many bytes were taken, or -errno. */
  send(bytes: Uint8Array | string): number {
    const all = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
    const part = all.subarray(0, Peer.#buffer.bytes.length);
    Peer.#buffer.bytes.set(part);
    Peer.#message.clear();
    Peer.#message.addBuffer(Peer.#buffer, 0, part.length);
    return Peer.#message.send(this.fd);
  }

  /** Undefined: nothing is there; empty: the end. */
  receive(lengthBytes: number = Peer.#buffer.bytes.length): Uint8Array | undefined {
    Peer.#message.clear();
    Peer.#message.addBuffer(Peer.#buffer, 0, lengthBytes);
    const result = Peer.#message.receive(this.fd);
    if (result === -ECONNRESET) return new Uint8Array(); // it has ended without reading all
    return result < 0 ? undefined : Peer.#buffer.bytes.slice(0, result);
  }

  text(): string | undefined {
    const bytes = this.receive();
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  get isEnded(): boolean {
    return this.receive()?.length === 0;
  }

  endSending(): void {
    if (this.#isClosed) return; // its number may be another socket's by now
    shutdownSocket(this.fd, SHUT_WR);
  }

  endReceiving(): void {
    if (this.#isClosed) return;
    shutdownSocket(this.fd, SHUT_RD);
  }

  close(): void {
    if (!this.#isClosed) closeFd(this.fd);
    this.#isClosed = true;
  }
}

export class Listener extends Peer {
  readonly #add: (peer: Peer) => void;

  constructor(file: string, add: (peer: Peer) => void) {
    super(openSocket(AF_UNIX, SOCK_STREAM));
    this.#add = add;
    if (bindSocket(this.fd, { family: 'unix', path: file }) < 0 || listenOn(this.fd, 16) < 0)
      throw new Error(`cannot listen at ${file}`);
  }

  accept(): Peer {
    const peer = this.tryAccept();
    if (peer === undefined) throw new Error('nobody has connected');
    return peer;
  }

  tryAccept(): Peer | undefined {
    const fd = acceptFrom(this.fd);
    if (fd < 0) return undefined;
    const peer = new Peer(fd);
    this.#add(peer);
    return peer;
  }
}
