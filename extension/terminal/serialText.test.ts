import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SerialText } from './serialText.ts';

function decodeAll(...chunks: readonly (readonly number[])[]): string {
  const text = new SerialText();
  return chunks.map((it) => text.decode(Uint8Array.from(it))).join('') + text.end();
}

test('carriage returns, line feeds and escape sequences pass unchanged', () => {
  const bytes = [...Buffer.from('a\r\nb\nc\r\x1b[31md\x07\0')];
  assert.equal(decodeAll(bytes), 'a\r\nb\nc\r\x1b[31md\x07\0');
});

test('a character split over chunks is one character', () => {
  const bytes = [...Buffer.from('é€😀')];
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.equal(decodeAll(bytes.slice(0, cut), bytes.slice(cut)), 'é€😀', `cut at ${cut}`);
  }
});

test('a byte that is not UTF-8 shows as \\xNN', () => {
  assert.equal(decodeAll([0x41, 0xff, 0x42]), 'A\\xffB');
  assert.equal(decodeAll([0x80]), '\\x80');
});

test('overlong forms, surrogates and values above U+10FFFF are shown as bytes', () => {
  assert.equal(decodeAll([0xc0, 0x80]), '\\xc0\\x80');
  assert.equal(decodeAll([0xe0, 0x80, 0x80]), '\\xe0\\x80\\x80');
  assert.equal(decodeAll([0xed, 0xa0, 0x80]), '\\xed\\xa0\\x80');
  assert.equal(decodeAll([0xf4, 0x90, 0x80, 0x80]), '\\xf4\\x90\\x80\\x80');
});

test('a character cut short is shown as bytes, and what follows is kept', () => {
  assert.equal(decodeAll([0xe2, 0x82, 0x41]), '\\xe2\\x82A');
  assert.equal(decodeAll([0xe2, 0x82], [0xc3, 0xa9]), '\\xe2\\x82é');
  assert.equal(decodeAll([0xe2, 0x82]), '\\xe2\\x82');
});

test('agrees with Node on random bytes, wherever Node finds nothing wrong', () => {
  let seed = 12345;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let round = 0; round < 2000; round++) {
    const bytes = Array.from({ length: random(8) }, () =>
      random(4) === 0 ? random(128) : 0x80 + random(128),
    );
    const expected = Buffer.from(bytes).toString('utf8');
    const actual = decodeAll(bytes);
    assert.equal(actual.includes('\\x'), expected.includes('\ufffd'), bytes.join(' '));
    if (!expected.includes('\ufffd')) assert.equal(actual, expected);
  }
});
