import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { messageStream } from '../../client/messageStream.ts';
import { JsonRpcClient } from './jsonRpcClient.ts';

/** A client whose socket's other end records what it receives. */
function newClient() {
  const written: string[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk.toString('latin1'));
      done();
    },
  });
  const connection = messageStream(socket as unknown as Socket);
  connection.listen();
  return { written, socket, connection, client: new JsonRpcClient(connection, 'test', false) };
}

test('what happens is sent as notifications, in order', async () => {
  const { written, connection, client } = newClient();
  client.onReset('the machine was reset');
  client.onResumed();
  client.onTrouble('a disk is full');
  await connection.drained();
  const methods = [...written.join('').matchAll(/"method":"([^"]+)"/g)].map(([, method]) => method);
  assert.deepEqual(methods, ['vm/wasReset', 'debug/resumed', 'vm/trouble']);
});

test('a client that is gone does not disturb the core', async () => {
  const { written, socket, connection, client } = newClient();
  socket.destroy();
  await connection.finished;
  client.onResumed();
  client.onSerialOutput({ port: 0, data: Uint8Array.of(1) });
  assert.deepEqual(written, []);
});
