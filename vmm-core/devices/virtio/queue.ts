/**
 * A split virtqueue (virtio 1.2 §2.7) from the device's side. On the thread that serves the device. The rings
 * are the guest's memory, and the guest may rewrite them at any time: every value is read once into a local,
 * checked, and never read again. What the driver does wrong goes to `fail`, once; the queue is empty then.
 *
 * The index that one side publishes and the event index or flag that it then looks at are ordered by Atomics
 * on both (§2.7.13.4.1, §2.7.10): a plain store could be overtaken by the load after it, and a kick or an
 * interrupt be lost.
 */
import {
  VRING_AVAIL_ALIGN_SIZE,
  VRING_AVAIL_F_NO_INTERRUPT,
  VRING_DESC_ALIGN_SIZE,
  VRING_DESC_BYTES,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_HEADER_BYTES,
  VRING_USED_ALIGN_SIZE,
  VRING_USED_ELEM_BYTES,
  VRING_USED_F_NO_NOTIFY,
} from '../../abi/virtioRing.ts';
import type { GuestMemory } from '../../memory/guestMemory.ts';
import { type DescriptorChain, MAX_QUEUE_SIZE } from './descriptorChain.ts';

/** What a device's service does with a queue. */
export interface VirtQueue {
  readonly index: number;
  /** The driver has enabled it, and has broken no rule. */
  readonly isInUse: boolean;
  /** Of how many chains it is; 0: it is not in use, or on loan. */
  readonly size: number;
  /** The next available chain into `chain`; false when there is none (and then the driver will kick). */
  pop(chain: DescriptorChain): boolean;
  /** Returns a chain with that many bytes written. */
  push(head: number, writtenBytes: number): void;
  /** The same, but the driver sees it, and all before it, at the next `publish` only. */
  put(head: number, writtenBytes: number): void;
  publish(): void;
  /** The last `chains` that were popped are available again: nothing was done with them. */
  unpop(chains: number): void;
}

/** What the driver said of a queue. Addresses are not checked yet. */
export interface QueueRings {
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  readonly hasEventIdx: boolean;
  readonly hasIndirect: boolean;
}

/** Of a queue that somebody else serves for a while. */
export interface LentRings extends QueueRings {
  /** The first chain that is not used yet. */
  readonly nextAvail: number;
}

const U16_MASK = 0xffff;
const U32_LIMIT = 2 ** 32;
/** Fields of struct vring_avail and struct vring_used, as 16-bit words. */
const FLAGS = 0;
const IDX = 1;
const RING = 2;
/** struct vring_desc and struct vring_used_elem as 32-bit words. */
const DESC_WORDS = VRING_DESC_BYTES / 4;
const USED_ELEM_WORDS = VRING_USED_ELEM_BYTES / 4;
const TOO_LONG = '§2.7.5.3.1: a descriptor chain longer than the queue';
const NO_RING: Uint16Array = new Uint16Array();
const NO_WORDS: Uint32Array = new Uint32Array();

export class SplitQueue implements VirtQueue {
  readonly index: number;
  readonly #fail: (rule: string) => void;
  readonly #maxSize: number;
  // RAM, flattened: slot i is [#starts[i], #ends[i]) and #ram[i].
  readonly #memory: GuestMemory;
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #ram: readonly Uint32Array[];
  /** 0: not in use. */
  #size = 0;
  #rings: QueueRings | undefined;
  /** Its rings, while somebody else serves them: it is empty then. */
  #lent: QueueRings | undefined;
  #hasEventIdx = false;
  #hasIndirect = false;
  #table = NO_WORDS;
  #tableStart = 0;
  #avail = NO_RING;
  #used = NO_RING;
  #usedElements = NO_WORDS;
  #nextAvail = 0;
  /** avail.idx, as it was read last. */
  #availableTo = 0;
  #nextUsed = 0;
  /** #nextUsed, as it was when the driver was last considered for an interrupt. */
  #consideredTo = 0;
  // The table that #enterIndirect found.
  #indirectTable = NO_WORDS;
  #indirectStart = 0;
  #indirectEntries = 0;

