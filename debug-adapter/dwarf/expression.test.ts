import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes, seededRandom } from '../../test/support/bytes.ts';
import { DW_ATE } from './constants.ts';
import { DwarfError } from './dwarfError.ts';
import { type ExpressionContext, type Location, evaluateLocation, evaluateValue } from './expression.ts';
import { DW_OP, operatorName } from './operators.ts';
import { asFloat, signedBits } from './typedValue.ts';

const FLOAT = { encoding: DW_ATE.float, sizeBytes: 8, isGeneric: false };
const SIGNED = { encoding: DW_ATE.signed, sizeBytes: 4, isGeneric: false };

/**
 * Registers hold 0x100 + their number, memory at `a` the bytes a, a + 1, …; unit offset 1 is a double, 2 an
 * int.
 */
const context: ExpressionContext = {
  addressSize: 8,
  littleEndian: true,
  is64: false,
  version: 5,
  relocate: (address) => address + 0x1000n,
  register: (register) => (register < 32 ? BigInt(0x100 + register) : undefined),
  memory: async (address, lengthBytes) =>
    address < 0x10000n
      ? Uint8Array.from({ length: lengthBytes }, (_, at) => Number(address) + at)
      : undefined,
  frameBase: async () => 0x5000n,
  callFrameCfa: async () => 0x6000n,
  objectAddress: () => 0x7000n,
  indexedAddress: (index) => BigInt(index) * 0x10n,
  baseType: (offset) => (offset === 1 ? FLOAT : offset === 2 ? SIGNED : undefined),
  calledExpression: (offset) => (offset === 9 ? Uint8Array.of(DW_OP.lit0 + 4, DW_OP.plus) : undefined),
  entryValue: async () => ({ type: SIGNED, bits: 7n }),
};

async function value(build: (bytes: Bytes) => Bytes): Promise<bigint> {
  return (await evaluateValue(build(new Bytes()).done(), context)).bits;
}

async function location(build: (bytes: Bytes) => Bytes): Promise<Location> {
  const pieces = await evaluateLocation(build(new Bytes()).done(), context);
  assert.equal(pieces.length, 1);
  return (pieces[0] as { location: Location }).location;
}

test('literals and constants push their operand (§2.5.1.1)', async () => {
  assert.equal(await value((b) => b.u8(DW_OP.lit0 + 31)), 31n);
  assert.equal(await value((b) => b.u8(DW_OP.const1s, 0xff)), 0xffff_ffff_ffff_ffffn);
  assert.equal(await value((b) => b.u8(DW_OP.const2u).u16(0xfffe)), 0xfffen);
  assert.equal(await value((b) => b.u8(DW_OP.const4s).u32(0xfffffffe)), 0xffff_ffff_ffff_fffen);
  assert.equal(await value((b) => b.u8(DW_OP.const8u).u64(0x8000000000000001n)), 0x8000000000000001n);
  assert.equal(await value((b) => b.u8(DW_OP.consts).sleb(-3)), 0xffff_ffff_ffff_fffdn);
  assert.equal(await value((b) => b.u8(DW_OP.addr).u64(0x2000)), 0x3000n, 'addresses are relocated');
  assert.equal(await value((b) => b.u8(DW_OP.addrx).uleb(2)), 0x1020n);
  assert.equal(await value((b) => b.u8(DW_OP.constx).uleb(2)), 0x20n, 'constants are not');
});

test('register and frame values add their offset (§2.5.1.2)', async () => {
  assert.equal(await value((b) => b.u8(DW_OP.breg0 + 7).sleb(-8)), 0x107n - 8n);
  assert.equal(await value((b) => b.u8(DW_OP.bregx).uleb(31).sleb(1)), 0x120n);
  assert.equal(await value((b) => b.u8(DW_OP.fbreg).sleb(-0x10)), 0x4ff0n);
  assert.equal(await value((b) => b.u8(DW_OP.call_frame_cfa)), 0x6000n);
  assert.equal(await value((b) => b.u8(DW_OP.push_object_address)), 0x7000n);
});

