/**
 * Requests to a block device, with all that it needs: queues driven by a mock driver, an engine without a
 * kernel, an image in pieces. `run` is a turn of the I/O thread.
 */
import {
  VIRTIO_BLK_ID_BYTES,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
} from '../../vmm-core/abi/virtioBlk.ts';
import { BlkRequests } from '../../vmm-core/devices/virtio/blk/blkRequests.ts';
import { RateLimit, type Rates } from '../../vmm-core/devices/virtio/blk/rateLimit.ts';
import { SplitQueue, type VirtQueue } from '../../vmm-core/devices/virtio/queue.ts';
import { allocateGuestMemory, type GuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { Bytes } from './bytes.ts';
import { FakeFile, FakeIoEngine, FakeIoSlots } from './fakeIoEngine.ts';
import { MockDriver, readable, type Segment, writable } from './mockDriver.ts';
import { type ClusterKind, PatchworkImage } from './patchworkImage.ts';

export interface BlkMachineOptions {
  readonly kinds?: readonly ClusterKind[];
  readonly alignmentBytes?: number;
  readonly clusterBytes?: number;
  readonly isReadOnly?: boolean;
  readonly slots?: number;
  readonly queues?: number;
  readonly queueSize?: number;
  readonly memoryBytes?: number;
  readonly rates?: Rates;
}

const PAGE_BYTES = 0x1000;
const FIRST_QUEUE = 0x1_0000;
const FD = 3;
const HEADER_BYTES = 16;

export interface Answer {
  readonly status: number;
  readonly writtenBytes: number;
  /** What the device may write, without the status. */
  readonly data: Uint8Array;
}

export class BlkMachine {
  readonly memory: GuestMemory;
  readonly file = new FakeFile(0);
  readonly engine: FakeIoEngine;
  readonly io: FakeIoSlots;
  readonly image: PatchworkImage;
  readonly drivers: readonly MockDriver[];
  readonly requests: BlkRequests;
  readonly told: string[] = [];
  readonly broken: string[] = [];
  interrupts = 0;
  isWriteThrough = false;
  mayDiscard = true;
  nowMs = 0;
  /** Where a driver puts its buffers: the chains that are under way, by queue and head. */
  readonly #buffers = new Map<string, readonly Segment[]>();

  constructor(options: BlkMachineOptions = {}) {
    const { queues = 1, queueSize = 16, memoryBytes = 0x40_0000 } = options;
    this.memory = allocateGuestMemory([{ base: 0, sizeBytes: memoryBytes }]);
    this.engine = new FakeIoEngine(this.memory, options.slots);
    this.engine.alignmentBytes = options.alignmentBytes ?? 1;
    this.engine.files.set(FD, this.file);
    this.io = new FakeIoSlots(this.engine);
    this.image = new PatchworkImage(this.file, options.kinds ?? ['data', 'data', 'data', 'data'], {
      fd: FD,
      ...options,
    });
    const areaBytes = Math.floor(memoryBytes / queues / PAGE_BYTES - FIRST_QUEUE / PAGE_BYTES) * PAGE_BYTES;
    this.drivers = Array.from(
      { length: queues },
      (_, i) => new MockDriver({ size: queueSize, memory: this.memory, base: FIRST_QUEUE + i * areaBytes }),
    );
    const splitQueues = this.drivers.map(({ rings }, i) => {
      const queue = new SplitQueue(i, this.memory, (rule) => this.broken.push(rule));
      queue.enable(rings);
      return queue;
    });
    this.requests = new BlkRequests(this.#host(splitQueues, options.rates ?? {}), {
      image: this.image,
      path: '/disk.img',
      isReadOnly: options.isReadOnly ?? false,
      id: idOf('TRAP-1'),
    });
    this.io.onSlotFree = () => void this.requests.proceed();
  }

  #host(queues: readonly SplitQueue[], rates: Rates) {
    return {
      memory: this.memory,
      io: this.io,
      queues,
      limit: new RateLimit(rates, () => this.nowMs),
      notifyUsed: (queue: VirtQueue) => {
        if (queues[queue.index]?.takeInterrupt() === true) this.interrupts++;
      },
      fail: (rule: string) => void this.broken.push(rule),
      isWriteThrough: () => this.isWriteThrough,
      mayDiscard: () => this.mayDiscard,
      mayWriteZeroes: () => this.mayDiscard,
      tell: (message: string) => void this.told.push(message),
    };
  }

  get driver(): MockDriver {
    const [driver] = this.drivers;
    if (driver === undefined) throw new Error('there is no queue');
    return driver;
  }

  /** Makes a chain available and returns its head; the device does not know yet. */
  add(segments: readonly Segment[], queue = 0): number {
    const driver = this.drivers[queue] ?? this.driver;
    const placed = segments.map((it) => ({ ...it, at: it.at ?? driver.allocate(it.lengthBytes, 512) }));
    const head = driver.addChain(placed);
    this.#buffers.set(`${queue} ${head}`, placed);
    return head;
  }

  kick(queue = 0): void {
    while (this.requests.onKick(queue));
  }

  /** The engine finishes all that is under way, and what that makes it begin. */
  run(): void {
    while (this.engine.pending > 0) this.finish(0);
    this.requests.notify();
  }

  /** One of the transfers that are under way. */
  finish(place: number): void {
    this.engine.finish(place, { onDone: (slot, result) => this.requests.onDone(slot, result) });
  }

  /** What the device has returned since the last time. */
  answers(queue = 0): (Answer & { readonly head: number })[] {
    const driver = this.drivers[queue] ?? this.driver;
    return driver.used().map(({ head, writtenBytes }) => {
      const buffers = (this.#buffers.get(`${queue} ${head}`) ?? []).filter((it) => it.isWritable);
      const bytes = new Bytes();
      for (const { at = 0, lengthBytes } of buffers) bytes.bytes(driver.bytes.slice(at, at + lengthBytes));
      const all = bytes.done();
      return { head, writtenBytes, status: all.at(-1) ?? -1, data: all.subarray(0, -1) };
    });
  }

  /** One request from beginning to end. */
  ask(...segments: readonly Segment[]): Answer {
    const head = this.add(segments);
    this.kick();
    this.run();
    const answer = this.answers().find((it) => it.head === head);
    if (answer === undefined) throw new Error('the device has not answered');
    return answer;
  }

  read(sector: number, lengthBytes: number): Answer {
    return this.ask(header(VIRTIO_BLK_T_IN, sector), writable(lengthBytes), writable(1));
  }

  write(sector: number, data: Uint8Array): number {
    return this.ask(header(VIRTIO_BLK_T_OUT, sector), readable(data), writable(1)).status;
  }

  flush(): number {
    return this.ask(header(VIRTIO_BLK_T_FLUSH), writable(1)).status;
  }

  getId(roomBytes = VIRTIO_BLK_ID_BYTES): Answer {
    return this.ask(header(VIRTIO_BLK_T_GET_ID), writable(roomBytes), writable(1));
  }

  discard(...ranges: readonly Range[]): number {
    return this.ask(header(VIRTIO_BLK_T_DISCARD), readable(rangeBytes(ranges)), writable(1)).status;
  }
}

export interface Range {
  readonly sector: number | bigint;
  readonly sectors: number;
  readonly flags?: number;
}

export function header(type: number, sector: number | bigint = 0): Segment {
  const bytes = new Bytes().u32(type, 0).u64(sector).done();
  if (bytes.length !== HEADER_BYTES) throw new Error('a header is 16 bytes');
  return readable(bytes);
}

export function rangeBytes(ranges: readonly Range[]): Uint8Array {
  const bytes = new Bytes();
  for (const { sector, sectors, flags = 0 } of ranges) bytes.u64(sector).u32(sectors, flags);
  return bytes.done();
}

export function idOf(text: string): Uint8Array {
  const id = new Uint8Array(VIRTIO_BLK_ID_BYTES);
  id.set(new TextEncoder().encode(text));
  return id;
}