  /** `fail` gets the rule that the driver broke, "§2.7.5.3: …". */
  constructor(
    index: number,
    memory: GuestMemory,
    fail: (rule: string) => void,
    maxSize: number = MAX_QUEUE_SIZE,
  ) {
    this.index = index;
    this.#fail = fail;
    this.#maxSize = maxSize;
    this.#memory = memory;
    const { slots } = memory;
    this.#starts = Float64Array.from(slots, ({ base }) => base);
    this.#ends = Float64Array.from(slots, ({ base, sizeBytes }) => base + sizeBytes);
    this.#ram = slots.map(({ bytes }) => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
  }

  /** On loan, too. */
  get isInUse(): boolean {
    return this.#size !== 0 || this.#lent !== undefined;
  }

  get size(): number {
    return this.#size;
  }

  get nextAvail(): number {
    return this.#nextAvail;
  }

  get nextUsed(): number {
    return this.#nextUsed;
  }

  /** From its start. False, and `fail` called: it cannot be used so. */
  enable(rings: QueueRings): boolean {
    this.disable();
    const rule = this.#brokenBy(rings);
    if (rule !== undefined) {
      this.#fail(rule);
      return false;
    }
    const { size, desc, driver, device } = rings;
    const slot = this.#slotOf(desc, 1);
    this.#table = this.#ram[slot] ?? NO_WORDS;
    this.#tableStart = (desc - (this.#starts[slot] ?? 0)) / 4;
    this.#avail = this.#ring(driver, RING + size + 1);
    this.#used = this.#ring(device, RING + size * 2 * USED_ELEM_WORDS + 1);
    const elements = this.#used.byteOffset + VRING_HEADER_BYTES;
    this.#usedElements = new Uint32Array(this.#used.buffer, elements, size * USED_ELEM_WORDS);
    this.#hasEventIdx = rings.hasEventIdx;
    this.#hasIndirect = rings.hasIndirect;
    this.#size = size;
    this.#rings = rings;
    return true;
  }

