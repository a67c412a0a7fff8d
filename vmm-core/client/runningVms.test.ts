import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ownRuntimeDir } from '../../test/support/ownRuntimeDir.ts';
import { parseVmConfig } from '../config/parseVmConfig.ts';
import { initialize, type VmInfo, type VmState } from '../protocol/vm.ts';
import { PROTOCOL_VERSION } from '../protocol/version.ts';
import { messageStream } from './messageStream.ts';
import { runningVms } from './runningVms.ts';
import { socketPath } from './runtimeDir.ts';

/** A core that listens as `socketName`, with a VM called `name`, or none. */
async function core(t: TestContext, socketName: string, state: VmState, name?: string): Promise<void> {
  const { config } = parseVmConfig({ name, kernel: '/boot/kernel.elf' });
  assert.ok(config !== undefined);
  const info: VmInfo = {
    protocolVersion: PROTOCOL_VERSION,
    version: 'test',
    pid: 7,
    state,
    ...(name === undefined ? {} : { config }),
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const stream = messageStream(socket);
    stream.onRequest(initialize, () => info);
    stream.listen();
  }).listen(socketPath(socketName));
  await once(server, 'listening');
  t.after(() => {
    for (const it of sockets) it.destroy();
    server.close();
  });
}

/** What a killed process leaves behind. */
function staleSocket(name: string): string {
  const socket = socketPath(name);
  const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  return socket;
}

test('VMs that run or are paused are listed by name; warm cores and ended VMs are not', async (t) => {
  ownRuntimeDir(t);
  await core(t, 'b', 'running', 'b');
  await core(t, 'a', 'paused', 'a');
  await core(t, 'warm', 'empty');
  await core(t, 'over', 'ended', 'over');
  await core(t, 'core-of-b', 'running', 'b'); // its other socket, from when it was warm
  const vms = await runningVms('test');
  assert.deepEqual(
    vms.map(({ name, socket, pid, state, config }) => [name, socket, pid, state, config.name]),
    [
      ['a', socketPath('a'), 7, 'paused', 'a'],
      ['b', socketPath('b'), 7, 'running', 'b'],
    ],
  );
});

test('the socket of a VM that was killed is removed', async (t) => {
  ownRuntimeDir(t);
  const socket = staleSocket('dead');
  assert.equal(existsSync(socket), true);
  assert.deepEqual(await runningVms('test'), []);
  assert.equal(existsSync(socket), false);
});

test('a listener that says nothing is not removed, but reported', async (t) => {
  ownRuntimeDir(t);
  const socket = socketPath('busy');
  const sockets = new Set<Socket>();
  const server = createServer((it) => void sockets.add(it.resume())).listen(socket);
  await once(server, 'listening');
  t.after(() => {
    for (const it of sockets) it.destroy();
    server.close();
  });
  const told: string[] = [];
  assert.deepEqual(await runningVms('test', (message) => void told.push(message)), []);
  assert.match(told.join('\n'), /^the process listening at .*busy\.sock does not answer: /);
  assert.equal(existsSync(socket), true);
});
