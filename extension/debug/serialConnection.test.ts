import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { Arrivals, within } from '../../test/support/deadline.ts';
import { messageStream, type MessageStream } from '../../vmm-core/client/messageStream.ts';
import {
  serialAttach,
  serialInput,
  serialOutput,
  serialResize,
  type SerialSize,
} from '../../vmm-core/protocol/serial.ts';
import { ended, initialize } from '../../vmm-core/protocol/vm.ts';
import { PROTOCOL_VERSION } from '../../vmm-core/protocol/version.ts';
import type {
  SerialTerminals,
  TerminalHandlers,
  TerminalLine,
  TerminalOwner,
} from '../terminal/serialTerminal.ts';
import { SerialConnection } from './serialConnection.ts';

const INFO = { protocolVersion: PROTOCOL_VERSION, version: 'test', pid: 4242, state: 'running' } as const;
const BACKLOG = 'what the guest said before\n';

/** The terminals of a window, as plain text. */
class FakeTerminals {
  readonly opened: string[] = [];
  readonly text: string[] = [];
  readonly type: ((bytes: Uint8Array) => void)[] = [];
  readonly resize: ((columns: number, rows: number) => void)[] = [];
  readonly close: (() => void)[] = [];

  /** Ports that have a terminal already. */
  readonly shown: number[] = [];

  shows(vm: number, port: number): boolean {
    return vm === INFO.pid && this.shown.includes(port);
  }

  open({ name, pid }: TerminalOwner, { port, title }: TerminalLine, handlers: TerminalHandlers) {
    this.opened.push(`${title} ${name} ${pid} ${port}`);
    this.text[port] = '';
    this.type[port] = (bytes) => handlers.onInput(bytes);
    this.resize[port] = (columns, rows) => handlers.onResize(columns, rows);
    this.close[port] = () => handlers.onClosed();
    return {
      write: (bytes: Uint8Array) => void (this.text[port] += Buffer.from(bytes).toString()),
      disconnect: (why: string) => void (this.text[port] += `[${why}]`),
    };
  }
}

/** COM1 and COM2 of a core played by the test. */
async function openPorts(t: TestContext, endsWithTerminals: boolean, shown: readonly number[] = []) {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-'));
  const socket = path.join(folder, 's');
  const typed = new Arrivals<{ readonly port: number; readonly data: Uint8Array }>('keys');
  const sizes = new Arrivals<SerialSize>('sizes');
  const streams: MessageStream[] = [];
  const server = createServer((it) => {
    const stream = messageStream(it);
    stream.onRequest(initialize, () => INFO);
    stream.onRequest(serialAttach, () => ({ backlog: Buffer.from(BACKLOG) }));
    stream.onNotification(serialInput, (it) => typed.put(it));
    stream.onNotification(serialResize, (it) => sizes.put(it));
    stream.listen();
    streams.push(stream);
  }).listen(socket);
  await once(server, 'listening');
  const terminals = new FakeTerminals();
  terminals.shown.push(...shown);
  const connection = new SerialConnection({
    socket,
    name: 'Hello',
    ports: [0, 1],
    terminals: terminals as unknown as SerialTerminals,
    describeLoss: () => Promise.resolve('the VM is lost'),
    endsWithTerminals,
  });
  await connection.open();
  const [core] = streams;
  assert.ok(core !== undefined);
  t.after(() => {
    core.end();
    server.close();
    rmSync(folder, { recursive: true });
  });
  return { core, terminals, connection, typed, sizes };
}

test('each port has a terminal of its VM, COM1 last and so in front, which begins with earlier output', async (t) => {
  const { terminals } = await openPorts(t, false);
  assert.deepEqual(terminals.opened, ['COM2 Hello 4242 1', 'COM1 Hello 4242 0']);
  assert.deepEqual(terminals.text, [BACKLOG, BACKLOG]);
});

test('a port that has a terminal in this window gets no second one', async (t) => {
  const { terminals } = await openPorts(t, false, [0]);
  assert.deepEqual(terminals.opened, ['COM2 Hello 4242 1']);
});

test('a paste of 100 000 keys arrives whole and in order, in messages of bounded size', async (t) => {
  const { terminals, typed } = await openPorts(t, false);
  const paste = Buffer.from(Array.from({ length: 100_000 }, (_, i) => `${i} `).join('')).subarray(0, 100_000);
  terminals.type[1]?.(paste);
  terminals.type[1]?.(Buffer.from('!'));
  let received = Buffer.alloc(0);
  while (received.at(-1) !== 0x21) {
    const { port, data } = await typed.take();
    assert.equal(port, 1);
    assert.ok(data.length <= 4096, `a message of ${data.length} bytes`);
    received = Buffer.concat([received, data]);
  }
  assert.equal(received.toString(), `${paste.toString()}!`);
});

test('the size of a terminal is sent to its port, but for that of a closed panel', async (t) => {
  const { terminals, sizes } = await openPorts(t, false);
  terminals.resize[1]?.(120, 0);
  terminals.resize[1]?.(132, 43);
  assert.deepEqual(await sizes.take(), { port: 1, columns: 132, rows: 43 });
});

test('output goes to the terminal of its port, even after the other was closed, and the end is reported last', async (t) => {
  const { core, terminals, connection } = await openPorts(t, false);
  terminals.close[0]?.();
  await core.sendNotification(serialOutput, { port: 0, data: Buffer.from('nobody looks') });
  await core.sendNotification(serialOutput, { port: 1, data: Buffer.from('two') });
  await core.sendNotification(ended, { kind: 'powerOff', exitCode: 0, message: 'the guest powered off' });
  core.end();
  await within(connection.closed, 'the end of the connection');
  assert.deepEqual(terminals.text, [BACKLOG, `${BACKLOG}two[the guest powered off]`]);
});

test('a connection for a console ends when the last of its terminals is closed', async (t) => {
  const { core, terminals, connection } = await openPorts(t, true);
  terminals.close[0]?.();
  await core.sendNotification(serialOutput, { port: 1, data: Buffer.from('still there') });
  terminals.close[1]?.();
  await within(connection.closed, 'the end of the connection');
});
