import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { serialAttach, serialOutput } from '../protocol/serial.ts';
import { ended, type VmEnd } from '../protocol/vm.ts';
import { messageStream } from './messageStream.ts';

const END: VmEnd = { kind: 'powerOff', exitCode: 0, message: 'the guest powered off' };

test('what was sent before `end` arrives, in order, before the connection is finished', async (t) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'tf-'));
  t.after(() => rm(directory, { recursive: true }));
  const socket = path.join(directory, 's');
  const server = createServer((accepted) => {
    const connection = messageStream(accepted);
    connection.listen();
    for (let port = 0; port < 3; port++) {
      void connection.sendNotification(serialOutput, { port, data: new Uint8Array(1000) });
    }
    void connection.sendNotification(ended, END);
    connection.end();
  }).listen(socket);
  await once(server, 'listening');
  t.after(() => server.close());

  const reading = connect(socket);
  const connection = messageStream(reading);
  const received: (number | VmEnd)[] = [];
  connection.onNotification(serialOutput, ({ port, data }) => received.push(port, data.length));
  connection.onNotification(ended, (end) => received.push(end));
  connection.listen();
  await connection.finished;
  assert.deepEqual(received, [0, 1000, 1, 1000, 2, 1000, END]);
  connection.dispose();
});

test('requests from a client that does not read its answers wait, and are answered in order when it does', async (t) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'tf-'));
  t.after(() => rm(directory, { recursive: true }));
  const socket = path.join(directory, 's');
  const answer = new Uint8Array(1024 * 1024);
  let asked = 0;
  let unread = 0;
  const server = createServer((accepted) => {
    const connection = messageStream(accepted, { holdRequestsAt: answer.length });
    connection.onRequest(serialAttach, () => {
      asked++;
      unread = Math.max(unread, connection.unreadBytes);
      return { backlog: answer };
    });
    connection.listen();
  }).listen(socket);
  await once(server, 'listening');
  t.after(() => server.close());

  const reading = connect(socket);
  const connection = messageStream(reading);
  connection.listen();
  reading.pause();
  const answers = Array.from({ length: 90 }, (_, port) => connection.sendRequest(serialAttach, { port }));
  await connection.drained(); // the server has them, or its socket has
  for (let turns = 0; turns < 1000; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(asked < 10, `${asked} of 90 answered to nobody`);
  reading.resume();
  for (const { backlog } of await Promise.all(answers)) assert.equal(backlog.length, answer.length);
  assert.ok(unread <= 2 * answer.length + 4096, `${unread} bytes were kept`);
  connection.dispose();
  reading.destroy();
});

test('a client that reads nothing at all is dropped', async (t) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'tf-'));
  t.after(() => rm(directory, { recursive: true }));
  const socket = path.join(directory, 's');
  const refused = new Promise<string>((resolve) => {
    const server = createServer((accepted) => {
      const connection = messageStream(accepted, { maxUnreadBytes: 1024 * 1024 });
      connection.onError(([{ message }]) => resolve(message));
      connection.listen();
      for (let i = 0; i < 4; i++)
        void connection.sendNotification(serialOutput, { port: 0, data: new Uint8Array(1024 * 1024) });
      t.after(() => accepted.destroy());
    }).listen(socket);
    t.after(() => server.close());
    server.once('listening', () => {
      const silent = connect(socket).pause();
      t.after(() => silent.destroy());
    });
  });
  assert.match(await refused, /^the other side does not read: \d+ bytes wait for it$/);
});
