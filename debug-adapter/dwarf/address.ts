/** Addresses as this folder holds them (signed numbers, see reader.ts) and as its users do (unsigned bigints). */

/** The unsigned 64-bit address of a signed number. */
export function toUnsigned(address: number): bigint {
  return address >= 0 ? BigInt(address) : BigInt.asUintN(64, BigInt(address));
}

/** The signed number of an unsigned 64-bit address; `addressSize` decides whether the top half is negative. */
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