test('stack operators move what they say (§2.5.1.3, examples of D.1.2)', async () => {
  const push = (b: Bytes): Bytes => b.u8(DW_OP.lit0 + 17, DW_OP.lit0 + 29, DW_OP.lit0 + 5);
  assert.equal(await value((b) => push(b).u8(DW_OP.drop)), 29n);
  assert.equal(await value((b) => push(b).u8(DW_OP.pick, 2)), 17n);
  assert.equal(await value((b) => push(b).u8(DW_OP.over)), 29n);
  assert.equal(await value((b) => push(b).u8(DW_OP.swap)), 29n);
  assert.equal(await value((b) => push(b).u8(DW_OP.rot)), 29n);
  assert.equal(await value((b) => push(b).u8(DW_OP.rot, DW_OP.drop, DW_OP.drop)), 5n);
});

test('arithmetic wraps at the size of an address; division is signed, remainder is not (§2.5.1.4)', async () => {
  const minus7 = (b: Bytes): Bytes => b.u8(DW_OP.const1s, 0xf9);
  assert.equal(await value((b) => minus7(b).u8(DW_OP.lit0 + 2, DW_OP.div)), BigInt.asUintN(64, -3n));
  assert.equal(await value((b) => minus7(b).u8(DW_OP.lit0 + 4, DW_OP.mod)), 0xffff_ffff_ffff_fff9n % 4n);
  assert.equal(await value((b) => minus7(b).u8(DW_OP.abs)), 7n);
  assert.equal(await value((b) => minus7(b).u8(DW_OP.neg)), 7n);
  assert.equal(await value((b) => minus7(b).u8(DW_OP.lit0 + 1, DW_OP.shra)), BigInt.asUintN(64, -4n));
  assert.equal(await value((b) => minus7(b).u8(DW_OP.const1u, 60, DW_OP.shr)), 15n);
  assert.equal(await value((b) => minus7(b).u8(DW_OP.const1u, 200, DW_OP.shl)), 0n);
  assert.equal(await value((b) => minus7(b).u8(DW_OP.plus_uconst).uleb(8)), 1n);
  assert.equal(await value((b) => minus7(b).u8(DW_OP.lit0, DW_OP.lt)), 1n, 'comparison is signed');
});

test('control flow jumps by a signed distance from after the operand (§2.5.1.5)', async () => {
  assert.equal(
    await value((b) =>
      b
        .u8(DW_OP.lit0 + 1, DW_OP.skip)
        .u16(1)
        .u8(DW_OP.lit0 + 2, DW_OP.nop),
    ),
    1n,
  );
  // Counts 5 down to 0, adding 2 each time to what is below.
  const loop = (b: Bytes): Bytes =>
    b
      .u8(DW_OP.lit0, DW_OP.lit0 + 5)
      .u8(DW_OP.swap, DW_OP.plus_uconst, 2, DW_OP.swap, DW_OP.lit0 + 1, DW_OP.minus, DW_OP.dup, DW_OP.bra)
      .u16(-10 & 0xffff)
      .u8(DW_OP.drop);
  assert.equal(await value(loop), 10n);
  assert.equal(await value((b) => b.u8(DW_OP.lit0 + 1, DW_OP.call2).u16(9)), 5n);
  assert.equal(
    await value((b) => b.u8(DW_OP.lit0 + 1, DW_OP.call4).u32(8)),
    1n,
    'an entry without location does nothing',
  );
});

test('memory is read in the sizes asked for', async () => {
  assert.equal(await value((b) => b.u8(DW_OP.const1u, 0x10, DW_OP.deref)), 0x17161514_13121110n);
  assert.equal(await value((b) => b.u8(DW_OP.const1u, 0x10, DW_OP.deref_size, 2)), 0x1110n);
  await assert.rejects(
    value((b) => b.u8(DW_OP.const4u).u32(0x10000).u8(DW_OP.deref)),
    /cannot read memory at 0x10000/,
  );
});

