import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueryError } from '../base/queryError.ts';
import { type Language, leadingCharacter, leadingNumber, parseNumber, unescaped } from './literals.ts';

/** Kind and value of a number, or the mistake. */
function read(text: string, language: Language): string {
  try {
    const found = leadingNumber(text, language);
    return found === undefined ? 'none' : `${found.kind} ${found.value} ${found.text}`;
  } catch (error) {
    assert.ok(error instanceof QueryError);
    return error.message;
  }
}

test('C has octal, hexadecimal and binary numbers, separators and suffixes', () => {
  const integers: readonly (readonly [string, bigint])[] = [
    ['017', 15n],
    ['0', 0n],
    ['00', 0n],
    ['42', 42n],
    ['0x1F', 31n],
    ['0b101', 5n],
    ["1'000'000", 1_000_000n],
    ["0x1'f", 31n],
    ['5u', 5n],
    ['5UL', 5n],
    ['5ull', 5n],
    ['5LLU', 5n],
    ['5z', 5n],
    ['18446744073709551615', 18446744073709551615n],
  ];
  for (const [text, value] of integers) assert.equal(read(text, 'c'), `integer ${value} ${text}`);
  assert.equal(read('08', 'c'), 'invalid octal number 08: a leading 0 means base 8');
  assert.equal(read('0129u', 'c++'), 'invalid octal number 0129u: a leading 0 means base 8');
  assert.equal(read('0o17', 'c'), 'invalid number 0o17: C writes octal numbers with just a leading 0');
  assert.equal(read('1_000', 'c'), "invalid number 1_000: C separates digits with '");
  for (const text of ['5lul', '0x', '0b102', '12abc', '1..2', '5uu'])
    assert.equal(read(text, 'c'), `invalid number: ${text}`);
  assert.equal(read(`1${'0'.repeat(60)}`, 'c'), 'a number of more than 128 bits');
});

test('C has decimal and hexadecimal fractions', () => {
  const floats: readonly (readonly [string, number])[] = [
    ['1e3', 1000],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['1.', 1],
    ['1.e3', 1000],
    ['1E-3', 0.001],
    ['09.5', 9.5],
    ['1.5f', 1.5],
    ['1e3L', 1000],
    ['0x1p3', 8],
    ['0x1.8p1', 3],
    ['0x.8p0f', 0.5],
    ['1e400', Infinity],
    ["1'0.5", 10.5],
  ];
  for (const [text, value] of floats) assert.equal(read(text, 'c'), `float ${value} ${text}`);
  for (const text of ['1e', '0x1.8', '0xp3', '5f']) assert.match(read(text, 'c'), /^invalid number/);
});

test('a sign after the last digit is an operator', () => {
  assert.equal(read('0x1e+5', 'c'), 'integer 30 0x1e');
  assert.equal(read('1e3-1', 'c'), 'float 1000 1e3');
  assert.equal(read('1+2', 'rust'), 'integer 1 1');
});

test('Rust has decimal numbers with leading zeros, 0o, underscores and its own suffixes', () => {
  const numbers: readonly (readonly [string, string])[] = [
    ['017', 'integer 17'],
    ['08', 'integer 8'],
    ['0o17', 'integer 15'],
    ['1_000', 'integer 1000'],
    ['0b1_0', 'integer 2'],
    ['0x1f_u8', 'integer 31'],
    ['0xf32', 'integer 3890'],
    ['5usize', 'integer 5'],
    ['1_000i64', 'integer 1000'],
    ['1e3', 'float 1000'],
    ['1.5f32', 'float 1.5'],
    ['5f64', 'float 5'],
    ['1_0.2_5', 'float 10.25'],
  ];
  for (const [text, value] of numbers) assert.equal(read(text, 'rust'), `${value} ${text}`);
  assert.equal(read("1'000", 'rust'), "invalid number 1'000: Rust separates digits with _");
  for (const text of ['5ul', '0o8', '0x1p3', '1.5f'])
    assert.equal(read(text, 'rust'), `invalid number: ${text}`);
});

test('characters have escapes of up to three octal digits, and of Unicode', () => {
  const value = (text: string): bigint | undefined => leadingCharacter(text)?.value;
  assert.equal(value("'a'"), 97n);
  assert.equal(value("'\\n'"), 10n);
  assert.equal(value("'\\0'"), 0n);
  assert.equal(value("'\\101'"), 65n);
  assert.equal(value("'\\377'"), 255n);
  assert.equal(value("'\\x41'"), 65n);
  assert.equal(value("L'\\u00e9'"), 0xe9n);
  assert.equal(value("U'\\U0001F600'"), 0x1f600n);
  assert.equal(value("'\\u{e9}'"), 0xe9n);
  assert.equal(value("'\\''"), 39n);
  assert.equal(value("'ab'"), undefined);
  assert.throws(() => leadingCharacter("'\\q'"), /unknown escape in '\\q'/);
  assert.throws(() => leadingCharacter("'\\u{110000}'"), /unknown escape/);
  assert.equal(unescaped('\\x41\\t\\q\\u{110000}'), 'A\tqu{110000}');
});

test('a whole text is a number with its sign, or not a number', () => {
  assert.equal(parseNumber('-017', 'c')?.value, -15n);
  assert.equal(parseNumber('-017', 'rust')?.value, -17n);
  assert.equal(parseNumber('+1.5', 'c')?.value, 1.5);
  assert.equal(parseNumber('1 + 2', 'c'), undefined);
  assert.equal(parseNumber('08', 'c'), undefined);
});
