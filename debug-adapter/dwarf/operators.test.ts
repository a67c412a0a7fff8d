/**
 * Each operator by itself: a row for every one that the standard and GNU define, so that none is forgotten.
 * DWARF 5 §2.5.1, §2.6.1.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from '../../test/support/bytes.ts';
import { DW_ATE } from './constants.ts';
import { type ExpressionContext, UnavailableError, evaluateLocation, evaluateValue } from './expression.ts';
import { describeExpression } from './expressionText.ts';
import { DW_OP } from './operators.ts';
import { type TypedValue, type ValueType, asFloat, asInteger } from './typedValue.ts';

const base = (encoding: number, sizeBytes: number): ValueType => ({ encoding, sizeBytes, isGeneric: false });
/** Base types by their offset in the unit. */
const TYPES: Readonly<Record<number, ValueType>> = {
  1: base(DW_ATE.float, 8),
  2: base(DW_ATE.signed, 4),
  3: base(DW_ATE.unsigned_char, 1),
  4: base(DW_ATE.float, 4),
  5: base(DW_ATE.float, 16),
  6: base(DW_ATE.signed, 2 ** 31),
};
const UCHAR = 3;
const FLOAT = 4;
const LONG_DOUBLE = 5;
const INT = base(DW_ATE.signed, 4);

/** Registers hold 0x100 + their number; memory at `a` the bytes a, a + 1, …. */
const machine: ExpressionContext = {
  addressSize: 8,
  littleEndian: true,
  is64: false,
  version: 5,
  relocate: (address) => address + 0x1000n,
  register: (register) => (register < 40 ? BigInt(0x100 + register) : undefined),
  memory: async (address, lengthBytes) =>
    Uint8Array.from({ length: lengthBytes }, (_, at) => Number(address) + at),
};

const context: ExpressionContext = {
  ...machine,
  frameBase: async () => 0x5000n,
  callFrameCfa: async () => 0x6000n,
  tlsAddress: async (offset) => 0x8000n + offset,
  objectAddress: () => 0x7000n,
  indexedAddress: (index) => BigInt(index) * 0x10n,
  baseType: (offset) => TYPES[offset],
  calledExpression: (offset, inSection) => Uint8Array.of(DW_OP.lit0 + (inSection ? 9 : offset)),
  entryValue: async (expression) => ({ type: INT, bits: BigInt(expression[0] ?? 0) }),
  parameterValue: async (offset) => ({ type: INT, bits: BigInt(offset) }),
  variableValue: async (offset) => ({ type: INT, bits: BigInt(offset) }),
};

const TEXT = { littleEndian: true, addressSize: 8, registerName: (register: number) => `r${register}` };

type Expected = bigint | number | RegExp | { readonly location: unknown };
type Row = readonly [code: Bytes, expected: Expected];

const code = (...bytes: number[]): Bytes => new Bytes().u8(...bytes);
const lit = (value: number): number => DW_OP.lit0 + value;
const negative = (value: number): number[] => [DW_OP.const1s, value & 0xff];
const double = (value: number): number[] => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return [DW_OP.const_type, 1, 8, ...bytes];
};

