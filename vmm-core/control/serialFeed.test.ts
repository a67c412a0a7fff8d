import assert from 'node:assert/strict';
import { test } from 'node:test';
import { log } from '../log.ts';
import { SerialPort } from '../backends/serial/serialPort.ts';
import type { SerialData } from '../protocol/serial.ts';
import type { SerialReader } from './client.ts';
import { feedSerial, MAX_UNREAD_OUTPUT } from './serialFeed.ts';

/** The test decides when it reads. */
class FakeReader implements SerialReader {
  readonly name = 'test';
  readonly sent: SerialData[] = [];
  unreadBytes = 0;
  #read: () => void = () => undefined;

  onSerialOutput(output: SerialData): void {
    this.sent.push(output);
    this.unreadBytes += output.data.length;
  }

  drained(): Promise<void> {
    return new Promise((resolve) => (this.#read = resolve));
  }

  async reads(): Promise<void> {
    this.unreadBytes = 0;
    this.#read();
    await Promise.resolve();
  }
}

const KIB = new Uint8Array(1024);

test('a client that reads gets everything, one that left gets nothing more', () => {
  const client = new FakeReader();
  const port = new SerialPort({ kind: 'null' });
  const { detach } = feedSerial(client, 2, port);
  port.write(KIB);
  detach();
  port.write(KIB);
  assert.deepEqual(client.sent, [{ port: 2, data: KIB }]);
});

test('a client that does not read costs no more than the limit, and is told how much it missed when it does', async () => {
  log.setLevel('error');
  const client = new FakeReader();
  const port = new SerialPort({ kind: 'null' });
  feedSerial(client, 0, port);
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

test('a client that leaves with output unread is told nothing of what it missed', async () => {
  const client = new FakeReader();
  const port = new SerialPort({ kind: 'null' });
  const { detach } = feedSerial(client, 0, port);
  for (let i = 0; i < 2048; i++) port.write(KIB);
  const before = client.sent.length;
  detach();
  await client.reads(); // the end of its connection
  assert.equal(client.sent.length, before);
});
