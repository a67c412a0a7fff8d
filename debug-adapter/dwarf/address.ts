/**
 * Addresses as this folder holds them (signed numbers, see reader.ts) and as its users do (unsigned bigints).
 */

/** The unsigned 64-bit address of a signed number. */
export function toUnsigned(address: number): bigint {
  return address >= 0 ? BigInt(address) : BigInt.asUintN(64, BigInt(address));
}

/**
 * The signed number of an unsigned 64-bit address; `addressSize` decides whether the top half is negative.
 */
export function toSigned(address: bigint, addressSize = 8): number {
  return addressSize === 8
    ? Number(BigInt.asIntN(64, address))
    : Number(BigInt.asUintN(8 * addressSize, address));
}

/** Half open. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Many addresses. Those of one unit are near each other: four bytes each, where they are less than 4 GiB
 * apart.
 */
export class AddressArray {
  readonly #base: number;
  readonly #values: Uint32Array | Float64Array;

  constructor(addresses: ArrayLike<number>, count = addresses.length) {
    let least = Infinity;
    let most = -Infinity;
    for (let index = 0; index < count; index++) {
      const address = addresses[index] as number;
      if (address < least) least = address;
      if (address > most) most = address;
    }
    const isNear = most - least <= 0xffffffff;
    const base = isNear && count > 0 ? least : 0;
    this.#base = base;
    this.#values = isNear ? new Uint32Array(count) : new Float64Array(count);
    for (let index = 0; index < count; index++) this.#values[index] = (addresses[index] as number) - base;
  }

  get length(): number {
    return this.#values.length;
  }

  /** NaN past the end. */
  at(index: number): number {
    return this.#base + (this.#values[index] as number);
  }

  /** How many of those from `from` up to `to`, which ascend, are at or below `address`; counted from 0. */
  countUpTo(address: number, from = 0, to = this.length): number {
    const values = this.#values;
    const wanted = address - this.#base;
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((values[middle] as number) <= wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  *[Symbol.iterator](): Generator<number> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }
}
