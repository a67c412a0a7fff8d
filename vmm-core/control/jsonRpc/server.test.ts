import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { RequestType, type ResponseError } from 'vscode-jsonrpc/node';
import { mutate, seededRandom } from '../../../test/support/bytes.ts';
import { within } from '../../../test/support/deadline.ts';
import { messageStream } from '../../client/messageStream.ts';
import { socketPath } from '../../client/runtimeDir.ts';
import { connectVmm, type VmmClient } from '../../client/vmmClient.ts';
import { log } from '../../log.ts';
import { encodeMessage } from '../../protocol/codec.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { readMemory, translate, writeMemory } from '../../protocol/memory.ts';
import { readRegisters, writeRegisters } from '../../protocol/registers.ts';
import { resume, setBreakpoints, step } from '../../protocol/run.ts';
import { serialAttach } from '../../protocol/serial.ts';
import { create, info, initialize } from '../../protocol/vm.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { Core } from '../core.ts';
import { isAlive, listenAs, type NamedServer } from './listen.ts';
import { ControlServer } from './server.ts';

/** A core without a VM that listens in its own folder. */
async function served(
  t: TestContext,
  name = 'test',
): Promise<{ readonly server: ControlServer; readonly path: string }> {
  const base = mkdtempSync(path.join(tmpdir(), 'tf-'));
  const before = process.env['XDG_RUNTIME_DIR'];
  process.env['XDG_RUNTIME_DIR'] = base;
  log.setLevel('error');
  const server = new ControlServer(new Core());
  t.after(async () => {
    await server.close();
    if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
    else process.env['XDG_RUNTIME_DIR'] = before;
    rmSync(base, { recursive: true, force: true });
  });
  return { server, path: socketPath(await server.listen(name)) };
}

async function client(t: TestContext, socket: string): Promise<VmmClient> {
  const connected = await within(connectVmm(socket, { client: 'test' }), 'connectVmm');
  t.after(() => connected.dispose());
  return connected;
}