/** Numbers are floating point values, bigints are integers. */
const ROWS: Readonly<Record<keyof typeof DW_OP, readonly Row[]>> = {
  addr: [[code(DW_OP.addr).u64(0x2000), 0x3000n]],
  deref: [[code(DW_OP.const1u, 0x10, DW_OP.deref), 0x17161514_13121110n]],
  const1u: [[code(DW_OP.const1u, 0xff), 0xffn]],
  const1s: [[code(DW_OP.const1s, 0xff), 0xffff_ffff_ffff_ffffn]],
  const2u: [[code(DW_OP.const2u).u16(0xfffe), 0xfffen]],
  const2s: [[code(DW_OP.const2s).u16(0xfffe), 0xffff_ffff_ffff_fffen]],
  const4u: [[code(DW_OP.const4u).u32(0xfffffffd), 0xffff_fffdn]],
  const4s: [[code(DW_OP.const4s).u32(0xfffffffd), 0xffff_ffff_ffff_fffdn]],
  const8u: [[code(DW_OP.const8u).u64(0xffff_ffff_ffff_fffcn), 0xffff_ffff_ffff_fffcn]],
  const8s: [[code(DW_OP.const8s).u64(-4n), 0xffff_ffff_ffff_fffcn]],
  constu: [[code(DW_OP.constu).uleb(0x1234567), 0x1234567n]],
  consts: [[code(DW_OP.consts).sleb(-300), BigInt.asUintN(64, -300n)]],
  dup: [[code(lit(3), DW_OP.dup, DW_OP.mul), 9n]],
  drop: [[code(lit(3), lit(4), DW_OP.drop), 3n]],
  over: [[code(lit(3), lit(4), DW_OP.over), 3n]],
  pick: [
    [code(lit(3), lit(4), lit(5), DW_OP.pick, 2), 3n],
    [code(lit(3), DW_OP.pick, 1), /underflows/],
  ],
  swap: [[code(lit(7), lit(3), DW_OP.swap, DW_OP.minus), BigInt.asUintN(64, -4n)]],
  rot: [[code(lit(1), lit(2), lit(3), DW_OP.rot, DW_OP.drop), 1n]],
  xderef: [
    [code(lit(0), DW_OP.const1u, 0x20, DW_OP.xderef), 0x27262524_23222120n],
    [code(lit(1), DW_OP.const1u, 0x20, DW_OP.xderef), /no address space 1/],
  ],
  abs: [
    [code(...negative(-7), DW_OP.abs), 7n],
    [code(...double(-0.5), DW_OP.abs), 0.5],
  ],
  and: [[code(lit(12), lit(10), DW_OP.and), 8n]],
  div: [
    [code(...negative(-7), lit(2), DW_OP.div), BigInt.asUintN(64, -3n)],
    [code(...double(1), ...double(4), DW_OP.div), 0.25],
    [code(lit(1), lit(0), DW_OP.div), /divides by zero/],
  ],
  minus: [
    [code(lit(3), lit(5), DW_OP.minus), BigInt.asUintN(64, -2n)],
    [code(...double(1), ...double(4), DW_OP.minus), -3],
  ],
  mod: [
    [code(lit(17), lit(5), DW_OP.mod), 2n],
    [code(lit(1), lit(0), DW_OP.mod), /divides by zero/],
  ],
  mul: [[code(lit(6), lit(7), DW_OP.mul), 42n]],
  neg: [
    [code(lit(5), DW_OP.neg), BigInt.asUintN(64, -5n)],
    [code(...double(2.5), DW_OP.neg), -2.5],
  ],
  not: [[code(lit(0), DW_OP.not), 0xffff_ffff_ffff_ffffn]],
  or: [
    [code(lit(12), lit(10), DW_OP.or), 14n],
    [code(...double(1), ...double(1), DW_OP.or), /DW_OP_or on a floating point value/],
  ],
  plus: [
    [code(lit(3), lit(5), DW_OP.plus), 8n],
    [code(DW_OP.const8u).u64(-1n).u8(lit(2), DW_OP.plus), 1n],
  ],
  plus_uconst: [[code(lit(3), DW_OP.plus_uconst).uleb(300), 303n]],
  shl: [
    [code(lit(3), lit(4), DW_OP.shl), 48n],
    [code(lit(3), DW_OP.const1u, 64, DW_OP.shl), 0n],
  ],
  shr: [[code(...negative(-1), DW_OP.const1u, 60, DW_OP.shr), 15n]],
  shra: [
    [code(...negative(-16), lit(2), DW_OP.shra), BigInt.asUintN(64, -4n)],
    [code(...negative(-16), DW_OP.const1u, 99, DW_OP.shra), 0xffff_ffff_ffff_ffffn],
  ],
  xor: [[code(lit(12), lit(10), DW_OP.xor), 6n]],
  bra: [
    [code(lit(1), lit(9), DW_OP.bra).u16(1).u8(lit(2), DW_OP.nop), 1n],
    [code(lit(1), lit(0), DW_OP.bra).u16(1).u8(lit(2)), 2n],
  ],
  eq: [[code(lit(2), lit(2), DW_OP.eq), 1n]],
  ge: [[code(...negative(-1), lit(0), DW_OP.ge), 0n]],
  gt: [[code(lit(3), lit(2), DW_OP.gt), 1n]],
  le: [[code(lit(2), lit(2), DW_OP.le), 1n]],
  lt: [
    [code(...negative(-1), lit(0), DW_OP.lt), 1n],
    [code(...double(0.5), ...double(0.75), DW_OP.lt), 1n],
  ],
  ne: [[code(lit(2), lit(2), DW_OP.ne), 0n]],
  skip: [
    [code(lit(1), DW_OP.skip).u16(1).u8(lit(2)), 1n],
    [code(DW_OP.skip).u16(-4 & 0xffff), /jumps out of itself/],
  ],
  lit0: [
    [code(DW_OP.lit0), 0n],
    [code(DW_OP.lit0 + 31), 31n],
  ],
  reg0: [[code(DW_OP.reg0 + 31), { location: { kind: 'register', register: 31 } }]],
  breg0: [
    [code(DW_OP.breg0 + 31, 0x7f), 0x11en],
    [code(DW_OP.breg0 + 7, 8), { location: { kind: 'memory', address: 0x10fn } }],
  ],
  regx: [[code(DW_OP.regx).uleb(200), { location: { kind: 'register', register: 200 } }]],
  fbreg: [[code(DW_OP.fbreg).sleb(-8), 0x4ff8n]],
  bregx: [
    [code(DW_OP.bregx).uleb(33).sleb(-1), 0x120n],
    [code(DW_OP.bregx).uleb(99).sleb(0), /register 99 is not saved/],
  ],
  piece: [
    [
      code(DW_OP.reg0, DW_OP.piece, 4, DW_OP.piece, 2),
      {
        location: [
          ['register', 32, 0],
          ['optimizedOut', 16, 0],
        ],
      },
    ],
  ],
  deref_size: [
    [code(DW_OP.const1u, 0x10, DW_OP.deref_size, 3), 0x121110n],
    [code(lit(1), DW_OP.deref_size, 0), /memory access of 0 bytes/],
  ],
  xderef_size: [[code(lit(0), DW_OP.const1u, 0x10, DW_OP.xderef_size, 2), 0x1110n]],
  nop: [[code(lit(1), DW_OP.nop), 1n]],
  push_object_address: [[code(DW_OP.push_object_address), 0x7000n]],
  call2: [[code(lit(1), DW_OP.call2).u16(5), 5n]],
  call4: [[code(DW_OP.call4).u32(6), 6n]],
  call_ref: [[code(DW_OP.call_ref).u32(0x1234), 9n]],
  form_tls_address: [[code(lit(16), DW_OP.form_tls_address), 0x8010n]],
  call_frame_cfa: [[code(DW_OP.call_frame_cfa), 0x6000n]],
  bit_piece: [
    [
      code(DW_OP.reg0 + 1, DW_OP.bit_piece, 3, 5, lit(1), DW_OP.stack_value, DW_OP.bit_piece, 13, 0),
      {
        location: [
          ['register', 3, 5],
          ['value', 13, 0],
        ],
      },
    ],
  ],
  implicit_value: [
    [code(DW_OP.implicit_value, 2, 8, 9), { location: { kind: 'implicit', bytes: Uint8Array.of(8, 9) } }],
  ],
  stack_value: [[code(lit(4), DW_OP.stack_value), { location: [['value', undefined, 0]] }]],
  implicit_pointer: [
    [
      code(DW_OP.implicit_pointer).u32(0x33).sleb(-4),
      { location: { kind: 'implicitPointer', dieOffset: 0x33, byteOffset: -4 } },
    ],
  ],
  addrx: [[code(DW_OP.addrx).uleb(3), 0x1030n]],
  constx: [[code(DW_OP.constx).uleb(3), 0x30n]],
  entry_value: [[code(DW_OP.entry_value, 1, DW_OP.reg0 + 5), BigInt(DW_OP.reg0 + 5)]],
  const_type: [
    [code(...double(0.5)), 0.5],
    [code(DW_OP.const_type, 3, 1, 0xf0), 0xf0n],
  ],
  regval_type: [[code(DW_OP.regval_type).uleb(5, 3), 0x05n]],
  deref_type: [[code(DW_OP.const1u, 0xf0, DW_OP.deref_type, 4, 2), BigInt.asIntN(32, 0xf3f2f1f0n)]],
  xderef_type: [[code(lit(0), DW_OP.const1u, 0x10, DW_OP.xderef_type, 1, 3), 0x10n]],
  convert: [
    [code(...double(-2.75), DW_OP.convert, 2), -2n],
    [code(...negative(-2), DW_OP.convert, 2), -2n],
    [code(...double(0.5), DW_OP.convert, 4), 0.5],
    [code(DW_OP.const2u).u16(0x1ff).u8(DW_OP.convert, 3), 0xffn],
    [code(...double(300.5), DW_OP.convert, 0), 300n],
    [code(lit(1), DW_OP.convert, 5), /floating point numbers of 16 bytes are not computed/],
    [code(lit(1), DW_OP.convert, 6), /base type of 2147483648 bytes/],
    [code(lit(1), DW_OP.convert, 77), /names no base type/],
  ],
  reinterpret: [[code(...double(1), DW_OP.reinterpret, 0), 0x3ff0000000000000n]],
  GNU_push_tls_address: [[code(lit(16), DW_OP.GNU_push_tls_address), 0x8010n]],
  GNU_uninit: [[code(DW_OP.reg0 + 1, DW_OP.GNU_uninit), { location: { kind: 'register', register: 1 } }]],
  GNU_encoded_addr: [
    [code(DW_OP.GNU_encoded_addr, 0).u64(0), /unsupported operator: DW_OP_GNU_encoded_addr/],
  ],
  GNU_implicit_pointer: [
    [
      code(DW_OP.GNU_implicit_pointer).u32(0x44).sleb(0),
      { location: { kind: 'implicitPointer', dieOffset: 0x44, byteOffset: 0 } },
    ],
  ],
  GNU_entry_value: [[code(DW_OP.GNU_entry_value, 1, DW_OP.reg0 + 4), BigInt(DW_OP.reg0 + 4)]],
  GNU_const_type: [[code(DW_OP.GNU_const_type, 2, 4, 0xff, 0xff, 0xff, 0xff), -1n]],
  GNU_regval_type: [[code(DW_OP.GNU_regval_type).uleb(5, 2), 0x105n]],
  GNU_deref_type: [[code(DW_OP.const1u, 0x10, DW_OP.GNU_deref_type, 1, 3), 0x10n]],
  GNU_convert: [[code(lit(3), DW_OP.GNU_convert, 1), 3]],
  GNU_reinterpret: [[code(DW_OP.const4u).u32(0x3f800000).u8(DW_OP.GNU_reinterpret, 4), 1]],
  GNU_parameter_ref: [[code(DW_OP.GNU_parameter_ref).u32(0x51), 0x51n]],
  GNU_addr_index: [[code(DW_OP.GNU_addr_index).uleb(3), 0x1030n]],
  GNU_const_index: [[code(DW_OP.GNU_const_index).uleb(3), 0x30n]],
  GNU_variable_value: [[code(DW_OP.GNU_variable_value).u32(0x61), 0x61n]],
};

