import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KernelMessage } from '../../../kvm/net/messageIo.ts';
import { allocateGuestMemory } from '../../../memory/guestMemory.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import { RamCopy } from '../ramCopy.ts';
import { Pieces } from './pieces.ts';

const MEMORY_BYTES = 0x10_0000;
const FRAME_BYTES = 5000;

/** A frame's row of pieces, of odd lengths at odd places, and how often something was copied at once. */
class Row {
  readonly #memory = allocateGuestMemory([{ base: 0, sizeBytes: MEMORY_BYTES }]);
  readonly #message = new KernelMessage(this.#memory.slots);
  copies = 0;
  readonly pieces = new Pieces(
    new RamCopy(this.#memory),
    Float64Array.of(0x1003, 0x8000, 0x4007),
    Uint32Array.of(1501, 3000, 2000),
    () => {
      this.copies++;
      return this.#message;
    },
  );

  constructor() {
    this.pieces.begin(0, 3);
  }
}

function pattern(bytes: Uint8Array): Uint8Array {
  bytes.forEach((_, i) => (bytes[i] = (i * 7 + (i >> 8)) & 0xff));
  return bytes;
}

describe('pieces of a frame', () => {
  it('are copied at once, from and to memory that is shared', () => {
    const row = new Row();
    const from = pattern(new IoBuffer(FRAME_BYTES).bytes);
    row.pieces.fromBytes(13, from, FRAME_BYTES);
    const into = new IoBuffer(FRAME_BYTES + 5).bytes.subarray(5);
    row.pieces.toBytes(13, into);
    assert.deepEqual(into, from);
    assert.equal(row.copies, 2);
  });

  it('are the same to memory that is not, and to few bytes, which need no call', () => {
    const row = new Row();
    const from = pattern(new Uint8Array(FRAME_BYTES));
    row.pieces.fromBytes(13, from, FRAME_BYTES);
    const into = new Uint8Array(FRAME_BYTES);
    row.pieces.toBytes(13, into);
    assert.deepEqual(into, from);
    const few = new IoBuffer(100).bytes;
    const before = row.copies;
    row.pieces.toBytes(1490, few);
    assert.deepEqual([...few], [...from.subarray(1477, 1577)]);
    assert.equal(row.copies, before);
  });
});
