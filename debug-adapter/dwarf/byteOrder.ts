/** Unsigned integers and their bytes in memory order. */

export function toBytes(bits: bigint, sizeBytes: number, littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (let index = 0; index < sizeBytes; index++) {
    bytes[littleEndian ? index : sizeBytes - 1 - index] = Number((bits >> BigInt(8 * index)) & 0xffn);
  }
  return bytes;
}

export function fromBytes(bytes: Uint8Array, littleEndian: boolean): bigint {
  let bits = 0n;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[littleEndian ? bytes.length - 1 - index : index] as number;
    bits = (bits << 8n) | BigInt(byte);
  }
  return bits;
}
