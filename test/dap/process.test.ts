/** The adapter as editors start it: a separate process, DAP on stdio. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseVmConfig } from '../../vmm-core/config/parseVmConfig.ts';
import { spawnAdapter } from '../support/dapClient.ts';
import { STEPS_ELF } from '../support/debugSession.ts';
import { FakeVmm } from '../support/fakeVmm.ts';

const MAIN = path.join(import.meta.dirname, '..', '..', 'debug-adapter', 'main.ts');

/** As far as the adapter goes. */
const FAR = { memoryReference: '0x100093', instructionOffset: -100_000, instructionCount: 1 };

async function launchedProcess(t: TestContext) {
  const adapter = await startedProcess(t);
  const { client, vmm } = adapter;
  await client.ask('launch', { kernel: STEPS_ELF, memory: '4M', __coreSocket: vmm.socket });
  await client.ask('configurationDone');
  return adapter;
}

/** Of a VM that is already running. */
async function attachedProcess(t: TestContext) {
  const adapter = await startedProcess(t);
  const { client, vmm } = adapter;
  const { config } = parseVmConfig({ kernel: STEPS_ELF, memory: '4M', name: 'running' });
  assert.ok(config);
  vmm.createNow(config);
  vmm.resumeNow();
  await client.ask('attach', { socket: vmm.socket });
  await client.ask('configurationDone');
  return adapter;
}

async function startedProcess(t: TestContext) {
  const vmm = await FakeVmm.start();
  const adapter = spawnAdapter(MAIN, { nodeArgs: ['--import', 'tsx'] });
  t.after(() => {
    adapter.process.kill('SIGKILL');
    vmm.close();
  });
  await adapter.client.ask('initialize', { adapterID: 'vmm' });
  return { ...adapter, vmm };
}

test('disconnect ends the adapter after its answer', async (t) => {
  const { client, exited, vmm } = await launchedProcess(t);
  await client.ask('disconnect');
  assert.equal(await exited, 0);
  assert.equal(vmm.end?.kind, 'killed');
});

test('the end of stdin ends the VM and the adapter', async (t) => {
  const { process: child, exited, vmm } = await launchedProcess(t);
  child.stdin?.end();
  assert.equal(await exited, 0);
  assert.equal(vmm.end?.kind, 'killed');
});

test('stdin that ends right after disconnect does not change what that asked for', async (t) => {
  const { client, process: child, exited, vmm } = await launchedProcess(t);
  const answered = client.ask('disconnect', { terminateDebuggee: false });
  child.stdin?.end();
  await answered;
  assert.equal(await exited, 0);
  assert.equal(vmm.end, undefined);
  assert.equal(vmm.state, 'running');
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`${signal} ends the VM and the adapter`, async (t) => {
    const { process: child, exited, vmm } = await launchedProcess(t);
    child.kill(signal);
    assert.equal(await exited, 0);
    assert.equal(vmm.end?.kind, 'killed');
  });
}

test('SIGHUP leaves a VM that someone else started as it was: running', async (t) => {
  const { client, process: child, exited, vmm } = await attachedProcess(t);
  await client.ask('pause', { threadId: 1 });
  await client.waitFor('stopped');
  child.kill('SIGHUP');
  assert.equal(await exited, 0);
  assert.equal(vmm.state, 'running');
});

test('an adapter can leave a VM whose process does not answer', async (t) => {
  const { process: child, exited, vmm } = await attachedProcess(t);
  vmm.stopAnswering();
  child.kill('SIGTERM');
  assert.equal(await exited, 0);
  assert.equal(vmm.end, undefined);
});

test('SIGTERM ends an adapter that disassembles', async (t) => {
  const { client, process: child, exited } = await launchedProcess(t);
  void client.request('disassemble', FAR).catch(() => undefined);
  await client.ask('threads'); // answered while it disassembles
  child.kill('SIGTERM');
  assert.equal(await exited, 0);
});

test('a message larger than any client sends ends the adapter with a sentence, not with its memory', async (t) => {
  const { client, process: child, exited, vmm } = await launchedProcess(t);
  child.stdin?.write('Content-Length: 700000000\r\n\r\n');
  child.stdin?.write('x'.repeat(100_000));
  assert.equal(await exited, 1);
  assert.match(client.console, /a message of 700000000 bytes: at most 67108864 are accepted/);
  assert.equal(vmm.end?.kind, 'killed');
});

test('a VM process that dies leaves an adapter that still answers, and leaves when told', async (t) => {
  const { client, exited, vmm } = await launchedProcess(t);
  vmm.crash();
  await client.waitFor('terminated');
  assert.match(await client.fails('pause', { threadId: 1 }), /the VM has ended/);
  await client.ask('disconnect');
  assert.equal(await exited, 0);
});
