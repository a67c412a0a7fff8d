/** Much data that costs little to make and to check, here and in the guest (netLoad.c). */
import assert from 'node:assert/strict';

export const CHUNK_BYTES = 1 << 20;

/** Each begins with its number, so that one in another's place is seen. */
export function* chunks(count: number, first = 0): Generator<Buffer, undefined> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let i = 0; i < CHUNK_BYTES; i += 4) chunk.writeUInt32LE(Math.imul(i, 0x9e3779b1) >>> 0, i);
  for (let number = first; number < first + count; number++) {
    chunk.writeUInt32LE(number, 0);
    yield Buffer.from(chunk);
  }
}

/** Throws when it is not so many chunks, and then the end. */
export async function checkChunks(stream: AsyncIterable<Buffer>, count: number, first = 0): Promise<void> {
  const expected = chunks(count, first);
  let chunk: Buffer = Buffer.alloc(0);
  let at = 0;
  let bytes = 0;
  for await (const data of stream) {
    for (let done = 0; done < data.length;) {
      if (at === chunk.length) [chunk, at] = [expected.next().value ?? Buffer.alloc(0), 0];
      const length = Math.min(data.length - done, chunk.length - at);
      assert.notEqual(length, 0, 'more than was sent');
      const isAsSent = data.compare(chunk, at, at + length, done, done + length) === 0;
      assert.ok(isAsSent, `other data than was sent, in the ${length} bytes from ${bytes} on`);
      at += length;
      done += length;
      bytes += length;
    }
  }
  assert.equal(bytes, count * CHUNK_BYTES);
}
