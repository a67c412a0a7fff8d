import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes, seededRandom } from '../../test/support/bytes.ts';
import { toSigned, toUnsigned } from './address.ts';
import { EndOfDataError } from './dwarfError.ts';
import { Reader } from './reader.ts';

const read = (bytes: Bytes): Reader => new Reader(bytes.done(), bytes.littleEndian, '.debug_test', 0x100);

test("unsigned LEB128 has the values of the standard's examples (§7.6, Figure C.1)", () => {
  for (const [value, bytes] of [
    [2, [2]],
    [127, [127]],
    [128, [0x80, 1]],
    [129, [0x81, 1]],
    [12857, [0xb9, 0x64]],
  ] as const) {
    assert.equal(read(new Bytes().bytes(bytes)).uleb(), value);
    assert.deepEqual([...new Bytes().uleb(value).done()], [...bytes]);
  }
});

test("signed LEB128 has the values of the standard's examples (§7.6, Figure C.2)", () => {
  for (const [value, bytes] of [
    [2, [2]],
    [-2, [0x7e]],
    [127, [0xff, 0]],
    [-127, [0x81, 0x7f]],
    [128, [0x80, 1]],
    [-128, [0x80, 0x7f]],
    [-129, [0xff, 0x7e]],
  ] as const) {
    assert.equal(read(new Bytes().bytes(bytes)).sleb(), value);
    assert.deepEqual([...new Bytes().sleb(value).done()], [...bytes]);
  }
});

test('64-bit LEB128 values keep all their bits as bigints', () => {
  for (const value of [0n, 1n, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn]) {
    assert.equal(read(new Bytes().uleb(value)).ulebBig(), value);
    assert.equal(read(new Bytes().sleb(BigInt.asIntN(64, value))).slebBig(), BigInt.asIntN(64, value));
  }
});

test('a LEB128 padded with redundant bytes keeps its value, however long the padding (§7.6)', () => {
  const padding = new Array<number>(200).fill(0x80);
  assert.equal(read(new Bytes().u8(0x85, ...padding, 0)).uleb(), 5);
  assert.equal(read(new Bytes().u8(0xff, ...padding.map(() => 0xff), 0x7f)).sleb(), -1);
  assert.equal(read(new Bytes().u8(0xff, ...padding.map(() => 0xff), 0x7f)).slebBig(), -1n);
});

test('the initial length announces the 64-bit format by 0xffffffff and reserves the values below it (§7.4)', () => {
  assert.deepEqual(read(new Bytes().u32(0x1234)).initialLength(), { length: 0x1234, is64: false });
  assert.deepEqual(read(new Bytes().u32(0xffffffff).u64(0x55)).initialLength(), { length: 0x55, is64: true });
  assert.throws(
    () => read(new Bytes().u32(0xfffffff0)).initialLength(),
    /reserved unit length: 0xfffffff0 at \.debug_test\+0x104/,
  );
});

test('addresses of the kernel and of user space survive as signed numbers', () => {
  for (const address of [0n, 0x401000n, 0x7fff_ffff_f000n, 0xffff_8880_0000_0000n, 0xffff_ffff_8100_0000n]) {
    const number = read(new Bytes().u64(address)).address(8);
    assert.equal(toUnsigned(number), address);
    assert.equal(toSigned(address), number);
  }
  assert.equal(read(new Bytes().u32(0xc0100000)).address(4), 0xc0100000);
  assert.equal(toSigned(0xc0100000n, 4), 0xc0100000);
});

test('both byte orders give the same values', () => {
  for (const littleEndian of [true, false]) {
    const reader = read(
      new Bytes(littleEndian).u16(0xfffe).u32(0xfffffffd).u64(0xffff_ffff_ffff_fffcn, 0x1_0000_0002n),
    );
    assert.equal(reader.s16(), -2);
    assert.equal(reader.s32(), -3);
    assert.equal(reader.s64Number(), -4);
    assert.equal(reader.u64Number(), 0x1_0000_0002);
    assert.equal(reader.atEnd, true);
  }
  assert.equal(read(new Bytes().u8(1, 2, 3)).u24(), 0x030201);
  assert.equal(read(new Bytes(false).u8(1, 2, 3)).u24(), 0x010203);
});

test('reading past the end says where, in the section', () => {
  const reader = read(new Bytes().u8(1, 2));
  reader.u8();
  assert.throws(
    () => reader.u32(),
    (error) => error instanceof EndOfDataError && error.offset === 0x101,
  );
  assert.throws(() => reader.cstring(), EndOfDataError);
  assert.throws(() => reader.block(-1), EndOfDataError);
  assert.throws(() => reader.block(NaN), EndOfDataError);
  assert.equal(reader.u8(), 2);
});

test('LEB128 round trips for random values', () => {
  const random = seededRandom(7);
  for (let round = 0; round < 2000; round++) {
    const value = Math.floor((random() - 0.5) * 2 ** Math.floor(random() * 53));
    assert.equal(read(new Bytes().sleb(value)).sleb(), value);
    assert.equal(read(new Bytes().uleb(Math.abs(value))).uleb(), Math.abs(value));
  }
});
