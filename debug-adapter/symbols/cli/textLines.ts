/** Lines of a stream of bytes, without their ends: standard input of `vmm sym`, which may be anything. */
import { StringDecoder } from 'node:string_decoder';
import { QueryError } from '../base/queryError.ts';

/** Longer than any line of a log. */
export const MAX_LINE_CHARACTERS = 1024 * 1024;

/** Throws QueryError where a line does not end: /dev/zero would fill the memory. */
export async function* textLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of input) {
    const lines = (rest + decoder.write(Buffer.from(chunk))).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield line.replace(/\r$/, '');
    if (rest.length > MAX_LINE_CHARACTERS)
      throw new QueryError(
        `standard input has a line of more than ${MAX_LINE_CHARACTERS} characters: give it text`,
      );
  }
  rest += decoder.end();
  if (rest !== '') yield rest;
}
