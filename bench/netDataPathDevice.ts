/**
 * The data path of a network interface alone, for bench/netDataPath.ts: the device's service, with a link
 * that has no host, and a driver that plays the guest in the same thread and offers the same descriptors
 * again and again. Prints thousands of frames a second, of the time that the device took.
 *
 *   netDataPathDevice send|receive BYTES SECONDS
 */
import { VRING_DESC_F_WRITE } from '../vmm-core/abi/virtioRing.ts';
import {
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../vmm-core/abi/virtioNet.ts';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 } from '../vmm-core/abi/virtioNetHdr.ts';
import { VIRTIO_F_VERSION_1 } from '../vmm-core/abi/virtioConfig.ts';
import type { GuestFrame, GuestPort, NetLink, Offload } from '../vmm-core/backends/net/netLink.ts';
import { StateBlock } from '../vmm-core/bus/stateBlock.ts';
import { NetService } from '../vmm-core/devices/virtio/net/netService.ts';
import { NET_STATE, type NetState } from '../vmm-core/devices/virtio/net/netState.ts';
import { SplitQueue } from '../vmm-core/devices/virtio/queue.ts';
import type { VirtioPort } from '../vmm-core/devices/virtio/virtioClass.ts';
import { allocateGuestMemory } from '../vmm-core/memory/guestMemory.ts';

const [, , direction = 'send', bytesText = '64', secondsText = '1'] = process.argv;
const frameBytes = Number(bytesText);
const seconds = Number(secondsText);

const SIZE = 256;
const PAGE = 0x1000;
const HEADER_BYTES = 12;
const MEMORY_BYTES = 64 << 20;
/** What Linux offers for frames with MRG_RXBUF. */
const BUFFER_BYTES = 1536;
const BUFFERS_AT = 0x10_0000;
const FEATURES = new Set([
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_CTRL_RX,
]);

/** Sends into the void, as a link that lets the kernel copy: it looks at headers and names the memory. */
class VoidLink implements NetLink {
  readonly port: GuestPort;
  frames = 0;
  seen = 0;
  readonly #header = new Uint8Array(54);
  readonly #segment: Offload = {
    flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
    gsoType: frameBytes > BUFFER_BYTES ? VIRTIO_NET_HDR_GSO_TCPV4 : 0,
    hdrLen: 54,
    gsoSize: 1460,
    csumStart: 34,
    csumOffset: 16,
  };

  constructor(port: GuestPort) {
    this.port = port;
    this.#header.set(port.mac);
  }

  send(frame: GuestFrame): void {
    const { message } = this.port;
    message.clear();
    frame.addTo(message, 0, frame.lengthBytes);
    this.seen += message.lengthBytes + (frame.head[12] ?? 0);
    this.frames++;
  }

  /** As many as fit. */
  onRoom(): void {
    const { message } = this.port;
    while (this.port.reserve(frameBytes)) {
      this.port.write(0, this.#header);
      message.clear();
      this.port.addTo(message, this.#header.length, frameBytes - this.#header.length);
      this.port.commit(frameBytes, this.#segment);
      this.frames++;
    }
  }

  onReady(): void {}
  reset(): void {}
  report(): Record<string, never> {
    return {};
  }
  close(): void {}
}

const memory = allocateGuestMemory([{ base: 0, sizeBytes: MEMORY_BYTES }]);
const view = new DataView(memory.slots[0]?.bytes.buffer ?? new ArrayBuffer(0));
const queues = [0, 1, 2].map((index) => {
  const queue = new SplitQueue(index, memory, broken);
  const at = PAGE + index * 4 * PAGE;
  queue.enable({
    ...{ size: index === 2 ? 64 : SIZE, desc: at, driver: at + PAGE, device: at + 2 * PAGE },
    ...{ hasEventIdx: true, hasIndirect: true },
  });
  return queue;
});
const state = StateBlock.allocate(NET_STATE);
const lladdr = 'fe:e1:bb:d0:00:01';
let link: VoidLink | undefined;
const port: VirtioPort<NetState> = {
  name: 'net0',
  state,
  memory,
  opened: undefined,
  io: {
    get engine(): never {
      return broken('no engine');
    },
    get poller(): never {
      return broken('no poller');
    },
    takeSlot: () => -1,
    giveSlot: () => undefined,
    arm: () => undefined,
    lendDoorbell: () => broken('no doorbells'),
    takeBackDoorbell: () => undefined,
  },
  lend: () => undefined,
  takeBack: () => undefined,
  interruptLent: () => undefined,
  hasFeature: (bit) => FEATURES.has(bit),
  kick: () => undefined,
  queue: (index) => queues[index] ?? broken('no such queue'),
  notifyUsed: ({ index }) => queues[index]?.takeInterrupt(),
  changeConfig: (write) => write(state.regs.config),
  fail: broken,
};
const instance = {
  ...{ name: 'net0', index: 0, vmName: 'bench', transport: 'pci' as const, lladdr, pairs: 1 },
  network: { kind: 'user' as const },
};
state.regs.config.set([0xfe, 0xe1, 0xbb, 0xd0, 0, 1]);
const service = new NetService(instance, port, (_, lent) => (link = new VoidLink(lent)));
service.resume();
console.log(String(Math.round(direction === 'send' ? measureSend() : measureReceive())));

/** Thousands of frames a second. */
function measureSend(): number {
  const chains = describeFrames();
  return measure(1, chains);
}

function measureReceive(): number {
  for (let i = 0; i < SIZE; i++) describe(0, i, BUFFERS_AT + i * 2048, BUFFER_BYTES, VRING_DESC_F_WRITE);
  // Frames that are not for everybody, as Linux has it.
  state.regs.receiveModes = 0;
  return measure(0, SIZE);
}

/** As Linux has them: small frames in one piece with their header, large ones in pages. Returns how many. */
function describeFrames(): number {
  const pieces = frameBytes <= BUFFER_BYTES ? 1 : Math.ceil(frameBytes / (8 * PAGE)) + 1;
  const chains = Math.floor(SIZE / pieces);
  for (let chain = 0; chain < chains; chain++) {
    let left = HEADER_BYTES + frameBytes;
    for (let i = 0; i < pieces; i++) {
      const lengthBytes = pieces === 1 ? left : i === 0 ? HEADER_BYTES + 54 : Math.min(left, 8 * PAGE);
      const index = chain * pieces + i;
      const isLast = i + 1 === pieces;
      describe(1, index, BUFFERS_AT + index * 8 * PAGE, lengthBytes, isLast ? 0 : 1, isLast ? 0 : index + 1);
      left -= lengthBytes;
    }
    const header = BUFFERS_AT + chain * pieces * 8 * PAGE;
    view.setUint8(header, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    view.setUint8(header + 1, pieces === 1 ? 0 : VIRTIO_NET_HDR_GSO_TCPV4);
    view.setUint16(header + 4, pieces === 1 ? 0 : 1460, true);
    view.setUint16(header + 6, 34, true);
    view.setUint16(header + 8, 16, true);
    view.setUint16(driverRing(1) + 4 + 2 * chain, chain * pieces, true);
  }
  return chains;
}

/** The ring's heads are as they were: its index alone moves, by `chains` at a time. */
function measure(queue: number, chains: number): number {
  const heads = Array.from({ length: chains }, (_, i) => view.getUint16(driverRing(queue) + 4 + 2 * i, true));
  if (queue === 0) heads.forEach((_, i) => (heads[i] = i));
  let availIdx = 0;
  let spentMs = 0;
  const until = performance.now() + 1000 * (seconds + 0.5);
  const from = performance.now() + 500; // until then the code gets warm
  let frames = 0;
  for (;;) {
    for (const head of heads) view.setUint16(driverRing(queue) + 4 + 2 * (availIdx++ % SIZE), head, true);
    view.setUint16(driverRing(queue) + 2, availIdx & 0xffff, true);
    const before = link?.frames ?? 0;
    const start = performance.now();
    while (service.onKick(queue));
    const end = performance.now();
    if (end > until) break;
    if (start < from) continue;
    spentMs += end - start;
    frames += (link?.frames ?? 0) - before;
  }
  return frames / spentMs;
}

function describe(queue: number, index: number, gpa: number, bytes: number, flags: number, next = 0): void {
  const at = PAGE + queue * 4 * PAGE + 16 * index;
  view.setBigUint64(at, BigInt(gpa), true);
  view.setUint32(at + 8, bytes, true);
  view.setUint16(at + 12, flags, true);
  view.setUint16(at + 14, next, true);
}

function driverRing(queue: number): number {
  return PAGE + queue * 4 * PAGE + PAGE;
}

function broken(what: string): never {
  throw new Error(what);
}
