/** Which byte of a value comes first. */
import { type Type, strip } from './type.ts';

/** Whether a value of that type has its low byte first: as its type says, else as on the machine. */
export function isLittleEndian(type: Type, world: { readonly littleEndian: boolean }): boolean {
  const bare = strip(type);
  const order = bare.kind === 'base' || bare.kind === 'enum' ? bare.byteOrder : undefined;
  return order === undefined ? world.littleEndian : order === 'little';
}
