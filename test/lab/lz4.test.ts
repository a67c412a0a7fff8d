import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeLegacyLz4 } from './lz4.ts';

/** A legacy frame around blocks given as bytes. */
function frame(...blocks: readonly (readonly number[])[]): Buffer {
  const parts = blocks.map((block) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    return Buffer.concat([size, Buffer.from(block)]);
  });
  return Buffer.concat([Buffer.from([0x02, 0x21, 0x4c, 0x18]), ...parts]);
}

const ascii = (text: string): number[] => [...Buffer.from(text)];

describe('the decoder of legacy LZ4 frames', () => {
  it('copies literals', () => {
    assert.equal(decodeLegacyLz4(frame([0x30, ...ascii('abc')]), 3).toString(), 'abc');
  });

  it('repeats what a match overlaps', () => {
    // One literal, then a match of 4 + 3 bytes at distance 1, then the literals that end a block.
    const block = [0x13, ...ascii('a'), 1, 0, 0x10, ...ascii('z')];
    assert.equal(decodeLegacyLz4(frame(block), 9).toString(), 'aaaaaaaaz');
  });

  it('adds up lengths of 15 and more', () => {
    const text = 'x'.repeat(15 + 255 + 2);
    assert.equal(decodeLegacyLz4(frame([0xf0, 255, 2, ...ascii(text)]), text.length).toString(), text);
  });

  it('lets a match reach into the previous block', () => {
    const second = [0x00, 3, 0, 0x10, ...ascii('!')];
    assert.equal(decodeLegacyLz4(frame([0x30, ...ascii('abc')], second), 8).toString(), 'abcabca!');
  });

  it('refuses damaged data', () => {
    assert.throws(() => decodeLegacyLz4(Buffer.from('not a frame'), 1), /not a legacy LZ4 frame/);
    assert.throws(() => decodeLegacyLz4(frame([0x10, ...ascii('a')]), 2), /unpacks to 1 bytes, expected 2/);
    assert.throws(() => decodeLegacyLz4(frame([0x10, ...ascii('a'), 2, 0, 0x00]), 9), /match out of range/);
    assert.throws(() => decodeLegacyLz4(frame([0x50, ...ascii('a')]), 5), /literals out of range/);
  });
});
