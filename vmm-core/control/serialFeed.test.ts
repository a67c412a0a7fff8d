import assert from 'node:assert/strict';
import { test } from 'node:test';
import { log } from '../log.ts';
import { SerialPort } from '../machine/serialPort.ts';
import type { SerialData } from '../protocol/serial.ts';
import type { Client } from './core.ts';
import { feedSerial, MAX_UNREAD_OUTPUT } from './serialFeed.ts';

/** A client whose reading is the test's. */
class FakeClient {
  readonly sent: SerialData[] = [];
  unreadBytes = 0;
  readonly identity = { client: 'test', debugger: false };
  readonly serialPorts = new Map();
  #read: () => void = () => undefined;
  readonly connection = {
    sent: this.sent,
    sendNotification: (_type: unknown, data: SerialData) => {
      this.sent.push(data);
      this.unreadBytes += data.data.length;
      return Promise.resolve();
    },
    drained: () => new Promise<void>((resolve) => (this.#read = resolve)),
  };

  constructor() {
    Object.defineProperty(this.connection, 'unreadBytes', { get: () => this.unreadBytes });
  }

  asClient(): Client {
    return this as unknown as Client;
  }

  async reads(): Promise<void> {
    this.unreadBytes = 0;
    this.#read();
    await Promise.resolve();
  }
}

const KIB = new Uint8Array(1024);

test('a client that reads gets everything, one that left nothing more', () => {
  const client = new FakeClient();
  const port = new SerialPort({ kind: 'null' });
  const { detach } = feedSerial(client.asClient(), 2, port);
  port.write(KIB);
  detach();
  port.write(KIB);
  assert.deepEqual(client.sent, [{ port: 2, data: KIB }]);
});

test('a client that does not read costs no more than the limit, and is told how much it missed when it does', async () => {
  log.setLevel('error');
  const client = new FakeClient();
  const port = new SerialPort({ kind: 'null' });
  feedSerial(client.asClient(), 0, port);
  for (let i = 0; i < 4096; i++) port.write(KIB);
  assert.equal(client.unreadBytes, MAX_UNREAD_OUTPUT + KIB.length);
  const before = client.sent.length;
  await client.reads();
  assert.deepEqual(client.sent.slice(before), [
    { port: 0, data: new Uint8Array(), droppedBytes: 4096 * 1024 - MAX_UNREAD_OUTPUT - 1024 },
  ]);
  port.write(KIB);
  assert.deepEqual(client.sent.at(-1), { port: 0, data: KIB }, 'told once');
});
