import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FramingError, MAX_MESSAGE_BYTES, MessageFraming } from './messageFraming.ts';

function bodies(framing: MessageFraming, text: string): string[] {
  return [...framing.push(Buffer.from(text))].map((it) => it.toString());
}

test('messages are found whatever pieces they arrive in', () => {
  const stream = 'Content-Length: 2\r\n\r\n{}Content-Length: 7\r\nX: y\r\n\r\n{"a":1}';
  assert.deepEqual(bodies(new MessageFraming(), stream), ['{}', '{"a":1}']);
  const framing = new MessageFraming();
  assert.deepEqual(
    [...stream].flatMap((it) => bodies(framing, it)),
    ['{}', '{"a":1}'],
  );
});

test('a length counts bytes, not characters', () => {
  assert.deepEqual(bodies(new MessageFraming(), 'Content-Length: 4\r\n\r\n"ü"Con'), ['"ü"']);
});

test('the name of the header field may be written in any case (RFC 9110 §5.1)', () => {
  assert.deepEqual(bodies(new MessageFraming(), 'content-length:2\r\n\r\n{}'), ['{}']);
  assert.deepEqual(bodies(new MessageFraming(), 'x-a: b\r\nCONTENT-LENGTH: 2 \r\n\r\n{}'), ['{}']);
});

test('a message larger than the bound is refused before its body is kept', () => {
  const header = (bytes: number | string): string => `Content-Length: ${bytes}\r\n\r\n`;
  assert.deepEqual(bodies(new MessageFraming(), header(MAX_MESSAGE_BYTES)), []);
  for (const bytes of [MAX_MESSAGE_BYTES + 1, 700_000_000, '9'.repeat(30)])
    assert.throws(() => bodies(new MessageFraming(), header(bytes)), /at most 67108864 are accepted/);
});

test('what is no header is refused at once, and a header without an end soon', () => {
  assert.throws(() => bodies(new MessageFraming(), 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), FramingError);
  assert.throws(() => bodies(new MessageFraming(), 'Content-Length: -1\r\n\r\n'), /without Content-Length/);
  const framing = new MessageFraming();
  assert.throws(() => {
    for (let i = 0; i < 100; i++) bodies(framing, 'x'.repeat(100));
  }, /header of more than 4096 bytes/);
});

test('messages before one that follows no rule are still found', () => {
  const found: string[] = [];
  assert.throws(() => {
    for (const it of new MessageFraming().push(Buffer.from('Content-Length: 2\r\n\r\n{}rubbish\r\n\r\n')))
      found.push(it.toString());
  }, FramingError);
  assert.deepEqual(found, ['{}']);
});
