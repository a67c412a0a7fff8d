/**
 * The one checked path to guest RAM. Guest-physical addresses come from the guest and are hostile: every
 * access is resolved here to a range inside exactly one RAM slot, or refused. Holds no host addresses: slots
 * are shared WebAssembly memories, seen by every thread as typed arrays (kvm/ maps the same bytes into the
 * VM).
 */

/** A guest-physical address: an integer in [0, 2^53). */
export type Gpa = number & { readonly __brand: 'Gpa' };

/** Guest-physical addresses above 2^52 do not exist on x86-64 (SDM 3A §4.1.4, MAXPHYADDR <= 52). */
const GPA_LIMIT = 2 ** 52;

/** The guest (or a client on its behalf) named memory that is not RAM. Blame: guest. */
export class GuestAddressError extends Error {
  readonly gpa: number | bigint;
  readonly lengthBytes: number;

  constructor(gpa: number | bigint, lengthBytes: number) {
    super(`no guest RAM at address 0x${gpa.toString(16)} length 0x${lengthBytes.toString(16)}`);
    this.gpa = gpa;
    this.lengthBytes = lengthBytes;
    this.name = 'GuestAddressError';
  }
}

/** Brands an address. Throws GuestAddressError when it is not an address. */
export function gpa(address: number | bigint): Gpa {
  const value = Number(address);
  if (!Number.isInteger(value) || value < 0 || value >= GPA_LIMIT) throw new GuestAddressError(address, 0);
  return value as Gpa;
}

/** One contiguous range of guest RAM, all of `bytes`: shared memory, from guest-physical `base` on. */
export interface RamSlot {
  readonly base: number;
  readonly sizeBytes: number;
  readonly bytes: Uint8Array;
}

interface OpenSlot {
  readonly base: number;
  readonly end: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export class GuestMemory {
  readonly slots: readonly RamSlot[];
  readonly #open: readonly OpenSlot[];

  constructor(slots: readonly RamSlot[]) {
    this.slots = slots;
    this.#open = slots.map(({ base, sizeBytes, bytes }) => ({
      base,
      end: base + sizeBytes,
      bytes,
      view: new DataView(bytes.buffer, bytes.byteOffset, sizeBytes),
    }));
  }

  get sizeBytes(): number {
    return this.slots.reduce((sum, slot) => sum + slot.sizeBytes, 0);
  }

  /**
   * The whole range as one live view, without a copy. Throws GuestAddressError unless it is inside one slot.
   */
  slice(address: Gpa, lengthBytes: number): Uint8Array {
    const slot = this.#find(address, lengthBytes);
    return slot.bytes.subarray(address - slot.base, address - slot.base + lengthBytes);
  }

  /** True if `slice` would succeed. */
  contains(address: number, lengthBytes: number): boolean {
    return this.#lookup(address, lengthBytes) !== undefined;
  }

  /** The number of RAM bytes from `address` on in its slot, 0 when it is not RAM. */
  contiguousBytes(address: number): number {
    const slot = this.#lookup(address, 1);
    return slot === undefined ? 0 : slot.end - address;
  }

  readU8(address: Gpa): number {
    const slot = this.#find(address, 1);
    return slot.view.getUint8(address - slot.base);
  }
  readU16(address: Gpa): number {
    const slot = this.#find(address, 2);
    return slot.view.getUint16(address - slot.base, true);
  }
  readU32(address: Gpa): number {
    const slot = this.#find(address, 4);
    return slot.view.getUint32(address - slot.base, true);
  }
  readU64(address: Gpa): bigint {
    const slot = this.#find(address, 8);
    return slot.view.getBigUint64(address - slot.base, true);
  }
  writeU8(address: Gpa, value: number): void {
    const slot = this.#find(address, 1);
    slot.view.setUint8(address - slot.base, value);
  }
  writeU16(address: Gpa, value: number): void {
    const slot = this.#find(address, 2);
    slot.view.setUint16(address - slot.base, value, true);
  }
  writeU32(address: Gpa, value: number): void {
    const slot = this.#find(address, 4);
    slot.view.setUint32(address - slot.base, value, true);
  }
  writeU64(address: Gpa, value: bigint): void {
    const slot = this.#find(address, 8);
    slot.view.setBigUint64(address - slot.base, value, true);
  }
  /** Copies `bytes` into guest RAM. */
  write(address: Gpa, bytes: Uint8Array): void {
    this.slice(address, bytes.length).set(bytes);
  }

  zero(address: Gpa, lengthBytes: number): void {
    const slot = this.#find(address, lengthBytes);
    slot.bytes.fill(0, address - slot.base, address - slot.base + lengthBytes);
  }

  #find(address: number, lengthBytes: number): OpenSlot {
    const slot = this.#lookup(address, lengthBytes);
    if (slot === undefined) throw new GuestAddressError(address, lengthBytes);
    return slot;
  }

  // Doubles are exact below 2^53 and both operands are below 2^52, so the sum is exact.
  #lookup(address: number, lengthBytes: number): OpenSlot | undefined {
    if (!(lengthBytes >= 0 && lengthBytes < GPA_LIMIT && address >= 0 && address < GPA_LIMIT))
      return undefined;
    for (const slot of this.#open) {
      if (slot.base <= address && address + lengthBytes <= slot.end) return slot;
    }
    return undefined;
  }
}

/** Where in host memory RAM begins, which memory/ does not know: kvm/hugePages.ts. */
export interface RamPlacement {
  /** A wasm memory is larger than its RAM by this. */
  readonly slackBytes: number;
  /** Prepares the memory, and says how much of that is in front of the RAM. */
  place(memory: WebAssembly.Memory, base: number): number;
}

const ANYWHERE: RamPlacement = { slackBytes: 0, place: () => 0 };

/** Allocates zeroed RAM slots. Used by machine/ and tests; `ranges` from layout.ts. Throws RangeError. */
export function allocateGuestMemory(
  ranges: readonly { base: number; sizeBytes: number }[],
  placement = ANYWHERE,
): GuestMemory {
  const slots = ranges.map(({ base, sizeBytes }) => {
    const pages = Math.ceil((sizeBytes + placement.slackBytes) / WASM_PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return {
      base,
      sizeBytes,
      bytes: new Uint8Array(memory.buffer, placement.place(memory, base), sizeBytes),
    };
  });
  return new GuestMemory(slots);
}

const WASM_PAGE_BYTES = 0x10000;
