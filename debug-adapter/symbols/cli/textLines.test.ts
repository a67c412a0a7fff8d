import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_LINE_CHARACTERS, textLines } from './textLines.ts';

async function linesOf(...chunks: readonly (string | Uint8Array)[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of textLines(streamOf(chunks))) lines.push(line);
  return lines;
}

async function* streamOf(chunks: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await Promise.resolve();
    yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  }
}

test('lines end with LF or CRLF, the last one with the input', async () => {
  assert.deepEqual(await linesOf('one\ntwo\r\n\nla', 'st'), ['one', 'two', '', 'last']);
  assert.deepEqual(await linesOf(), []);
  assert.deepEqual(await linesOf('one\n'), ['one']);
});

test('a character split over two chunks is one character', async () => {
  const bytes = Buffer.from('grün\n');
  assert.deepEqual(await linesOf(bytes.subarray(0, 3), bytes.subarray(3)), ['grün']);
});

test('an endless line is refused with a sentence, after the lines before it', async () => {
  const zeros = new Uint8Array(MAX_LINE_CHARACTERS + 1);
  const seen: string[] = [];
  await assert.rejects(
    async () => {
      for await (const line of textLines(streamOf(['before\n', zeros]))) seen.push(line);
    },
    { message: 'standard input has a line of more than 1048576 characters: give it text' },
  );
  assert.deepEqual(seen, ['before']);
});
