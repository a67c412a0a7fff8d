/** The fields of a device's state block as values that a client can show. */
import { ByteRing } from '../bus/byteRing.ts';
import type { StateBlock, StateShape } from '../bus/stateBlock.ts';
import { hex } from '../protocol/hex.ts';
import type { RegisterValue } from '../protocol/devices.ts';

const MAX_SHOWN_BYTES = 4096;

/** A guest that runs may change them meanwhile: no value is half written, but they need not fit together. */
export function registerValues(
  shape: StateShape,
  state: StateBlock<StateShape>,
): Record<string, RegisterValue> {
  const names = Object.keys(shape);
  return Object.fromEntries(names.map((name) => [name, registerValue(Reflect.get(state.regs, name))]));
}

export function hexBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function registerValue(value: unknown): RegisterValue {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return value < 0n ? String(value) : hex(value);
  if (value instanceof Uint8Array)
    return { lengthBytes: value.length, bytes: hexBytes(value.subarray(0, MAX_SHOWN_BYTES)) };
  if (value instanceof Uint32Array || value instanceof Int32Array) return [...value];
  if (value instanceof ByteRing) return { capacityBytes: value.capacity, unreadBytes: value.length };
  throw new TypeError('a state block has a field of an unknown kind');
}
