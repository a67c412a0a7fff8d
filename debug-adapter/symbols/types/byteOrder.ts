/** Bytes as the target stores them, and the integers they are. */
import { type Type, strip } from './type.ts';

/** Whether a value of that type has its low byte first: as its type says, else as on the machine. */
export function isLittleEndian(type: Type, world: { readonly littleEndian: boolean }): boolean {
  const bare = strip(type);
  const order = bare.kind === 'base' || bare.kind === 'enum' ? bare.byteOrder : undefined;
  return order === undefined ? world.littleEndian : order === 'little';
}

export function memoryToLittle(bytes: Uint8Array, littleEndian: boolean): bigint {
  let bits = 0n;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[littleEndian ? bytes.length - 1 - index : index] as number;
    bits = (bits << 8n) | BigInt(byte);
  }
  return bits;
}

export function littleToMemory(bits: bigint, sizeBytes: number, littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (let index = 0; index < sizeBytes; index++) {
    bytes[littleEndian ? index : sizeBytes - 1 - index] = Number((bits >> BigInt(8 * index)) & 0xffn);
  }
  return bytes;
}
