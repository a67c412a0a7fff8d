import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { ResponseError } from 'vscode-jsonrpc/node';
import { within } from '../../test/support/deadline.ts';
import { ErrorCode } from '../protocol/errors.ts';
import { info, initialize, type VmInfo } from '../protocol/vm.ts';
import { PROTOCOL_VERSION } from '../protocol/version.ts';
import { messageStream } from './messageStream.ts';
import { ConnectError, connectVmm } from './vmmClient.ts';

const INFO: VmInfo = { protocolVersion: PROTOCOL_VERSION, version: 'test', pid: 1, state: 'empty' };

function folder(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'tf-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A server at a socket of its own that does `serve` with each connection. */
async function server(t: TestContext, serve: (socket: Socket) => void): Promise<string> {
  const socketPath = path.join(folder(t), 's');
  const sockets = new Set<Socket>();
  const listening: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket);
  }).listen(socketPath);
  await once(listening, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    listening.close();
  });
  return socketPath;
}

/** One that speaks the protocol and answers `initialize` with `answer`. */
function core(
  t: TestContext,
  answer: () => VmInfo | ResponseError<void>,
  more: (socket: Socket) => void = () => undefined,
): Promise<string> {
  return server(t, (socket) => {
    const connection = messageStream(socket);
    connection.onRequest(initialize, answer);
    connection.listen();
    more(socket);
  });
}

async function refusal(socketPath: string): Promise<ConnectError> {
  try {
    const client = await within(connectVmm(socketPath, { client: 'test' }), 'connectVmm');
    client.dispose();
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return error;
  }
  return assert.fail('connected');
}

test('the client connects to a core and has the current state of its VM', async (t) => {
  const client = await connectVmm(await core(t, () => INFO), { client: 'test' });
  assert.deepEqual(client.info, INFO);
  client.dispose();
  await within(client.closed, 'the end of the connection');
});

test('nobody listens there: missing', async (t) => {
  const socketPath = path.join(folder(t), 'none.sock');
  const { kind, message } = await refusal(socketPath);
  assert.deepEqual({ kind, message }, { kind: 'missing', message: `no VM is listening at ${socketPath}` });
});

test('a socket whose process is gone: stale, with the command that removes it', async (t) => {
  const socketPath = path.join(folder(t), 's');
  // A process that is killed leaves its socket behind; a closed server removes it, so it is kept by another
  // name.
  const listening = createServer().listen(`${socketPath}.first`);
  await once(listening, 'listening');
  const { linkSync } = await import('node:fs');
  linkSync(`${socketPath}.first`, socketPath);
  listening.close();
  await once(listening, 'close');
  const { kind, message } = await refusal(socketPath);
  assert.deepEqual(
    { kind, message },
    { kind: 'stale', message: `the VM behind ${socketPath} is gone; remove the socket with "vmm status"` },
  );
});

test('a file or a folder that is not a socket: foreign', async (t) => {
  const file = path.join(folder(t), 'file');
  writeFileSync(file, '');
  assert.deepEqual((await refusal(file)).kind, 'foreign');
  assert.match((await refusal(file)).message, /file is not a control socket/);
  assert.equal((await refusal(path.join(file, 'below'))).kind, 'foreign');
});

test('a socket of another user: denied', async (t) => {
  if (process.getuid?.() === 0) return t.skip('root may use every socket');
  const socketPath = await core(t, () => INFO);
  chmodSync(socketPath, 0);
  const { kind, message } = await refusal(socketPath);
  assert.deepEqual(
    { kind, message },
    { kind: 'denied', message: `no permission to use ${socketPath}: it belongs to another user` },
  );
});

test('a server of another program: foreign, whatever it says', async (t) => {
  const answers: readonly ((socket: Socket) => void)[] = [
    (socket) => void socket.end(),
    (socket) => void socket.destroy(),
    (socket) => void socket.write('220 mail.example ESMTP\r\n\r\n'),
    (socket) => void socket.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno'),
    (socket) => void socket.write(Buffer.alloc(4096, 0xff)),
    (socket) => void socket.write('Content-Length: 4\r\n\r\nnull'),
    (socket) => void socket.write('Content-Length: -1\r\n\r\n'),
    (socket) => void socket.end('Content-Length: 100\r\n\r\n{"jsonrpc'),
  ];
  for (const [i, answer] of answers.entries()) {
    const socketPath = await server(t, (socket) => {
      socket.resume();
      answer(socket);
    });
    const { kind, message } = await refusal(socketPath);
    assert.deepEqual(
      { i, kind, message },
      { i, kind: 'foreign', message: `${socketPath} is a socket of another program, not of a Trapframe VM` },
    );
  }
});

test('a listener that accepts and says nothing is silent, not foreign: it may be a busy VM', async (t) => {
  const socketPath = await server(t, (socket) => void socket.resume());
  const attempt = connectVmm(socketPath, { client: 'test' }, { patienceMs: 50 });
  await assert.rejects(within(attempt, 'the refusal'), {
    kind: 'silent',
    message: `the process listening at ${socketPath} does not answer: the VM is too busy or stopped, or it is another program; try again`,
  });
});

test('a socket with no room for one more connection is waited for', async (t) => {
  const socketPath = path.join(folder(t), 's');
  const program = `require('node:net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => {
    console.log('listening');
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  })`;
  const deaf = spawn(process.execPath, ['-e', program, socketPath], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => void deaf.kill('SIGKILL'));
  await once(deaf.stdout, 'data');
  const waiting = Array.from({ length: 4 }, () => connect(socketPath).on('error', () => undefined));
  t.after(() => waiting.forEach((socket) => socket.destroy()));
  const attempt = connectVmm(socketPath, { client: 'test' }, { patienceMs: 200 });
  await assert.rejects(within(attempt, 'the refusal'), { kind: 'silent' });
});

test('a server without protocolVersion, such as a language server: foreign', async (t) => {
  const answers: unknown[] = [null, 'hello', 42, {}, { capabilities: {} }, { protocolVersion: '1' }];
  for (const answer of answers) {
    const socketPath = await core(t, () => answer as VmInfo);
    assert.equal((await refusal(socketPath)).kind, 'foreign', JSON.stringify(answer));
  }
  const refusing = await core(t, () => new ResponseError<void>(-32601, 'no such method'));
  assert.equal((await refusal(refusing)).kind, 'foreign');
});

test('a core of another protocol version: both versions are named, whichever side notices', async (t) => {
  const theirs = await core(t, () => ({ ...INFO, protocolVersion: 99 }));
  const noticed = await refusal(theirs);
  assert.deepEqual(
    { kind: noticed.kind, message: noticed.message },
    {
      kind: 'version',
      message: `the VM at ${theirs} speaks protocol version 99, this program ${PROTOCOL_VERSION}: restart the VM with this version of Trapframe`,
    },
  );
  const told = await refusal(
    await core(t, () => new ResponseError<void>(ErrorCode.VersionMismatch, 'use the same version')),
  );
  assert.deepEqual(
    { kind: told.kind, message: told.message },
    { kind: 'version', message: 'use the same version' },
  );
});

test('a core that dies is seen by `closed`, and a request that waits is rejected', async (t) => {
  let ours: Socket | undefined;
  const socketPath = await core(
    t,
    () => INFO,
    (socket) => (ours = socket),
  );
  const client = await connectVmm(socketPath, { client: 'test' });
  const waiting = assert.rejects(client.connection.sendRequest(info));
  ours?.destroy();
  await within(client.closed, 'the end of the connection');
  await within(waiting, 'the rejection');
  client.dispose();
});
