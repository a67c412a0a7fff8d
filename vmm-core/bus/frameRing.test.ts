import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Chances } from '../../test/support/chances.ts';
import { seededRandom } from '../../test/support/bytes.ts';
import { FrameReader, frameRingBytes, FrameWriter } from './frameRing.ts';

const CAPACITY = 1024;
const MAX = 300;

function newRing() {
  const memory = new Uint8Array(new SharedArrayBuffer(frameRingBytes(CAPACITY)));
  const words = new Int32Array(memory.buffer);
  return { memory, words, writer: new FrameWriter(memory), reader: new FrameReader(memory, MAX) };
}

function put(writer: FrameWriter, frame: Uint8Array): boolean {
  const room = writer.reserve(frame.length);
  room?.set(frame);
  return room !== undefined && writer.publish(frame.length);
}

const HEAD = 0;
const TAIL = 16;
const FIRST_LENGTH = 1024; // the word after the header's page

describe('a ring of frames', () => {
  it('gives frames of all lengths whole and in order, round and round', () => {
    const { writer, reader } = newRing();
    const waiting: Uint8Array[] = [];
    let seen = 0;
    for (let i = 0; i < 2000; i++) {
      const frame = new Uint8Array(1 + ((i * 37) % MAX)).fill(i);
      const room = writer.reserve(frame.length);
      if (room !== undefined) {
        room.set(frame);
        writer.publish(frame.length);
        waiting.push(frame);
      }
      if (i % 3 === 0 || room === undefined) {
        const wanted = waiting.shift();
        const got = reader.peek();
        assert.deepEqual(Buffer.from(got), Buffer.from(wanted ?? []));
        reader.release(got.length);
        seen++;
      }
    }
    assert.ok(seen > 600);
    assert.equal(reader.isBroken || writer.isBroken, false);
  });

  it('takes nothing when it is full, and goes on when there is room', () => {
    const { writer, reader } = newRing();
    let count = 0;
    while (put(writer, new Uint8Array(100)) || writer.reserve(100) !== undefined) count++;
    assert.ok(count >= 8);
    assert.equal(writer.reserve(100), undefined);
    reader.release(reader.peek().length);
    assert.notEqual(writer.reserve(100), undefined);
  });

  it('wakes a consumer that waits, once, and none that does not', () => {
    const { writer, reader } = newRing();
    assert.equal(put(writer, Uint8Array.of(1)), false);
    assert.equal(reader.wait(), true);
    reader.release(reader.peek().length);
    assert.equal(reader.wait(), false);
    assert.equal(put(writer, Uint8Array.of(2)), true);
    assert.equal(put(writer, Uint8Array.of(3)), false);
  });

  it('is broken for its reader when the producer lies about an index or a length', () => {
    for (const length of [0, MAX + 1, 0x7fff_ffff]) {
      const { memory, writer, reader } = newRing();
      put(writer, Uint8Array.of(1));
      new Uint32Array(memory.buffer)[FIRST_LENGTH] = length;
      assert.equal(reader.peek().length, 0);
      assert.equal(reader.isBroken, true);
    }
    const { words, reader } = newRing();
    words[HEAD] = CAPACITY + 8;
    assert.equal(reader.peek().length, 0);
    assert.equal(reader.isBroken, true);
  });

  it('is broken for its writer when the consumer lies about its index', () => {
    const { words, writer } = newRing();
    words[TAIL] = 8;
    assert.equal(writer.reserve(1), undefined);
    assert.equal(writer.isBroken, true);
  });

  it('never leaves its memory, nor loops, whatever the other side writes', () => {
    const chances = new Chances(seededRandom(7));
    for (let round = 0; round < 300; round++) {
      const { memory, writer, reader } = newRing();
      const view = new DataView(memory.buffer);
      for (let step = 0; step < 30; step++) {
        view.setUint32(4 * chances.below(memory.length / 4), chances.below(2 ** 31), true);
        put(writer, new Uint8Array(1 + chances.below(MAX)));
        const got = reader.peek();
        assert.ok(got.length <= MAX && got.byteOffset + got.length <= memory.length);
        if (got.length > 0) reader.release(got.length);
      }
    }
  });
});
