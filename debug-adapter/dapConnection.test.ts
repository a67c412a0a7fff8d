import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { DapConnection, type RequestCall } from './dapConnection.ts';

const MIB = 1024 * 1024;
const REQUESTS = 100;

function request(seq: number): string {
  const json = JSON.stringify({ seq, type: 'request', command: 'big' });
  return `Content-Length: ${json.length}\r\n\r\n${json}`;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * A connection whose one request is answered by `answer`, with its two streams; what it sends is not read
 * yet.
 */
function connected(answer: (call: RequestCall) => unknown) {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const connection = new DapConnection(() => undefined);
  connection.serve({ big: (_args, call) => answer(call) });
  connection.start(input, output);
  return { input, output };
}

test('a client that takes no answers is not read from until it takes them', async () => {
  let served = 0;
  const all = new EventEmitter();
  const { input, output } = connected(() => {
    served += 1;
    if (served === REQUESTS) all.emit('served');
    return { data: 'x'.repeat(MIB) };
  });
  for (let seq = 1; seq <= REQUESTS; seq++) {
    input.write(request(seq));
    await turn();
  }
  assert.ok(served < 40, `${served} answers of 1 MiB are kept for it`);
  const done = once(all, 'served');
  output.resume();
  await done;
});

test('room is there at once, or when the client has taken what was sent', async () => {
  let rooms = 0;
  const got = new EventEmitter();
  const { input, output } = connected(async (call) => {
    await call.room();
    rooms += 1;
    got.emit('room', rooms);
    return { data: 'x'.repeat(40 * MIB) };
  });
  input.write(request(1));
  await once(got, 'room');
  await turn(); // its answer is out
  input.write(request(2));
  await turn();
  assert.equal(rooms, 1);
  const second = once(got, 'room');
  output.resume();
  await second;
});