test('typed values keep their type through arithmetic and convert when told (§2.5.1.6)', async () => {
  const half = new Bytes();
  half.u8(DW_OP.const_type, 1, 8).u64(0x3fe0000000000000n); // 0.5
  const doubled = await evaluateValue(
    new Bytes().bytes(half.done()).u8(DW_OP.dup, DW_OP.plus).done(),
    context,
  );
  assert.equal(asFloat(doubled), 1);
  const narrowed = await evaluateValue(new Bytes().u8(DW_OP.const1s, 0xfe, DW_OP.convert, 2).done(), context);
  assert.equal(signedBits(narrowed), -2n);
  assert.equal(narrowed.type.sizeBytes, 4);
  assert.equal(await value((b) => b.u8(DW_OP.regval_type, 3, 2)), 0x103n);
  assert.equal(await value((b) => b.u8(DW_OP.entry_value, 1, DW_OP.reg0 + 5)), 7n);
});

test('location descriptions name registers, memory, values and nothing (§2.6.1.1)', async () => {
  assert.deepEqual(await location((b) => b.u8(DW_OP.reg0 + 3)), { kind: 'register', register: 3 });
  assert.deepEqual(await location((b) => b.u8(DW_OP.regx).uleb(200)), { kind: 'register', register: 200 });
  assert.deepEqual(await location((b) => b.u8(DW_OP.fbreg).sleb(0)), { kind: 'memory', address: 0x5000n });
  assert.equal((await location((b) => b.u8(DW_OP.lit0 + 9, DW_OP.stack_value))).kind, 'value');
  assert.deepEqual(await location((b) => b.u8(DW_OP.implicit_value, 2, 8, 9)), {
    kind: 'implicit',
    bytes: Uint8Array.of(8, 9),
  });
  assert.deepEqual(await location((b) => b.u8(DW_OP.implicit_pointer).u32(0x33).sleb(4)), {
    kind: 'implicitPointer',
    dieOffset: 0x33,
    byteOffset: 4,
  });
  assert.deepEqual(await location((b) => b), { kind: 'optimizedOut' });
});

test('pieces come in the order of the object, also those that are nowhere (§2.6.1.2)', async () => {
  const pieces = await evaluateLocation(
    new Bytes()
      .u8(
        DW_OP.reg0 + 1,
        DW_OP.piece,
        4,
        DW_OP.piece,
        2,
        DW_OP.lit0 + 5,
        DW_OP.stack_value,
        DW_OP.bit_piece,
        3,
        1,
      )
      .done(),
    context,
  );
  assert.deepEqual(
    pieces.map(({ location: { kind }, sizeBits, offsetBits }) => [kind, sizeBits, offsetBits]),
    [
      ['register', 32, 0],
      ['optimizedOut', 16, 0],
      ['value', 3, 1],
    ],
  );
});

test('mistakes are named with their place', async () => {
  await assert.rejects(
    value((b) => b.u8(DW_OP.lit0, DW_OP.plus)),
    /expression stack underflows at expression\+0x2/,
  );
  await assert.rejects(
    value((b) => b.u8(DW_OP.lit0, DW_OP.lit0, DW_OP.div)),
    /divides by zero/,
  );
  await assert.rejects(
    value((b) => b.u8(DW_OP.skip).u16(100)),
    /jumps out of itself/,
  );
  await assert.rejects(
    value((b) => b.u8(DW_OP.skip).u16(-3 & 0xffff)),
    /does not end/,
  );
  await assert.rejects(
    value((b) => b.u8(0xff)),
    /unsupported operator: DW_OP_<0xff>/,
  );
  await assert.rejects(
    value((b) => b.u8(DW_OP.breg0 + 31, 0x80)),
    /data ends in the middle of a value/,
  );
  assert.equal(operatorName(DW_OP.breg0 + 7), 'DW_OP_breg7');
});

test('random bytes end in a value or in a DwarfError', async () => {
  const random = seededRandom(4);
  let failed = 0;
  for (let round = 0; round < 5000; round++) {
    const bytes = Uint8Array.from({ length: Math.floor(random() * 30) }, () => Math.floor(random() * 256));
    try {
      await evaluateLocation(bytes, context);
    } catch (error) {
      assert.ok(error instanceof DwarfError, `round ${round}: ${String(error)}`);
      failed++;
    }
  }
  assert.ok(failed > 100 && failed < 5000, `${failed} failed`);
});
