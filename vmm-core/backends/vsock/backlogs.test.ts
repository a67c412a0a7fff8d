import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../../../test/support/bytes.ts';
import type { MessageIo } from '../../bus/messageIo.ts';
import type { IoBuffer } from '../../memory/ioBuffer.ts';
import { Backlogs, CHUNK_BYTES } from './backlogs.ts';

/** What a row would send. */
function contents(backlogs: Backlogs, row: number): Buffer {
  const parts: Uint8Array[] = [];
  const message = {
    addBuffer: (buffer: IoBuffer, offset: number, lengthBytes: number) =>
      parts.push(buffer.bytes.slice(offset, offset + lengthBytes)) > 0,
  } as unknown as MessageIo; // nothing else of it is used
  backlogs.addTo(row, message);
  return Buffer.concat(parts);
}

function pattern(lengthBytes: number, from = 0): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => ((from + i) * 13 + ((from + i) >> 8)) & 0xff);
}

describe('backlogs', () => {
  it('give back what was appended, in order, whatever is cut off', () => {
    const backlogs = new Backlogs(2, 64);
    const random = seededRandom(1);
    const ends = [0, 0];
    const starts = [0, 0];
    for (let step = 0; step < 2000; step++) {
      const row = step % 2;
      const [start, end] = [starts[row] ?? 0, ends[row] ?? 0];
      const most = 10 * CHUNK_BYTES - (end - start);
      const length = Math.floor(random() * Math.min(most, 3 * CHUNK_BYTES));
      assert.equal(backlogs.append(row, pattern(length, end)), true);
      ends[row] = end + length;
      const gone = Math.floor(random() * (end + length - start + 1));
      backlogs.consume(row, gone);
      starts[row] = start + gone;
      assert.equal(backlogs.lengthBytes(row), end + length - start - gone);
      if (step % 20 < 2)
        assert.deepEqual(
          contents(backlogs, row),
          Buffer.from(pattern(end + length - start - gone, start + gone)),
        );
    }
  });

  it('have no more chunks than they were allowed, and all of them again when rows are empty', () => {
    const backlogs = new Backlogs(2, 4);
    for (let round = 0; round < 3; round++) {
      assert.equal(backlogs.append(0, pattern(3 * CHUNK_BYTES)), true);
      assert.equal(backlogs.append(1, pattern(CHUNK_BYTES + 1)), false);
      for (const row of [0, 1]) backlogs.consume(row, backlogs.lengthBytes(row));
    }
  });
});
