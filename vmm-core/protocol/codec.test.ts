import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mutate, seededRandom } from '../../test/support/bytes.ts';
import { decodeMessage, encodeMessage } from './codec.ts';

const text = (body: Uint8Array): string => new TextDecoder().decode(body);

/** As it goes through a socket. */
const encoded = (message: object): Uint8Array => new Uint8Array(Buffer.concat(encodeMessage(message)));

/** As it comes out of the other end. */
function roundTrip(message: object): object {
  return decodeMessage(encoded(message));
}

test('a message without bytes is plain JSON, readable by anyone', () => {
  const message = { jsonrpc: '2.0', id: 1, method: 'vm/info', params: { a: [1, null, 'x'], b: { c: true } } };
  assert.equal(text(encoded(message)), JSON.stringify(message));
  assert.deepEqual(roundTrip(message), message);
});

test('bytes in params and in a result come out as they went in', () => {
  const data = Uint8Array.from({ length: 1000 }, (_, i) => i & 0xff);
  const request = { jsonrpc: '2.0', id: 2, method: 'debug/writeMemory', params: { address: '0x1000', data } };
  assert.deepEqual(roundTrip(request), request);
  const response = { jsonrpc: '2.0', id: 2, result: { data, unreadableBytes: 0 } };
  assert.deepEqual(roundTrip(response), response);
  const byPosition = { jsonrpc: '2.0', method: 'serial/output', params: [{ port: 0, data }] };
  assert.deepEqual(roundTrip(byPosition), byPosition);
});

test('several runs of bytes keep their order, empty ones too', () => {
  const params = {
    first: Uint8Array.of(1, 2),
    none: new Uint8Array(),
    last: Uint8Array.of(3),
    text: 'between',
  };
  assert.deepEqual(roundTrip({ id: 1, params }), { id: 1, params });
});

test('a view into larger memory is sent alone, a Buffer as its bytes', () => {
  const memory = Uint8Array.from({ length: 16 }, (_, i) => i);
  const sent = roundTrip({ result: { data: memory.subarray(4, 7), more: Buffer.from('hi') } }) as {
    result: { data: Uint8Array; more: Uint8Array };
  };
  assert.deepEqual([...sent.result.data], [4, 5, 6]);
  assert.deepEqual([...sent.result.more], [0x68, 0x69]);
});

test('bytes are not copied to be sent', () => {
  const data = new Uint8Array(1000);
  assert.equal(encodeMessage({ result: { data } })[1], data);
});

test('encoding does not change the message', () => {
  const data = Uint8Array.of(1);
  const params = { data };
  encodeMessage({ params });
  assert.equal(params.data, data);
});

test('a null result and absent params stay as they are', () => {
  assert.deepEqual(roundTrip({ id: 1, result: null }), { id: 1, result: null });
  assert.deepEqual(roundTrip({ id: 1, method: 'x' }), { id: 1, method: 'x' });
  const mixed = roundTrip({ id: 1, params: { data: Uint8Array.of(1) } });
  assert.equal('result' in mixed, false);
});

test('text outside ASCII survives beside bytes', () => {
  const message = { params: { name: 'Kärnel 🐧', data: Uint8Array.of(0xff) } };
  assert.deepEqual(roundTrip(message), message);
});

test('a body that no encoder made is refused with SyntaxError or RangeError', () => {
  const bodies: readonly Uint8Array[] = [
    new Uint8Array(),
    Uint8Array.of(0),
    Uint8Array.of(0, 1, 0, 0),
    Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff, 0x7b, 0x7d),
    Uint8Array.of(0, 0, 0, 0, 0),
    Buffer.from('null'),
    Buffer.from('42'),
    Buffer.from('{'),
    withJson('{"params":{"data":{"$bytes":4}}}', [1, 2, 3]),
    withJson('{"params":{"data":{"$bytes":-1}}}', [1, 2, 3]),
    withJson('{"params":{"data":{"$bytes":1.5}}}', [1, 2, 3]),
    withJson('{"params":{"data":{"$bytes":"all"}}}', [1, 2, 3]),
  ];
  for (const body of bodies) assert.throws(() => decodeMessage(body), isTyped, text(body));
});

test('$bytes in plain JSON does not claim any bytes', () => {
  const message = { params: { data: { $bytes: 8 } } };
  assert.deepEqual(decodeMessage(Buffer.from(JSON.stringify(message))), message);
});

test('damaged bodies are decoded or refused, never anything else (seeded)', () => {
  const random = seededRandom(0xc0dec);
  const good = encoded({
    id: 1,
    params: { address: '0x1', data: new Uint8Array(64), more: Uint8Array.of(1) },
  });
  for (let i = 0; i < 5000; i++) {
    const body = mutate(good, random);
    try {
      assert.equal(typeof decodeMessage(body), 'object');
    } catch (error) {
      assert.ok(isTyped(error), String(error));
    }
  }
});

function isTyped(error: unknown): boolean {
  return error instanceof SyntaxError || error instanceof RangeError;
}

function withJson(json: string, bytes: readonly number[]): Uint8Array {
  const body = new Uint8Array(5 + json.length + bytes.length);
  new DataView(body.buffer).setUint32(1, json.length, true);
  body.set(Buffer.from(json), 5);
  body.set(bytes, 5 + json.length);
  return body;
}
