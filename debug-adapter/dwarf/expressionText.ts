/**
 * Expressions as text, for people: `DW_OP_fbreg -20`, with names for registers. Stops at an operator it does
 * not know.
 */
import { DwarfError } from './dwarfError.ts';
import { readEncodedPointer } from './encodedPointer.ts';
import { DW_OP, operatorName } from './operators.ts';
import { Reader } from './reader.ts';

export interface DescribeOptions {
  readonly littleEndian: boolean;
  readonly addressSize: number;
  /** The unit has the 64-bit format: its references are 8 bytes. */
  readonly is64?: boolean;
  readonly registerName: (register: number) => string;
  /** The address at an index of .debug_addr, to show instead of the index. */
  readonly indexedAddress?: (index: number) => number;
}

export function describeExpression(expression: Uint8Array, options: DescribeOptions): string {
  const constant = constantOf(expression, options);
  if (constant !== undefined) return `constant ${constant}`;
  const reader = new Reader(expression, options.littleEndian, 'expression', 0);
  const parts: string[] = [];
  try {
    while (!reader.atEnd) parts.push(describeOperator(reader, options));
  } catch (error) {
    if (!(error instanceof DwarfError)) throw error;
    parts.push('<broken>');
  }
  return parts.length === 0 ? 'optimized out' : parts.join(', ');
}

/** The number of an expression that is one constant and the statement that it is the value (§2.6.1.1.4). */
function constantOf(
  expression: Uint8Array,
  { littleEndian }: { readonly littleEndian: boolean },
): number | bigint | undefined {
  if (expression.at(-1) !== DW_OP.stack_value) return undefined;
  const reader = new Reader(expression.subarray(0, -1), littleEndian, 'expression', 0);
  try {
    const operator = reader.u8();
    const isLiteral = operator >= DW_OP.lit0 && operator < DW_OP.lit0 + 32;
    const read = isLiteral ? () => operator - DW_OP.lit0 : CONSTANTS.get(operator);
    const value = read?.(reader);
    return reader.atEnd ? value : undefined;
  } catch (error) {
    if (!(error instanceof DwarfError)) throw error;
    return undefined; // the text shows where it is broken
  }
}

function describeOperator(reader: Reader, options: DescribeOptions): string {
  const operator = reader.u8();
  const name = operatorName(operator);
  if (operator >= DW_OP.reg0 && operator < DW_OP.reg0 + 32)
    return `in $${options.registerName(operator - DW_OP.reg0)}`;
  if (operator >= DW_OP.breg0 && operator < DW_OP.breg0 + 32) {
    return `$${options.registerName(operator - DW_OP.breg0)}${signed(reader.sleb())}`;
  }
  const fixed = FIXED_OPERANDS.get(operator);
  if (fixed !== undefined) return `${name} ${fixed(reader)}`;
  switch (operator) {
    case DW_OP.fbreg:
      return `frame base${signed(reader.sleb())}`;
    case DW_OP.addr:
      return addressText(reader.address(options.addressSize));
    case DW_OP.addrx:
    case DW_OP.GNU_addr_index: {
      const index = reader.uleb();
      return options.indexedAddress === undefined
        ? `${name} ${index}`
        : addressText(options.indexedAddress(index));
    }
    case DW_OP.plus_uconst:
    case DW_OP.piece:
    case DW_OP.constx:
    case DW_OP.GNU_const_index:
    case DW_OP.convert:
    case DW_OP.GNU_convert:
    case DW_OP.reinterpret:
    case DW_OP.GNU_reinterpret:
      return `${name} ${reader.ulebBig()}`;
    case DW_OP.regx:
      return `in $${options.registerName(reader.uleb())}`;
    case DW_OP.bregx:
      return `$${options.registerName(reader.uleb())}${signed(reader.sleb())}`;
    case DW_OP.bit_piece:
    case DW_OP.regval_type:
    case DW_OP.GNU_regval_type:
      return `${name} ${reader.uleb()} ${reader.uleb()}`;
    case DW_OP.deref_type:
    case DW_OP.GNU_deref_type:
    case DW_OP.xderef_type:
      return `${name} ${reader.u8()} ${reader.uleb()}`;
    case DW_OP.implicit_pointer:
    case DW_OP.GNU_implicit_pointer:
      return `${name} ${reference(reader, options)}${signed(reader.sleb())}`;
    case DW_OP.call_ref:
    case DW_OP.GNU_variable_value:
      return `${name} ${reference(reader, options)}`;
    case DW_OP.GNU_encoded_addr:
      return `${name} ${readEncodedPointer(reader, reader.u8(), options.addressSize, { section: 0 })}`;
    case DW_OP.GNU_parameter_ref:
      return `${name} 0x${reader.u32().toString(16)}`;
    case DW_OP.implicit_value:
      return `${name} ${hex(reader.block(reader.uleb()))}`;
    case DW_OP.const_type:
    case DW_OP.GNU_const_type:
      return `${name} ${reader.uleb()} ${hex(reader.block(reader.u8()))}`;
    case DW_OP.entry_value:
    case DW_OP.GNU_entry_value:
      return `entry value of (${describeExpression(reader.block(reader.uleb()), options)})`;
    default:
      if (name.includes('<')) reader.pos = reader.end; // its operands' sizes are not known
      return name;
  }
}

type ReadOperand = (reader: Reader) => number | bigint;

/** Operators that push their operand. */
const CONSTANTS: ReadonlyMap<number, ReadOperand> = new Map<number, ReadOperand>([
  [DW_OP.const1u, (reader) => reader.u8()],
  [DW_OP.const1s, (reader) => reader.s8()],
  [DW_OP.const2u, (reader) => reader.u16()],
  [DW_OP.const2s, (reader) => reader.s16()],
  [DW_OP.const4u, (reader) => reader.u32()],
  [DW_OP.const4s, (reader) => reader.s32()],
  [DW_OP.const8u, (reader) => reader.u64()],
  [DW_OP.const8s, (reader) => reader.s64()],
  [DW_OP.constu, (reader) => reader.ulebBig()],
  [DW_OP.consts, (reader) => reader.slebBig()],
]);

/** Operators with one operand that needs no explanation. */
const FIXED_OPERANDS: ReadonlyMap<number, ReadOperand> = new Map<number, ReadOperand>([
  ...CONSTANTS,
  [DW_OP.deref_size, (reader) => reader.u8()],
  [DW_OP.xderef_size, (reader) => reader.u8()],
  [DW_OP.pick, (reader) => reader.u8()],
  [DW_OP.skip, (reader) => reader.s16()],
  [DW_OP.bra, (reader) => reader.s16()],
  [DW_OP.call2, (reader) => reader.u16()],
  [DW_OP.call4, (reader) => reader.u32()],
]);

/** An offset in .debug_info. */
function reference(reader: Reader, { is64 = false }: DescribeOptions): string {
  return `0x${reader.sectionOffset(is64).toString(16)}`;
}

function addressText(address: number): string {
  return `0x${BigInt.asUintN(64, BigInt(address)).toString(16)}`;
}

function signed(value: number): string {
  return value < 0 ? ` - ${-value}` : value > 0 ? ` + ${value}` : '';
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