for (const [name, rows] of Object.entries(ROWS)) {
  test(`DW_OP_${name}`, async () => {
    for (const [bytes, expected] of rows) {
      await check(bytes.done(), expected);
      // As text it ends where its operands do.
      const text = describeExpression(bytes.u8(DW_OP.lit0 + 27).done(), TEXT);
      assert.match(text, /(?:^|, )DW_OP_lit27$/, text);
    }
  });
}

async function check(expression: Uint8Array, expected: Expected): Promise<void> {
  if (expected instanceof RegExp) {
    await assert.rejects(evaluateValue(expression, context), expected);
  } else if (typeof expected === 'object') {
    const pieces = await evaluateLocation(expression, context);
    const { location } = expected;
    if (Array.isArray(location))
      assert.deepEqual(
        pieces.map((piece) => [piece.location.kind, piece.sizeBits, piece.offsetBits]),
        location,
      );
    else assert.deepEqual(pieces, [{ location, sizeBits: undefined, offsetBits: 0 }]);
  } else {
    const value = await evaluateValue(expression, context);
    assert.equal(typeof expected === 'number' ? asFloat(value) : asInteger(value), expected);
  }
}

test('what cannot be answered says what is missing, and what the program lost is unavailable (§2.5.1)', async () => {
  const reason = (bytes: Bytes): Promise<TypedValue> => evaluateValue(bytes.done(), machine);
  await assert.rejects(reason(code(DW_OP.fbreg, 0)), /no frame base/);
  await assert.rejects(reason(code(DW_OP.call_frame_cfa)), /no call frame information/);
  await assert.rejects(reason(code(lit(0), DW_OP.form_tls_address)), /thread-local storage is not known/);
  await assert.rejects(reason(code(DW_OP.push_object_address)), /no object/);
  await assert.rejects(reason(code(DW_OP.addrx, 0)), /no \.debug_addr to index/);
  await assert.rejects(reason(code(lit(0), DW_OP.convert, 1)), /names no base type/);
  for (const lost of [
    code(DW_OP.entry_value, 1, DW_OP.reg0),
    code(DW_OP.GNU_parameter_ref).u32(1),
    code(DW_OP.GNU_variable_value).u32(1),
    code(DW_OP.bregx).uleb(50).sleb(0),
  ])
    await assert.rejects(reason(lost), UnavailableError);
});

