/**
 * The driver's side of one split virtqueue in a memory of its own, for tests of devices: chains in, used
 * buffers out. It writes the rings as a correct driver would; a hostile one writes over them afterwards
 * (`writeDescriptor`, `view`).
 *
 *   const driver = new MockDriver({ size: 8 });
 *   const head = driver.addChain([readable(16), writable(512)]);
 *   driver.used(); // [{ head, writtenBytes }]
 */
import {
  VRING_DESC_BYTES,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_HEADER_BYTES,
  VRING_USED_ELEM_BYTES,
} from '../../vmm-core/abi/virtioRing.ts';
import type { QueueRings } from '../../vmm-core/devices/virtio/queue.ts';
import {
  allocateGuestMemory,
  gpa,
  type GuestMemory,
  type RamPlacement,
} from '../../vmm-core/memory/guestMemory.ts';

const PAGE = 0x1000;

/** One segment of a chain. Without `at` it gets memory of its own. */
export interface Segment {
  readonly isWritable: boolean;
  readonly lengthBytes: number;
  readonly at?: number;
  readonly bytes?: Uint8Array;
}

export function readable(content: number | Uint8Array, at?: number): Segment {
  return segment(false, content, at);
}

export function writable(lengthBytes: number, at?: number): Segment {
  return segment(true, lengthBytes, at);
}

export interface UsedChain {
  readonly head: number;
  readonly writtenBytes: number;
}

export interface MockDriverOptions {
  /** Descriptors; default 8. */
  readonly size?: number;
  readonly memory?: GuestMemory;
  /** Where the rings are, a page each, and then buffers. */
  readonly base?: number;
  /** Where they are otherwise. */
  readonly rings?: Partial<QueueRings>;
  readonly hasEventIdx?: boolean;
  readonly hasIndirect?: boolean;
}

/** Memory that does not begin where what holds it does; nor does a machine's. */
export const OFF_START: RamPlacement = { slackBytes: 0x1_0000, place: () => 0x1_0000 };

export class MockDriver {
  readonly memory: GuestMemory;
  readonly rings: QueueRings;
  /** All of that memory. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #free: number[];
  /** Descriptors of each chain that the device has, by head. */
  readonly #chains = new Map<number, readonly number[]>();
  #nextBuffer: number;
  #availIdx = 0;
  #lastUsed = 0;

  constructor(options: MockDriverOptions = {}) {
    const { size = 8, base = 0x1_0000, hasEventIdx = false, hasIndirect = false } = options;
    this.memory = options.memory ?? allocateGuestMemory([{ base: 0, sizeBytes: 0x10_0000 }], OFF_START);
    const slot = this.memory.slots[0];
    if (slot?.base !== 0) throw new Error('the mock driver wants memory from address 0 on');
    this.bytes = slot.bytes;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
    this.rings = {
      size,
      desc: base,
      driver: base + PAGE,
      device: base + 2 * PAGE,
      hasEventIdx,
      hasIndirect,
      ...options.rings,
    };
    this.#free = Array.from({ length: size }, (_, i) => i);
    this.#nextBuffer = base + 4 * PAGE;
  }

  /** Makes a chain available. Returns its head. */
  addChain(segments: readonly Segment[]): number {
    const indexes = this.#take(segments.length);
    segments.forEach((it, i) => {
      const next = indexes[i + 1];
      this.#describe(this.rings.desc, indexes[i] ?? 0, it, next);
    });
    return this.#publish(indexes);
  }