  /**
   * Its rings, which were checked, for somebody else to serve; until it is taken back it is empty here, and
   * nothing is written to them. All that was popped must have been returned. Undefined: it is not in use, or
   * lent already.
   */
  lend(): LentRings | undefined {
    if (this.#size === 0 || this.#rings === undefined) return undefined;
    this.#lent = this.#rings;
    this.#size = 0;
    this.#availableTo = this.#nextAvail;
    return { ...this.#lent, nextAvail: this.#nextAvail };
  }

  /** All chains before `nextAvail` are used. Nothing, if the driver has taken it from both meanwhile. */
  takeBack(nextAvail: number): void {
    if (this.#lent === undefined) return;
    this.#size = this.#lent.size;
    this.#lent = undefined;
    this.#nextAvail = this.#availableTo = nextAvail;
    this.#nextUsed = this.#consideredTo = nextAvail;
  }

  /** It is empty from now on, and `push` does nothing. */
  disable(): void {
    this.#size = 0;
    this.#lent = undefined;
    this.#nextAvail = 0;
    this.#availableTo = 0;
    this.#nextUsed = 0;
    this.#consideredTo = 0;
  }

  pop(chain: DescriptorChain): boolean {
    if (this.#nextAvail === this.#availableTo && !this.#lookForMore()) return false;
    const nextAvail = this.#nextAvail;
    const head = this.#avail[RING + (nextAvail & (this.#size - 1))] ?? 0;
    if (!this.#copyChain(chain, head)) return false;
    this.#nextAvail = (nextAvail + 1) & U16_MASK;
    return true;
  }

  push(head: number, writtenBytes: number): void {
    this.put(head, writtenBytes);
    this.publish();
  }

  put(head: number, writtenBytes: number): void {
    if (this.#size === 0) return;
    const nextUsed = this.#nextUsed;
    const at = (nextUsed & (this.#size - 1)) * USED_ELEM_WORDS;
    this.#usedElements[at] = head;
    this.#usedElements[at + 1] = writtenBytes;
    this.#nextUsed = (nextUsed + 1) & U16_MASK;
  }

  publish(): void {
    if (this.#size !== 0) Atomics.store(this.#used, IDX, this.#nextUsed); // §2.7.8: after the elements
  }

  unpop(chains: number): void {
    if (this.#size !== 0) this.#nextAvail = (this.#nextAvail - chains) & U16_MASK;
  }

  /** After pushes: whether the driver wants an interrupt for them (§2.7.7.1, §2.7.10). */
  takeInterrupt(): boolean {
    const before = this.#consideredTo;
    const now = this.#nextUsed;
    if (this.#size === 0 || before === now) return false;
    this.#consideredTo = now;
    if (!this.#hasEventIdx) return (Atomics.load(this.#avail, FLAGS) & VRING_AVAIL_F_NO_INTERRUPT) === 0;
    const event = Atomics.load(this.#avail, RING + this.#size);
    return ((now - event - 1) & U16_MASK) < ((now - before) & U16_MASK);
  }

  /** False: nothing is available, and the driver will kick when something is. */
  #lookForMore(): boolean {
    if (this.#size === 0) return false;
    if (this.#readAvailable()) {
      if (!this.#hasEventIdx) this.#suppressKicks(VRING_USED_F_NO_NOTIFY);
      return true;
    }
    if (this.#size === 0) return false;
    if (this.#hasEventIdx) Atomics.store(this.#used, this.#used.length - 1, this.#nextAvail);
    else this.#suppressKicks(0);
    // Once more: what came before the driver could see that comes without a kick.
    return this.#readAvailable();
  }

  #suppressKicks(flags: number): void {
    if (this.#used[FLAGS] !== flags) Atomics.store(this.#used, FLAGS, flags);
  }

  #readAvailable(): boolean {
    const to = Atomics.load(this.#avail, IDX);
    if (((to - this.#nextAvail) & U16_MASK) > this.#size)
      return this.#broke(
        `§2.7.6: avail.idx is ${to}, more than the queue's size ahead of ${this.#nextAvail}`,
      );
    this.#availableTo = to;
    return to !== this.#nextAvail;
  }

  /** §2.7.5. Each table, the queue's and an indirect one, has as many steps as it has entries. */
  #copyChain(chain: DescriptorChain, head: number): boolean {
    let table = this.#table;
    let start = this.#tableStart;
    let entries = this.#size;
    let steps = entries;
    let isIndirect = false;
    let index = head;
    begin(chain, head);
    for (;;) {
      if (index >= entries) return this.#broke(`§2.7.5: descriptor ${index} of ${entries}`);
      if (steps-- === 0) return this.#broke('§2.7.5.2: a loop in a descriptor chain');
      const at = start + index * DESC_WORDS;
      const gpa = (table[at] ?? 0) + (table[at + 1] ?? 0) * U32_LIMIT;
      const length = table[at + 2] ?? 0;
      const flagsAndNext = table[at + 3] ?? 0;
      const flags = flagsAndNext & U16_MASK;
      if ((flags & VRING_DESC_F_INDIRECT) !== 0) {
        if (!this.#enterIndirect(gpa, length, flags, isIndirect)) return false;
        table = this.#indirectTable;
        start = this.#indirectStart;
        steps = entries = this.#indirectEntries;
        isIndirect = true;
        index = 0;
        continue;
      }
      if (length !== 0 && !this.#append(chain, gpa, length, flags)) return false;
      if ((flags & VRING_DESC_F_NEXT) === 0) return true;
      index = flagsAndNext >>> 16;
    }
  }

  /** §2.7.5.3. */
  #enterIndirect(gpa: number, length: number, flags: number, isIndirect: boolean): boolean {
    if (!this.#hasIndirect) return this.#broke('§2.7.5.3.1: INDIRECT without VIRTIO_F_INDIRECT_DESC');
    if (isIndirect) return this.#broke('§2.7.5.3.1: INDIRECT inside an indirect table');
    if ((flags & VRING_DESC_F_NEXT) !== 0) return this.#broke('§2.7.5.3.1: INDIRECT together with NEXT');
    if (length === 0 || length % VRING_DESC_BYTES !== 0)
      return this.#broke(`§2.7.5.3: an indirect table of ${length} bytes`);
    const slot = this.#slotOf(gpa, length);
    if (slot < 0) return this.#broke(`§2.7.5.3: an indirect table outside memory, at ${addressText(gpa)}`);
    this.#indirectEntries = length / VRING_DESC_BYTES;
    if (this.#indirectEntries > MAX_QUEUE_SIZE) return this.#broke(TOO_LONG);
    const at = gpa - (this.#starts[slot] ?? 0);
    const isAligned = at % 4 === 0;
    this.#indirectTable = isAligned ? (this.#ram[slot] ?? NO_WORDS) : this.#copyTable(slot, at, length);
    this.#indirectStart = isAligned ? at / 4 : 0;
    return true;
  }

  /** The specification does not say that an indirect table is aligned; all drivers' are. */
  #copyTable(slot: number, at: number, length: number): Uint32Array {
    const copy = new Uint8Array(length);
    const { buffer, byteOffset } = this.#ram[slot] ?? NO_WORDS;
    copy.set(new Uint8Array(buffer, byteOffset + at, length));
    return new Uint32Array(copy.buffer);
  }

  #append(chain: DescriptorChain, gpa: number, length: number, flags: number): boolean {
    const at = chain.segments;
    if (at >= MAX_QUEUE_SIZE) return this.#broke(TOO_LONG);
    if (this.#slotOf(gpa, length) < 0)
      return this.#broke(
        `§2.7.5: a buffer outside memory, 0x${length.toString(16)} bytes at ${addressText(gpa)}`,
      );
    if ((flags & VRING_DESC_F_WRITE) !== 0) {
      chain.writableBytes += length;
    } else {
      if (chain.writableBytes !== 0) return this.#broke('§2.7.4.2: a buffer to read after one to write');
      chain.readable = at + 1;
      chain.readableBytes += length;
    }
    if (chain.readableBytes + chain.writableBytes >= U32_LIMIT)
      return this.#broke('§2.7.5.2: a descriptor chain of more than 4 GiB');
    chain.gpa[at] = gpa;
    chain.length[at] = length;
    chain.segments = at + 1;
    return true;
  }

  /** -1: the range is not inside one slot. An address above 2^53 is rounded, but never to below an end. */
  #slotOf(gpa: number, length: number): number {
    const starts = this.#starts;
    const ends = this.#ends;
    for (let i = 0; i < starts.length; i++) {
      if (gpa >= (starts[i] ?? 0) && gpa + length <= (ends[i] ?? 0)) return i;
    }
    return -1;
  }

  /** §2.7: what is wrong with the rings. */
  #brokenBy({ size, desc, driver, device }: QueueRings): string | undefined {
    if (size === 0 || size > this.#maxSize || (size & (size - 1)) !== 0)
      return `§2.7: a queue of ${size}, which is not a power of two up to ${this.#maxSize}`;
    const areas = [
      {
        name: 'descriptor table',
        at: desc,
        bytes: size * VRING_DESC_BYTES,
        alignment: VRING_DESC_ALIGN_SIZE,
      },
      {
        name: 'available ring',
        at: driver,
        bytes: VRING_HEADER_BYTES + 2 * size + 2,
        alignment: VRING_AVAIL_ALIGN_SIZE,
      },
      {
        name: 'used ring',
        at: device,
        bytes: VRING_HEADER_BYTES + VRING_USED_ELEM_BYTES * size + 2,
        alignment: VRING_USED_ALIGN_SIZE,
      },
    ];
    for (const { name, at, bytes, alignment } of areas) {
      if (at % alignment !== 0)
        return `§2.7: the ${name} at ${addressText(at)}, not a multiple of ${alignment}`;
      if (!this.#memory.contains(at, bytes))
        return `§2.7: the ${name} at ${addressText(at)} is outside memory`;
    }
    return undefined;
  }

  /** 16-bit words of a range that was checked. */
  #ring(gpa: number, count: number): Uint16Array {
    const slot = this.#slotOf(gpa, 2 * count);
    const { buffer, byteOffset } = this.#ram[slot] ?? NO_WORDS;
    return new Uint16Array(buffer, byteOffset + gpa - (this.#starts[slot] ?? 0), count);
  }

  /** Not in use any more; how far it has come can still be read. */
  #broke(rule: string): false {
    this.#size = 0;
    this.#availableTo = this.#nextAvail;
    this.#fail(rule);
    return false;
  }
}

/** One above 2^53 was rounded when it was read. */
function addressText(address: number): string {
  return Number.isSafeInteger(address) ? `0x${address.toString(16)}` : 'an address above 2^53';
}

function begin(chain: DescriptorChain, head: number): void {
  chain.head = head;
  chain.segments = 0;
  chain.readable = 0;
  chain.readableBytes = 0;
  chain.writableBytes = 0;
}
