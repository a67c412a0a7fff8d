import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DW_ATE } from '../../dwarf/constants.ts';
import type { BaseType } from '../types/type.ts';
import { decimalFloatText, encodeFloat, floatNumber, floatText } from './floatText.ts';

function type(name: string, sizeBytes: number, encoding: number = DW_ATE.float): BaseType {
  return { kind: 'base', name, encoding, sizeBytes };
}

const FLOAT = type('float', 4);
const DOUBLE = type('double', 8);
const LONG_DOUBLE = type('long double', 16);
const QUAD = type('_Float128', 16);

test('doubles are written as JavaScript writes them, whatever their size', () => {
  const view = new DataView(new ArrayBuffer(8));
  const values = [
    0.1,
    1 / 3,
    1e21,
    1e-7,
    123456.789,
    5e-324,
    1.7976931348623157e308,
    2 ** 53,
    -0.5,
    1e20,
    1.5e-5,
    100,
  ];
  for (const value of values) {
    view.setFloat64(0, value);
    assert.equal(floatText(DOUBLE, view.getBigUint64(0)), String(value));
  }
  assert.equal(floatText(DOUBLE, 0x8000_0000_0000_0000n), '-0');
});

test('floats have enough digits to distinguish them from other floats', () => {
  assert.equal(floatText(FLOAT, 0x3dcc_cccdn), '0.1');
  assert.equal(floatText(FLOAT, 0x7f7f_ffffn), '3.4028235e+38');
  assert.equal(floatText(FLOAT, 1n), '1e-45');
  assert.equal(floatText(type('_Float16', 2), 0x3e00n), '1.5');
  assert.equal(floatText(type('__bf16', 2), 0x3fc0n), '1.5');
});

test('wide formats keep what a double would lose', () => {
  // 1 + 2^-63 in the x87 format, 1 + 2^-112 in IEEE binary128.
  assert.equal(floatText(LONG_DOUBLE, (0x3fffn << 64n) | 0x8000_0000_0000_0001n), '1.0000000000000000001');
  assert.equal(floatText(QUAD, (0x3fffn << 112n) | 1n), '1.0000000000000000000000000000000002');
  assert.equal(floatText(type('long double', 12), (0x4000n << 64n) | 0xc000_0000_0000_0000n), '3');
});

test('what is not a number says so', () => {
  assert.equal(floatText(FLOAT, 0x7f80_0000n), 'inf');
  assert.equal(floatText(DOUBLE, 0xfff0_0000_0000_0000n), '-inf');
  assert.equal(floatText(DOUBLE, 0x7ff8_0000_0000_0000n), 'nan(0x8000000000000)');
  assert.equal(floatText(type('strange', 3), 5n), '0x5');
});

test('complex numbers are their parts, decimal ones their digits', () => {
  const complex = type('complex double', 16, DW_ATE.complex_float);
  assert.equal(floatText(complex, (0xc000_0000_0000_0000n << 64n) | 0x3ff0_0000_0000_0000n), '1 + -2i');
  assert.equal(decimalFloatText(0x31a0_0000_0000_000fn, 8), '1.5');
  assert.equal(decimalFloatText(0xb1a0_0000_0000_000fn, 8), '-1.5');
  assert.equal(decimalFloatText(0x7800_0000_0000_0000n, 8), 'inf');
});

test('numbers go into every format and come back', () => {
  for (const target of [FLOAT, DOUBLE, LONG_DOUBLE, QUAD, type('_Float16', 2)]) {
    for (const value of [0, 1, -1.5, 1024, 0.25, -65504]) {
      const bits = encodeFloat(target, value);
      assert.ok(bits !== undefined);
      assert.equal(floatNumber(target, bits), value);
    }
  }
  assert.equal(floatText(LONG_DOUBLE, encodeFloat(LONG_DOUBLE, Infinity) ?? 0n), 'inf');
  assert.equal(floatText(type('_Float16', 2), encodeFloat(type('_Float16', 2), 1e9) ?? 0n), 'inf');
});