async function rawSocket(t: TestContext, at: string): Promise<Socket> {
  const socket = connect(at);
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** As it goes over the socket. */
function frame(...body: readonly (Uint8Array | string)[]): Buffer {
  const bytes = Buffer.concat(body.map((it) => Buffer.from(it)));
  return Buffer.concat([Buffer.from(`Content-Length: ${bytes.length}\r\n\r\n`), bytes]);
}

test('the socket belongs to its user alone, and goes with the server', async (t) => {
  const { server, path: socket } = await served(t);
  assert.equal(statSync(socket).mode & 0o777, 0o600);
  assert.equal(await isAlive(socket), true);
  await server.close();
  assert.equal(existsSync(socket), false);
});

test('a name that is taken gets a number, a dead socket is replaced', async (t) => {
  const { server, path: first } = await served(t);
  assert.equal(await server.listen('test'), 'test-2');
  assert.equal(await server.listen('test'), 'test-3');
  const dead = path.join(path.dirname(first), 'dead.sock');
  writeFileSync(dead, '');
  assert.equal(await server.listen('dead'), 'dead');
  assert.equal(await isAlive(dead), true);
});

test('a name too long for a socket is an error that says where', async (t) => {
  const { server } = await served(t);
  await assert.rejects(
    server.listen('x'.repeat(120)),
    /^UserError: the control socket .*x\.sock has too long a path \(at most 107 bytes\): /,
  );
});

test('before initialize no request is served', async (t) => {
  const { path: socket } = await served(t);
  const connection = messageStream(await rawSocket(t, socket));
  connection.listen();
  await assert.rejects(within(connection.sendRequest(info), 'the refusal'), { code: -32601 });
  await assert.rejects(within(connection.sendRequest(resume), 'the refusal'), { code: -32601 });
  connection.dispose();
});

test('initialize twice is the same as once', async (t) => {
  const { path: socket } = await served(t);
  const { connection } = await client(t, socket);
  const again = await connection.sendRequest(initialize, {
    protocolVersion: PROTOCOL_VERSION,
    client: 'again',
  });
  assert.equal(again.state, 'empty');
  assert.equal((await connection.sendRequest(info)).state, 'empty');
});

test('another protocol version is refused with both versions', async (t) => {
  const { path: socket } = await served(t);
  const connection = messageStream(await rawSocket(t, socket));
  connection.listen();
  for (const protocolVersion of [
    PROTOCOL_VERSION + 1,
    0,
    '1' as unknown as number,
    undefined as unknown as number,
  ]) {
    await assert.rejects(
      within(connection.sendRequest(initialize, { protocolVersion, client: 'x' }), 'the refusal'),
      {
        code: ErrorCode.VersionMismatch,
      },
    );
  }
  connection.dispose();
});

test('parameters of any shape end in an error answer, and the connection lives on', async (t) => {
  const { path: socket } = await served(t);
  const { connection } = await client(t, socket);
  const methods = [
    create.method,
    'serial/attach',
    'debug/step',
    'debug/setBreakpoints',
    'debug/readMemory',
    'debug/translate',
  ];
  const shapes = [
    null,
    0,
    'text',
    [],
    {},
    { config: null },
    { config: 5 },
    { breakpoints: null },
    { port: {} },
    { range: 1 },
  ];
  for (const method of methods) {
    for (const shape of shapes) {
      const request = connection.sendRequest(new RequestType<unknown, unknown, void>(method), shape);
      await assert.rejects(
        within(request, `${method} ${JSON.stringify(shape)} to be refused`),
        (error: ResponseError<void>) => [ErrorCode.User, ErrorCode.State].includes(error.code as 1 | 4),
      );
    }
  }
  assert.equal((await connection.sendRequest(info)).state, 'empty');
});

test('requests with damaged fields are answered with a sentence, and never with an internal error (seeded)', async (t) => {
  const { path: socket } = await served(t);
  const { connection } = await client(t, socket);
  const random = seededRandom(0x7e57);
  const below = (n: number): number => Math.floor(random() * n);
  const values: unknown[] = [
    null,
    0,
    -1,
    1.5,
    1e300,
    true,
    '',
    '0x10',
    'x'.repeat(500),
    [],
    [null],
    {},
    { toString: 1 },
  ];
  const keys = ['config', 'port', 'data', 'cpu', 'range', 'breakpoints', 'values', 'address', 'lengthBytes'];
  const more = ['start', 'end', 'id', 'mode', 'kind', 'path', 'serial', 'kernel', 'name', 'memoryBytes'];
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  const shape = (depth: number): unknown =>
    depth === 0 || below(3) === 0
      ? pick(values)
      : below(4) === 0
        ? Array.from({ length: below(3) }, () => shape(depth - 1))
        : Object.fromEntries(
            Array.from({ length: 1 + below(5) }, () => [pick([...keys, ...more]), shape(depth - 1)]),
          );
  const types = [
    create,
    serialAttach,
    ...[step, setBreakpoints, readRegisters, writeRegisters],
    ...[readMemory, writeMemory, translate],
  ];
  for (let round = 0; round < 3000; round++) {
    const { method } = pick<{ readonly method: string }>(types);
    const params = shape(3);
    const request = connection.sendRequest(new RequestType<unknown, unknown, void>(method), params);
    await assert.rejects(within(request, `the refusal of ${method}`), (error: ResponseError<void>) => {
      const what = `${method} ${JSON.stringify(params)}: ${error.message}`;
      assert.ok([ErrorCode.User, ErrorCode.State].includes(error.code as 1 | 4), what);
      assert.doesNotMatch(error.message, /undefined|TypeError|Cannot read|is not a function|internal/, what);
      return true;
    });
  }
});

test('an initialize of any shape is answered', async (t) => {
  const { path: socket } = await served(t);
  const connection = messageStream(await rawSocket(t, socket));
  connection.listen();
  for (const params of [null, 7, [], [null], { protocolVersion: { toString: 1, valueOf: 1 } }, {}]) {
    const request = connection.sendRequest(new RequestType<unknown, unknown, void>('initialize'), params);
    await assert.rejects(within(request, 'the refusal'), (error: ResponseError<void>) => {
      assert.ok([ErrorCode.User, ErrorCode.VersionMismatch].includes(error.code as 1 | 3), error.message);
      return true;
    });
  }
  connection.dispose();
});

test('a frame larger than allowed ends its connection before it is read, and before initialize few are', async (t) => {
  const { path: socket } = await served(t);
  const stranger = await rawSocket(t, socket);
  const gone = once(stranger.resume(), 'close');
  stranger.write(`Content-Length: ${700 * 2 ** 20}\r\n\r\n`);
  await within(gone, 'the end of the connection');
  const endless = await rawSocket(t, socket);
  const cut = once(endless.resume(), 'close');
  endless.write('x'.repeat(8192)); // a header without an end
  await within(cut, 'the end of the connection');
  const { connection, closed } = await client(t, socket);
  assert.equal((await connection.sendRequest(info)).state, 'empty');
  const params = { address: '0x0', data: new Uint8Array(66 * 2 ** 20) };
  void connection.sendRequest(writeMemory, params).catch(() => undefined);
  await within(closed, 'the end of the connection');
});

test('five that start at once on a dead socket get five names, and each is reached by its own', async (t) => {
  const { path: first } = await served(t);
  const folder = path.dirname(first);
  for (let round = 0; round < 10; round++) {
    writeFileSync(path.join(folder, `race${round}.sock`), '');
    const accepted: string[] = [];
    const named = await Promise.all(
      Array.from({ length: 5 }, async (_, i) =>
        listenAs(`race${round}`, (socket) => {
          accepted.push(`${round}:${i}`);
          socket.destroy();
        }),
      ),
    );
    t.after(() => named.forEach(({ server }) => server.close()));
    assert.equal(new Set(named.map(({ name }) => name)).size, 5);
    accepted.length = 0; // they looked at each other
    for (const [i, { path: socket }] of named.entries()) {
      const arrived = once((named[i] as NamedServer).server, 'connection');
      assert.equal(await isAlive(socket), true);
      await within(arrived, `a connection to server ${i}`);
    }
    assert.deepEqual(
      accepted.sort(),
      [0, 1, 2, 3, 4].map((i) => `${round}:${i}`),
    );
  }
});

test('garbage ends the connection that sent it, and no other', async (t) => {
  const { path: socket } = await served(t);
  const { connection } = await client(t, socket);
  const garbage: readonly (Buffer | string)[] = [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'Content-Length: x\r\n\r\n{}',
    frame('{'),
    frame('42'),
    frame('null'),
    frame(Buffer.alloc(0)),
    frame(Buffer.of(0, 0xff, 0xff, 0xff, 0xff)),
    frame(Buffer.alloc(1000, 0xff)),
  ];
  for (const bytes of garbage) {
    const bad = await rawSocket(t, socket);
    bad.resume();
    const closed = once(bad, 'close');
    bad.write(bytes);
    await within(
      closed,
      () => `the end of a connection that sent ${JSON.stringify(bytes.toString('latin1'))}`,
    );
    assert.equal((await connection.sendRequest(info)).state, 'empty');
  }
});

test('damaged conversations hurt only themselves (seeded)', async (t) => {
  const { path: socket } = await served(t);
  const { connection } = await client(t, socket);
  const random = seededRandom(0x50c8e7);
  const params = { protocolVersion: PROTOCOL_VERSION, client: 'fuzz' };
  const conversation = Buffer.concat([
    frame(...encodeMessage({ jsonrpc: '2.0', id: 1, method: initialize.method, params })),
    frame(...encodeMessage({ jsonrpc: '2.0', id: 2, method: 'vm/info' })),
    frame(
      ...encodeMessage({
        jsonrpc: '2.0',
        id: 3,
        method: 'debug/readMemory',
        params: { address: '0x0', lengthBytes: 16 },
      }),
    ),
    frame(
      ...encodeMessage({
        jsonrpc: '2.0',
        method: 'serial/input',
        params: { port: 0, data: Uint8Array.of(1, 2, 3) },
      }),
    ),
  ]);
  for (let round = 0; round < 150; round++) {
    const bad = await rawSocket(t, socket);
    bad.resume();
    const closed = once(bad, 'close');
    bad.end(mutate(new Uint8Array(conversation), random));
    await within(closed, `the end of round ${round}`);
    if (round % 10 === 0)
      assert.equal((await within(connection.sendRequest(info), 'an answer')).state, 'empty');
  }
  assert.equal((await connection.sendRequest(info)).state, 'empty');
});

test('clients that come and go in the middle of everything leave nothing behind', async (t) => {
  const { path: socket } = await served(t);
  for (let i = 0; i < 50; i++) {
    const bad = await rawSocket(t, socket);
    if (i % 2 === 0) bad.write('Content-Length: 1000\r\n\r\n{');
    bad.destroy();
  }
  assert.equal((await client(t, socket)).info.state, 'empty');
});
