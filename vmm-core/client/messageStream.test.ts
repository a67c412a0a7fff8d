import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ended, serialOutput, type VmEnd } from '../protocol/control.ts';
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
