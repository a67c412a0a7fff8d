import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mutate, seededRandom } from '../../test/support/bytes.ts';
import { FramingError, MessageCutter } from './messageCutter.ts';

const MAX_BYTES = 64 * 1024 * 1024;

const cutter = (): MessageCutter => new MessageCutter('DAP', MAX_BYTES);

function bodies(cutting: MessageCutter, text: string): string[] {
  return [...cutting.push(Buffer.from(text))].map((it) => it.toString());
}

test('messages are found however they are split', () => {
  const stream = 'Content-Length: 2\r\n\r\n{}Content-Length: 7\r\nX: y\r\n\r\n{"a":1}';
  assert.deepEqual(bodies(cutter(), stream), ['{}', '{"a":1}']);
  const cutting = cutter();
  assert.deepEqual(
    [...stream].flatMap((it) => bodies(cutting, it)),
    ['{}', '{"a":1}'],
  );
});

test('a length counts bytes, not characters', () => {
  assert.deepEqual(bodies(cutter(), 'Content-Length: 4\r\n\r\n"ü"Con'), ['"ü"']);
});

test('the name of the header field may be written in any case (RFC 9110 §5.1)', () => {
  assert.deepEqual(bodies(cutter(), 'content-length:2\r\n\r\n{}'), ['{}']);
  assert.deepEqual(bodies(cutter(), 'x-a: b\r\nCONTENT-LENGTH: 2 \r\n\r\n{}'), ['{}']);
});

test('a message larger than the bound is refused before its body is kept', () => {
  const header = (bytes: number | string): string => `Content-Length: ${bytes}\r\n\r\n`;
  assert.deepEqual(bodies(cutter(), header(MAX_BYTES)), []);
  for (const bytes of [MAX_BYTES + 1, 700_000_000, '9'.repeat(30)])
    assert.throws(() => bodies(cutter(), header(bytes)), /at most 67108864 are accepted/);
});

test('what is not a header is refused at once, a header that does not end soon after', () => {
  assert.throws(() => bodies(cutter(), 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), FramingError);
  assert.throws(() => bodies(cutter(), 'Content-Length: -1\r\n\r\n'), /without Content-Length/);
  const cutting = cutter();
  assert.throws(() => {
    for (let i = 0; i < 100; i++) bodies(cutting, 'x'.repeat(100));
  }, /header of more than 4096 bytes/);
});

test('the longest header that is read may come in any pieces', () => {
  const header = 'Content-Length: 2\r\nX: '.padEnd(4092, 'x');
  assert.deepEqual(bodies(cutter(), `${header}\r\n\r\n{}`), ['{}']);
  const cutting = cutter();
  assert.deepEqual(
    [...`${header}\r\n\r\n{}`].flatMap((it) => bodies(cutting, it)),
    ['{}'],
  );
  assert.throws(() => bodies(cutter(), `${header}x\r\n\r\n{}`), /header of more than 4096 bytes/);
});

test('the bound may change between messages, and each protocol is named in its own errors', () => {
  const cutting = new MessageCutter('the control protocol', 2);
  assert.deepEqual(bodies(cutting, 'Content-Length: 2\r\n\r\n{}'), ['{}']);
  cutting.maxBytes = 3;
  assert.deepEqual(bodies(cutting, 'Content-Length: 3\r\n\r\n{ }'), ['{ }']);
  const header = 'Content-Length: 4\r\n\r\n';
  assert.throws(() => bodies(cutting, header), { message: 'a message of 4 bytes: at most 3 are accepted' });
  const message = 'a message without Content-Length: this is not the control protocol';
  assert.throws(() => bodies(new MessageCutter('the control protocol', 2), 'X: y\r\n\r\n'), { message });
});

test('messages before a malformed one are still found', () => {
  const found: string[] = [];
  assert.throws(() => {
    for (const it of cutter().push(Buffer.from('Content-Length: 2\r\n\r\n{}rubbish\r\n\r\n')))
      found.push(it.toString());
  }, FramingError);
  assert.deepEqual(found, ['{}']);
});

test('bodies and errors do not depend on where a stream is split, damaged or not (seeded)', () => {
  const random = seededRandom(0xc077e6);
  const upTo = (limit: number): number => Math.floor(random() * limit);
  for (let round = 0; round < 500; round++) {
    const sent = Array.from({ length: 1 + upTo(5) }, () =>
      randomBytes(random, upTo(random() < 0.2 ? 9000 : 60)),
    );
    const stream = Buffer.concat(sent.map(framed));
    assert.deepEqual(cut(pieces(stream, upTo)), {
      found: sent.map((it) => it.toString('hex')),
      error: undefined,
    });
    const damaged = Buffer.from(mutate(new Uint8Array(stream), random));
    assert.deepEqual(cut(pieces(damaged, upTo)), cut([damaged]), damaged.toString('latin1').slice(0, 1000));
  }
});

function framed(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]);
}

function randomBytes(random: () => number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

/** Some small, some large. */
function pieces(stream: Buffer, upTo: (limit: number) => number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < stream.length;) {
    const length = 1 + upTo(upTo(2) === 0 ? 8 : 5000);
    parts.push(stream.subarray(at, at + length));
    at += length;
  }
  return parts;
}

/** The bodies, and the message of the FramingError it ends with. Throws any other error. */
function cut(chunks: readonly Buffer[]): { readonly found: string[]; readonly error: string | undefined } {
  const found: string[] = [];
  const cutting = cutter();
  try {
    for (const chunk of chunks) for (const body of cutting.push(chunk)) found.push(body.toString('hex'));
  } catch (error) {
    if (!(error instanceof FramingError)) throw error;
    return { found, error: error.message };
  }
  return { found, error: undefined };
}
