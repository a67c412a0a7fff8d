import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  launched,
  place,
  runUntilStopped,
  stackOf,
  STEPS_C,
  type Stopped,
  stoppedAtEntry,
  stoppedAtLine,
  where,
} from '../support/debugSession.ts';
import type { DapClient } from '../support/dapClient.ts';

/** Steps and returns where that led. */
async function step(client: DapClient, command: string, args: object = {}): Promise<string> {
  const stopped = await runUntilStopped(client, command, { threadId: 1, ...args });
  assert.equal(stopped.reason, 'step', `${command} ${JSON.stringify(stopped)} at ${await where(client)}`);
  return where(client);
}

test('next goes from line to line, into loops and over calls', async (t) => {
  const { client } = await stoppedAtLine(t, 54);
  const lines: string[] = [await where(client)];
  for (let i = 0; i < 11; i++) lines.push(await step(client, 'next'));
  assert.deepEqual(
    lines.map((it) => it.replace('kmain:', '')),
    ['54', '55', '56', '55', '56', '55', '56', '55', '57', '58', '59', '60'],
  );
});

test('stepIn enters a function after its prologue', async (t) => {
  const { client } = await stoppedAtLine(t, 58);
  assert.equal(await step(client, 'stepIn'), 'distance:41');
  assert.equal(await step(client, 'stepIn'), 'square:28');
});

test('stepIn passes a function without line information and stops after it', async (t) => {
  const { client } = await stoppedAtLine(t, 57);
  assert.equal(await step(client, 'stepIn'), 'kmain:58');
});

test('a step at the end of a function leads into its caller', async (t) => {
  const { client } = await stoppedAtLine(t, 29);
  assert.equal(await step(client, 'next'), 'square:30');
  assert.equal(await step(client, 'next'), 'distance:41');
  assert.equal(await step(client, 'next'), 'distance:42');
});

test('stepOut stops after the call, in the caller', async (t) => {
  const { client } = await stoppedAtLine(t, 28);
  assert.deepEqual((await stackOf(client)).map(place), ['square:28', 'distance:41', 'kmain:58', '_start:66']);
  await client.ask('setBreakpoints', { source: { path: STEPS_C }, breakpoints: [] });
  assert.equal(await step(client, 'stepOut'), 'distance:41');
  assert.equal(await step(client, 'stepOut'), 'kmain:58');
});

test('stepOut of a recursion leaves one level of it, and so does next over the call', async (t) => {
  const { client } = await stoppedAtLine(t, 34);
  assert.equal(await step(client, 'next'), 'factorial:36');
  assert.equal(await step(client, 'stepIn'), 'factorial:34');
  assert.equal((await stackOf(client)).length, 4);
  await client.ask('setBreakpoints', { source: { path: STEPS_C }, breakpoints: [] });
  assert.equal(await step(client, 'stepOut'), 'factorial:36');
  assert.equal((await stackOf(client)).length, 3);
  assert.equal(await step(client, 'next'), 'factorial:37');
  assert.equal((await stackOf(client)).length, 3);
});

test('stepOut from the first and the last instruction of a function finds the same caller', async (t) => {
  for (const name of ['*0x100000', '*0x100001', '*0x100004', '*0x100018']) {
    const { client } = await launched(t);
    await client.ask('setFunctionBreakpoints', { breakpoints: [{ name }] });
    await client.ask('configurationDone');
    await client.waitFor('stopped');
    assert.equal((await stackOf(client))[1]?.name, 'distance', name);
    assert.equal(await step(client, 'stepOut'), 'distance:41', name);
  }
});

test('stepOut where no caller is known says so', async (t) => {
  const { client } = await stoppedAtEntry(t);
  assert.match(
    await client.fails('stepOut', { threadId: 1 }),
    /no known caller: step by instruction instead/,
  );
});

test('a breakpoint inside a call stepped over stops there', async (t) => {
  const { client } = await stoppedAtLine(t, 58);
  await client.ask('setBreakpoints', { source: { path: STEPS_C }, breakpoints: [{ line: 29 }] });
  assert.equal((await runUntilStopped(client, 'next')).reason, 'breakpoint');
  assert.equal(await where(client), 'square:29');
});

test('instruction granularity steps one instruction; next steps over a call', async (t) => {
  const { client, vmm } = await stoppedAtEntry(t);
  const granularity = 'instruction';
  await step(client, 'stepIn', { granularity });
  assert.equal(vmm.cpus[0]?.rip, 0x1000fan);
  await step(client, 'next', { granularity });
  await step(client, 'stepIn', { granularity });
  assert.equal(vmm.cpus[0]?.rip, 0x100093n);
});

test('a step in code without lines is one instruction', async (t) => {
  const { client, vmm } = await launched(t);
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'plain' }] });
  await client.ask('configurationDone');
  await client.waitFor('stopped');
  assert.equal(await where(client), 'plain');
  assert.equal(await step(client, 'next'), 'plain+0x4');
  assert.equal(await step(client, 'next'), 'kmain:57');
  assert.equal(vmm.cpus[0]?.rip, 0x1000c5n);
});

test('pause ends a step that never ends by itself', async (t) => {
  const { client } = await stoppedAtLine(t, 60);
  await client.ask('next', { threadId: 1 });
  assert.equal((await runUntilStopped(client, 'pause')).reason, 'pause');
  assert.match(await where(client), /^spin:49$/);
});

test('the response that sets the VM running comes before the stop it leads to', async (t) => {
  const { client } = await stoppedAtLine(t, 54);
  await step(client, 'next');
  const said = client.transcript.map(({ message }) =>
    message.type === 'response'
      ? `response ${(message as { command?: string }).command}`
      : (message as { event?: string }).event,
  );
  assert.ok(said.indexOf('response next') < said.lastIndexOf('stopped'));
});

test('stepping a running VM is refused', async (t) => {
  const { client } = await launched(t);
  await client.ask('configurationDone');
  assert.match(await client.fails('next', { threadId: 1 }), /the VM is running: pause it/);
  assert.match(await client.fails('stackTrace', { threadId: 1 }), /the VM is running: pause it/);
  await client.ask('pause', { threadId: 1 });
  assert.equal((await client.waitFor<Stopped>('stopped')).reason, 'pause');
});
