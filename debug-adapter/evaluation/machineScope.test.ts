import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBytes } from '../dwarf/byteOrder.ts';
import { UserError } from '../errors.ts';
import type { NamedRegister } from '../symbols/frames/machineRegisters.ts';
import type { Language } from '../symbols/values/literals.ts';
import { evaluateWord, type Machine } from './machineScope.ts';

const REGISTERS: Readonly<Record<string, bigint>> = { rax: 0x10n, rsp: 0x8000n, al: 0x10n, sp: 0x8000n };
const SYMBOLS: Readonly<Record<string, bigint>> = { kmain: 0x100000n, 'a.b': 0x200000n, sp: 0x300000n };

/** Memory holds its own address in every 8 bytes. */
const env: Machine = {
  language: 'c',
  wordBytes: 8,
  register: (name) => wholeRegister(name, REGISTERS[name]),
  symbol: (name) => SYMBOLS[name],
  read: async (address, lengthBytes) => toBytes(address, lengthBytes, true),
};

function wholeRegister(full: string, value: bigint | undefined): NamedRegister | undefined {
  return value === undefined ? undefined : { full, value, fullValue: value, sizeBytes: 8, offsetBytes: 0 };
}

async function value(text: string, language: Language = 'c'): Promise<bigint> {
  return (await evaluateWord(text, { ...env, language })).value;
}

test('numbers are decimal, hexadecimal or binary, with underscores', async () => {
  assert.equal(await value('42'), 42n);
  assert.equal(await value('0xffff_0000'), 0xffff_0000n);
  assert.equal(await value('0b1010'), 10n);
});

test('a leading zero means what the current language says', async () => {
  assert.equal(await value('017'), 15n);
  assert.equal(await value('017', 'rust'), 17n);
  assert.equal(await value('0o17', 'rust'), 15n);
  await assert.rejects(value('1 + 08'), /cannot evaluate "1 \+ 08": invalid octal number 08/);
  await assert.rejects(value('1e3'), /1e3 is not an integer/);
  await assert.rejects(value('12ab'), /invalid number: 12ab/);
});

test('numbers alone keep their sign, and more than 64 bits are refused', async () => {
  const signed = async (text: string): Promise<bigint | undefined> => (await evaluateWord(text, env)).signed;
  assert.equal(await signed('-1'), -1n);
  assert.equal(await signed('-2147483648'), -2147483648n);
  assert.equal(await signed('5 - 8'), -3n);
  assert.equal(await signed('8 - 5'), undefined);
  assert.equal(await signed('rax - 0x20'), undefined, 'an address');
  assert.equal(await signed('-kmain'), undefined);
  assert.equal(await value('5 - 8'), 0xffff_ffff_ffff_fffdn);
  assert.equal(await value('0xffffffffffffffff'), 0xffff_ffff_ffff_ffffn);
  await assert.rejects(value('18446744073709551616'), /18446744073709551616 does not fit in 64 bits/);
});

test("the program's names win over those of registers, which can always be written with a dollar", async () => {
  assert.equal(await value('sp'), 0x300000n);
  assert.equal(await value('$sp'), 0x8000n);
  assert.equal(await value('SP'), 0x8000n, 'no symbol is spelled like that');
});

test('expressions are bounded in length and depth', async () => {
  assert.equal(await value(`1${'+1'.repeat(20_000)}`), 20_001n);
  await assert.rejects(value('('.repeat(1000)), /expression too deeply nested: 256 levels/);
  await assert.rejects(value('-'.repeat(1000)), /expression too deeply nested: 256 levels/);
  await assert.rejects(
    value(`1${'+1'.repeat(50_000)}`),
    /expression too long: 100001 characters, at most 100000/,
  );
});

test('registers are known with and without the dollar, symbols without', async () => {
  assert.equal(await value('$rax'), 0x10n);
  assert.equal(await value('RAX + $al'), 0x20n);
  assert.equal(await value('kmain'), 0x100000n);
  assert.equal(await value('a.b'), 0x200000n);
  await assert.rejects(value('$kmain'), /no register \$kmain/);
});

test('sums are taken from left to right and wrap at 64 bits', async () => {
  assert.equal(await value('10 - 3 - 2'), 5n);
  assert.equal(await value('10 - (3 - 2)'), 9n);
  assert.equal(await value('-1'), 0xffff_ffff_ffff_ffffn);
  assert.equal(await value('0 - 1'), 0xffff_ffff_ffff_ffffn);
});

test('a star reads a word, a cast pointer what it points to; & takes the address back', async () => {
  assert.equal(await value('*0x1122334455667788'), 0x1122334455667788n);
  assert.equal(await value('*(u16*)0x1122334455667788'), 0x7788n);
  assert.equal(await value('*(u8*)(kmain + 0xff)'), 0xffn);
  assert.equal(await value('&*(kmain + 8)'), 0x100008n);
  assert.deepEqual(await evaluateWord('*(u32*)kmain', env), {
    kind: 'memory',
    value: 0x100000n,
    address: 0x100000n,
    lengthBytes: 4,
  });
});

test('what is not an expression is refused with what is wrong in it', async () => {
  await assert.rejects(value(''), /a value is missing/);
  await assert.rejects(value('1 +'), /a value is missing/);
  await assert.rejects(value('(1'), /\) is missing/);
  await assert.rejects(value('1 2'), /unexpected 2/);
  await assert.rejects(value('*(u128*)1'), /no type named u128/);
  await assert.rejects(value('1 ; 2'), /unexpected ;/);
});

test('any text ends in a value or a UserError (seeded)', async () => {
  const alphabet = [
    '0x',
    '1',
    '9',
    'rax',
    '$',
    'kmain',
    '(',
    ')',
    '*',
    '&',
    '+',
    '-',
    ' ',
    '(u8*)',
    '#',
    'ü',
    '_',
    '.',
  ];
  let seed = 20_261_123;
  const next = (): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff);
  for (let i = 0; i < 2000; i++) {
    const text = Array.from({ length: next() % 12 }, () => alphabet[next() % alphabet.length]).join('');
    try {
      assert.equal(typeof (await value(text)), 'bigint');
    } catch (error) {
      assert.ok(error instanceof UserError, `${text}: ${String(error)}`);
    }
  }
});
