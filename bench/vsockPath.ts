/**
 * The data path of the vsock device alone, without a guest and its exits: queues in memory, driven as Linux
 * does, and socat as the program of the host.
 *
 *   node --import tsx bench/vsockPath.ts [MIB]      1024 when not given
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as abi from '../vmm-core/abi/virtioVsock.ts';
import { VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../vmm-core/abi/virtioRing.ts';
import { HostSockets } from '../vmm-core/backends/vsock/hostSockets.ts';
import { ListenSocket } from '../vmm-core/backends/vsock/listenSocket.ts';
import { StateBlock } from '../vmm-core/bus/stateBlock.ts';
import { SplitQueue } from '../vmm-core/devices/virtio/queue.ts';
import { LISTEN_TAG } from '../vmm-core/devices/virtio/vsock/hostPrograms.ts';
import { VsockCore } from '../vmm-core/devices/virtio/vsock/vsockCore.ts';
import { RX_QUEUE, TX_QUEUE, VSOCK_STATE } from '../vmm-core/devices/virtio/vsock/vsockState.ts';
import { EpollPoller } from '../vmm-core/kvm/net/epollPoller.ts';
import { allocateGuestMemory } from '../vmm-core/memory/guestMemory.ts';

const SIZE = 128;
const CHAINS = SIZE / 2;
const HEADER = abi.VirtioVsockHdr;
/** As Linux sends and receives it: a header, and its data. */
const TX_BYTES = 64 * 1024;
const RX_BYTES = 4096;
const GUEST_BUFFER = 256 * 1024;
const GUEST_PORT = 5000;
const MIB = 2 ** 20;

type Direction = 'to the host' | 'to the guest' | 'echo';
const PORTS: Readonly<Record<Direction, number>> = { 'to the host': 1, 'to the guest': 2, echo: 3 };

/** A ring with CHAINS chains of two descriptors, which are offered again and again. */
class Ring {
  readonly #view: DataView;
  readonly rings;
  readonly #base: number;
  #avail = 0;
  #used = 0;

  constructor(view: DataView, base: number, dataBytes: number, flags: number) {
    this.#view = view;
    this.#base = base;
    this.rings = {
      ...{ size: SIZE, desc: base, driver: base + 0x1000, device: base + 0x2000 },
      ...{ hasEventIdx: false, hasIndirect: false },
    };
    for (let i = 0; i < CHAINS; i++) {
      this.#describe(2 * i, this.headerAt(i), HEADER.size, flags | VRING_DESC_F_NEXT, 2 * i + 1);
      this.#describe(2 * i + 1, base + 0x8000 + i * dataBytes, dataBytes, flags, 0);
    }
  }

  headerAt(chain: number): number {
    return this.#base + 0x4000 + chain * 64;
  }

  setDataBytes(chain: number, lengthBytes: number): void {
    this.#view.setUint32(this.rings.desc + (2 * chain + 1) * 16 + 8, lengthBytes, true);
  }

  offer(chain: number): void {
    this.#view.setUint16(this.rings.driver + 4 + 2 * (this.#avail % SIZE), 2 * chain, true);
    this.#avail = (this.#avail + 1) & 0xffff;
    this.#view.setUint16(this.rings.driver + 2, this.#avail, true);
  }

  /** The next chain that was used; -1: none. */
  take(): number {
    if (this.#view.getUint16(this.rings.device + 2, true) === this.#used) return -1;
    const chain = this.#view.getUint32(this.rings.device + 4 + 8 * (this.#used % SIZE), true) / 2;
    this.#used = (this.#used + 1) & 0xffff;
    return chain;
  }

  #describe(index: number, at: number, lengthBytes: number, flags: number, next: number): void {
    const descriptor = this.rings.desc + 16 * index;
    this.#view.setBigUint64(descriptor, BigInt(at), true);
    this.#view.setUint32(descriptor + 8, lengthBytes, true);
    this.#view.setUint16(descriptor + 12, flags, true);
    this.#view.setUint16(descriptor + 14, next, true);
  }
}

/** A guest and its device. */
class Guest {
  readonly core: VsockCore;
  readonly #memory = allocateGuestMemory([{ base: 0, sizeBytes: 16 * MIB }]);
  readonly #view = new DataView(this.#memory.slots[0]?.bytes.buffer ?? new ArrayBuffer(0));
  readonly #rx = new Ring(this.#view, 0, RX_BYTES, VRING_DESC_F_WRITE);
  readonly #tx = new Ring(this.#view, 8 * MIB, TX_BYTES, 0);
  readonly #poller: EpollPoller;
  readonly #free = Array.from({ length: CHAINS }, (_, i) => i);
  #isKicked = false;
  #credit = 0;
  #hostFwd = 0;
  #told = 0;
  sent = 0;
  received = 0;
  isOpen = false;
  packets = 0;

