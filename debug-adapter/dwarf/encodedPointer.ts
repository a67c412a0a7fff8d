/**
 * Pointers as .eh_frame and .eh_frame_hdr write them. LSB Core 5 §10.5.1: the low half of an encoding is the
 * format, the high half what the pointer counts from.
 */
import type { Reader } from './reader.ts';
import { DW_EH_PE } from './sectionConstants.ts';

/** Link-time addresses that pointers count from. */
export interface PointerBases {
  /** Of the section the pointer is in. */
  readonly section: number;
  readonly text?: number;
  readonly data?: number;
}

const TWO_32 = 2 ** 32;

/** Throws DwarfError for an encoding that cannot be followed without the running program. */
export function readEncodedPointer(
  reader: Reader,
  encoding: number,
  addressSize: number,
  bases: PointerBases,
): number {
  const place = bases.section + reader.offset;
  const value = readFormat(reader, encoding & 0x0f, addressSize);
  switch (encoding & 0x70) {
    case 0:
      return value;
    case DW_EH_PE.pcrel:
      return wrapped(place + value, addressSize);
    case DW_EH_PE.textrel:
      return wrapped((bases.text ?? 0) + value, addressSize);
    case DW_EH_PE.datarel:
      return wrapped((bases.data ?? 0) + value, addressSize);
    default:
      throw reader.error(`unsupported pointer encoding: 0x${encoding.toString(16)}`);
  }
}

/** The bytes of a format, or undefined when they depend on the value. */
export function encodedSize(encoding: number, addressSize: number): number | undefined {
  switch (encoding & 0x0f) {
    case DW_EH_PE.absptr:
      return addressSize;
    case DW_EH_PE.udata2:
    case DW_EH_PE.sdata2:
      return 2;
    case DW_EH_PE.udata4:
    case DW_EH_PE.sdata4:
      return 4;
    case DW_EH_PE.udata8:
    case DW_EH_PE.sdata8:
      return 8;
    default:
      return undefined;
  }
}

/** Sums of 32-bit code wrap; those of 64-bit code are signed numbers as they are (see reader.ts). */
function wrapped(address: number, addressSize: number): number {
  return addressSize === 4 ? ((address % TWO_32) + TWO_32) % TWO_32 : address;
}

function readFormat(reader: Reader, format: number, addressSize: number): number {
  switch (format) {
    case DW_EH_PE.absptr:
      return reader.address(addressSize);
    case DW_EH_PE.uleb128:
      return reader.uleb();
    case DW_EH_PE.udata2:
      return reader.u16();
    case DW_EH_PE.udata4:
      return reader.u32();
    case DW_EH_PE.udata8:
      return reader.s64Number(); // addresses of 8 bytes are kept signed
    case DW_EH_PE.sleb128:
      return reader.sleb();
    case DW_EH_PE.sdata2:
      return reader.s16();
    case DW_EH_PE.sdata4:
      return reader.s32();
    case DW_EH_PE.sdata8:
      return reader.s64Number();
    default:
      throw reader.error(`unsupported pointer format: 0x${format.toString(16)}`);
  }
}