test('references are as wide as the format says, and an address wide in version 2 (GNU)', async () => {
  const wide = { ...context, is64: true };
  const old = { ...context, version: 2 };
  const pointer = code(DW_OP.GNU_implicit_pointer).u64(0x55).sleb(1).done();
  for (const one of [wide, old])
    assert.deepEqual((await evaluateLocation(pointer, one))[0]?.location, {
      kind: 'implicitPointer',
      dieOffset: 0x55,
      byteOffset: 1,
    });
  assert.equal((await evaluateValue(code(DW_OP.call_ref).u64(7).done(), wide)).bits, 9n);
});

test('a generic value is as wide as an address, and a typed one as its type (§2.5.1)', async () => {
  const narrow = { ...context, addressSize: 4 };
  const value = await evaluateValue(code(...negative(-1)).done(), narrow);
  assert.deepEqual([value.bits, value.type.sizeBytes], [0xffff_ffffn, 4]);
  const wrapped = code(DW_OP.const_type, UCHAR, 1, 0xff, DW_OP.const_type, UCHAR, 1, 2, DW_OP.plus);
  assert.equal((await evaluateValue(wrapped.done(), context)).bits, 1n);
  const single = code(...double(0.1), DW_OP.convert, FLOAT);
  assert.equal(asFloat(await evaluateValue(single.done(), context)), Math.fround(0.1));
  const carried = code(DW_OP.const_type, LONG_DOUBLE, 16).bytes(new Uint8Array(16).fill(7));
  assert.equal((await evaluateValue(carried.done(), context)).type.sizeBytes, 16, 'carried');
  await assert.rejects(evaluateValue(carried.u8(DW_OP.neg).done(), context), /16 bytes are not computed/);
});