  constructor(socket: ListenSocket) {
    const queues = [this.#rx, this.#tx].map(({ rings }, index) => {
      const queue = new SplitQueue(index, this.#memory, (rule) => {
        throw new Error(rule);
      });
      queue.enable(rings);
      return queue;
    });
    const [rx, tx] = queues as [SplitQueue, SplitQueue];
    this.#poller = new EpollPoller((tag, events) => this.core.onReady(tag, events));
    this.core = new VsockCore({
      ...{ regs: StateBlock.allocate(VSOCK_STATE).regs, memory: this.#memory, rx, tx, cid: 3 },
      sockets: new HostSockets(socket.opened, this.#memory.slots, this.#poller, LISTEN_TAG),
      nowMs: () => performance.now(),
      notifyUsed: () => undefined,
      kick: () => (this.#isKicked = true),
      arm: () => undefined,
      fail: (rule) => {
        throw new Error(rule);
      },
      trouble: (sentence) => {
        throw new Error(sentence);
      },
    });
    this.core.resume();
    for (let i = 0; i < CHAINS; i++) this.#rx.offer(i);
  }

  connect(port: number): void {
    this.#send(port, abi.VIRTIO_VSOCK_OP_REQUEST, 0);
  }

  /** Sends as much as there is credit for, takes what there is. */
  turn(port: number, wantsToSend: boolean): void {
    for (let chain = this.#tx.take(); chain >= 0; chain = this.#tx.take()) this.#free.push(chain);
    let hasSent = false;
    while (wantsToSend && this.isOpen && this.#free.length > 1) {
      const length = Math.min(TX_BYTES, this.#credit - (this.sent - this.#hostFwd));
      if (length <= 0) break;
      this.#send(port, abi.VIRTIO_VSOCK_OP_RW, length);
      this.sent += length;
      hasSent = true;
    }
    if (hasSent) this.core.onKick(TX_QUEUE);
    this.#poller.take();
    if (this.#isKicked) {
      this.#isKicked = false;
      this.core.onKick(RX_QUEUE);
      this.core.onKick(TX_QUEUE);
    }
    this.#take();
    if (this.received - this.#told >= GUEST_BUFFER / 2 && this.#free.length > 0) {
      this.#send(port, abi.VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
      this.core.onKick(TX_QUEUE);
    }
  }

  #take(): void {
    let taken = 0;
    for (let chain = this.#rx.take(); chain >= 0; chain = this.#rx.take()) {
      const at = this.#rx.headerAt(chain);
      const op = this.#view.getUint16(at + HEADER.fields.op.offset, true);
      this.#credit = this.#view.getUint32(at + HEADER.fields.buf_alloc.offset, true);
      const fwd = this.#view.getUint32(at + HEADER.fields.fwd_cnt.offset, true);
      this.#hostFwd += (fwd - this.#hostFwd) >>> 0;
      if (op === abi.VIRTIO_VSOCK_OP_RESPONSE) this.isOpen = true;
      if (op === abi.VIRTIO_VSOCK_OP_RST) throw new Error('the device has reset the connection');
      this.received += this.#view.getUint32(at + HEADER.fields.len.offset, true);
      this.packets++;
      this.#rx.offer(chain);
      taken++;
    }
    if (taken > 0) this.core.onKick(RX_QUEUE);
  }

  #send(port: number, op: number, lengthBytes: number): void {
    const chain = this.#free.pop() ?? 0;
    const at = this.#tx.headerAt(chain);
    const { fields } = HEADER;
    this.#view.setUint32(at + fields.src_cid.offset, 3, true);
    this.#view.setUint32(at + fields.dst_cid.offset, abi.VMADDR_CID_HOST, true);
    this.#view.setUint32(at + fields.src_port.offset, GUEST_PORT, true);
    this.#view.setUint32(at + fields.dst_port.offset, port, true);
    this.#view.setUint32(at + fields.len.offset, lengthBytes, true);
    this.#view.setUint16(at + fields.type.offset, abi.VIRTIO_VSOCK_TYPE_STREAM, true);
    this.#view.setUint16(at + fields.op.offset, op, true);
    this.#view.setUint32(at + fields.buf_alloc.offset, GUEST_BUFFER, true);
    this.#view.setUint32(at + fields.fwd_cnt.offset, this.received, true);
    this.#told = this.received;
    this.#tx.setDataBytes(chain, Math.max(1, lengthBytes));
    this.#tx.offer(chain);
  }
}

function program(direction: Direction, socket: string): ChildProcess {
  const listen = `UNIX-LISTEN:${socket}_${PORTS[direction]}`;
  const ends = {
    'to the host': ['-u', listen, 'OPEN:/dev/null'],
    'to the guest': ['-u', 'OPEN:/dev/zero', listen],
    echo: [listen, 'EXEC:cat'],
  };
  // With larger blocks, socat and what it runs wait for each other.
  const block = direction === 'echo' ? '32768' : '262144';
  return spawn('socat', ['-b', block, ...ends[direction]], { stdio: 'ignore' });
}

async function measure(direction: Direction, bytes: number): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'vsock-path-'));
  const socket = new ListenSocket(path.join(folder, 'vsock'));
  const guest = new Guest(socket);
  const port = PORTS[direction];
  const peer = program(direction, socket.opened.path);
  try {
    while (!existsSync(`${socket.opened.path}_${port}`))
      await new Promise((resolve) => setTimeout(resolve, 10));
    guest.connect(port);
    guest.core.onKick(TX_QUEUE);
    const begin = performance.now();
    const cpu = process.cpuUsage();
    const isDone = (): boolean => {
      if (direction === 'to the host') return guest.sent >= bytes;
      return guest.received >= bytes;
    };
    while (!isDone()) guest.turn(port, direction !== 'to the guest' && guest.sent < bytes);
    const ms = performance.now() - begin;
    const { user, system } = process.cpuUsage(cpu);
    const cpuMs = (user + system) / 1000;
    const rate = (time: number): string => (bytes / time / 1e6).toFixed(2);
    return `${direction.padEnd(12)} ${rate(ms)} GB/s, ${rate(cpuMs)} GB per second of our processor time, ${guest.packets} packets received`;
  } finally {
    guest.core.close();
    socket.remove();
    peer.kill();
    rmSync(folder, { recursive: true });
  }
}

async function main(bytes: number): Promise<void> {
  for (const direction of ['to the host', 'to the guest', 'echo'] as const)
    console.log(await measure(direction, bytes));
}

void main(Number(process.argv[2] ?? '1024') * MIB);