  /** The same by a table of descriptors of its own: it takes one of the queue's. */
  addIndirectChain(segments: readonly Segment[]): number {
    const table = this.allocate(segments.length * VRING_DESC_BYTES, VRING_DESC_BYTES);
    segments.forEach((it, i) => this.#describe(table, i, it, i + 1 < segments.length ? i + 1 : undefined));
    const indexes = this.#take(1);
    this.writeDescriptor(indexes[0] ?? 0, {
      gpa: table,
      lengthBytes: segments.length * VRING_DESC_BYTES,
      flags: VRING_DESC_F_INDIRECT,
    });
    return this.#publish(indexes);
  }

  /** Puts a head into the available ring, whatever it is. */
  offer(head: number): void {
    const { driver, size } = this.rings;
    const at = driver + VRING_HEADER_BYTES + 2 * (this.#availIdx % size);
    this.view.setUint16(at, head, true);
    this.setAvailIdx(this.#availIdx + 1);
  }

  setAvailIdx(value: number): void {
    this.#availIdx = value & 0xffff;
    this.view.setUint16(this.rings.driver + 2, this.#availIdx, true);
  }

  /** VRING_AVAIL_F_NO_INTERRUPT. */
  setAvailFlags(flags: number): void {
    this.view.setUint16(this.rings.driver, flags, true);
  }

  setUsedEvent(index: number): void {
    this.view.setUint16(this.rings.driver + VRING_HEADER_BYTES + 2 * this.rings.size, index, true);
  }

  /** VRING_USED_F_NO_NOTIFY, which the device writes. */
  get usedFlags(): number {
    return this.view.getUint16(this.rings.device, true);
  }

  get availEvent(): number {
    const { device, size } = this.rings;
    return this.view.getUint16(device + VRING_HEADER_BYTES + VRING_USED_ELEM_BYTES * size, true);
  }

  /** Whether a driver would kick, having made what is available so from `before` on (§2.7.10). */
  wantsKick(before: number): boolean {
    if (!this.rings.hasEventIdx) return (this.usedFlags & 1) === 0;
    return ((this.#availIdx - this.availEvent - 1) & 0xffff) < ((this.#availIdx - before) & 0xffff);
  }

  get availIdx(): number {
    return this.#availIdx;
  }

  /** What the device has returned since the last call; their descriptors are free again. */
  used(): UsedChain[] {
    const { device, size } = this.rings;
    const to = this.view.getUint16(device + 2, true);
    const found: UsedChain[] = [];
    for (; this.#lastUsed !== to; this.#lastUsed = (this.#lastUsed + 1) & 0xffff) {
      const at = device + VRING_HEADER_BYTES + VRING_USED_ELEM_BYTES * (this.#lastUsed % size);
      const head = this.view.getUint32(at, true);
      found.push({ head, writtenBytes: this.view.getUint32(at + 4, true) });
      this.#free.push(...(this.#chains.get(head) ?? []));
      this.#chains.delete(head);
    }
    return found;
  }

  /** Writes over a descriptor of the queue, or of the table at `table`. */
  writeDescriptor(
    index: number,
    descriptor: {
      readonly gpa: number | bigint;
      readonly lengthBytes: number;
      readonly flags: number;
      readonly next?: number;
    },
    table: number = this.rings.desc,
  ): void {
    const at = table + index * VRING_DESC_BYTES;
    this.view.setBigUint64(at, BigInt(descriptor.gpa), true);
    this.view.setUint32(at + 8, descriptor.lengthBytes, true);
    this.view.setUint16(at + 12, descriptor.flags, true);
    this.view.setUint16(at + 14, descriptor.next ?? 0, true);
  }

  /** The memory that a descriptor of the queue names. */
  bytesOf(index: number): Uint8Array {
    const at = this.rings.desc + index * VRING_DESC_BYTES;
    const address = gpa(this.view.getBigUint64(at, true));
    return this.memory.slice(address, this.view.getUint32(at + 8, true));
  }

  /** Of a chain that the device has: the index of its descriptor at this place. */
  descriptorOf(head: number, place: number): number {
    const index = this.#chains.get(head)?.[place];
    if (index === undefined) throw new Error(`chain ${head} has no descriptor ${place}`);
    return index;
  }

  /** Memory for a buffer; never freed. */
  allocate(lengthBytes: number, alignment = 16): number {
    const at = Math.ceil(this.#nextBuffer / alignment) * alignment;
    if (at + lengthBytes > this.view.byteLength) throw new Error('the mock driver has no memory left');
    this.#nextBuffer = at + lengthBytes;
    return at;
  }

  #take(count: number): number[] {
    if (count === 0 || count > this.#free.length) throw new Error(`no ${count} descriptors are free`);
    return this.#free.splice(0, count);
  }

  #publish(indexes: readonly number[]): number {
    const head = indexes[0] ?? 0;
    this.#chains.set(head, indexes);
    this.offer(head);
    return head;
  }

  #describe(table: number, index: number, it: Segment, next: number | undefined): void {
    const at = it.at ?? this.allocate(it.lengthBytes);
    if (it.bytes !== undefined) this.memory.write(gpa(at), it.bytes);
    const flags = (it.isWritable ? VRING_DESC_F_WRITE : 0) | (next === undefined ? 0 : VRING_DESC_F_NEXT);
    this.writeDescriptor(
      index,
      { gpa: at, lengthBytes: it.lengthBytes, flags, ...(next === undefined ? {} : { next }) },
      table,
    );
  }
}

function segment(isWritable: boolean, content: number | Uint8Array, at: number | undefined): Segment {
  const place = at === undefined ? {} : { at };
  if (typeof content === 'number') return { isWritable, lengthBytes: content, ...place };
  return { isWritable, lengthBytes: content.length, bytes: content, ...place };
}
