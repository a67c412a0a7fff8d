/** Inlined copies are stepped like calls: inlined.c has no call at all below kmain. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import type { DapClient } from '../support/dapClient.ts';
import { FIXTURES, launched, place, runUntilStopped, stackOf } from '../support/debugSession.ts';

const INLINED_ELF = path.join(FIXTURES, 'inlined.elf');
const INLINED_C = path.join(FIXTURES, 'inlined.c');

async function stoppedAt(t: TestContext, line: number): Promise<DapClient> {
  const { client } = await launched(t, { kernel: INLINED_ELF });
  await client.ask('setBreakpoints', { source: { path: INLINED_C }, breakpoints: [{ line }] });
  await client.ask('configurationDone');
  await client.waitFor('stopped');
  await client.ask('setBreakpoints', { source: { path: INLINED_C }, breakpoints: [] });
  return client;
}

/** The stack after a step, without _start. */
async function step(client: DapClient, command: string): Promise<string[]> {
  assert.equal((await runUntilStopped(client, command)).reason, 'step');
  return (await stackOf(client)).map(place).slice(0, -1);
}

test('next stops at the line of an inlined call, and goes over it', async (t) => {
  const client = await stoppedAt(t, 18);
  assert.deepEqual(await step(client, 'next'), ['kmain:19']);
  assert.deepEqual(await step(client, 'next'), ['kmain:20']);
});

test('stepIn enters an inlined copy at its call, and copies inlined in it', async (t) => {
  const client = await stoppedAt(t, 18);
  assert.deepEqual(await step(client, 'stepIn'), ['kmain:19']);
  assert.deepEqual(await step(client, 'stepIn'), ['twice:11', 'kmain:19']);
  assert.deepEqual(await step(client, 'next'), ['twice:12', 'kmain:19']);
  assert.deepEqual(await step(client, 'stepIn'), ['increment:5', 'twice:12', 'kmain:19']);
  assert.deepEqual(await step(client, 'next'), ['increment:6', 'twice:12', 'kmain:19']);
});

test('stepOut leaves one inlined copy', async (t) => {
  const client = await stoppedAt(t, 5);
  assert.deepEqual((await stackOf(client)).map(place), ['increment:5', 'twice:12', 'kmain:19', '_start:27']);
  assert.deepEqual(await step(client, 'stepOut'), ['twice:12', 'kmain:19']);
  assert.deepEqual(await step(client, 'stepOut'), ['kmain:19']);
  assert.deepEqual(await step(client, 'next'), ['kmain:20']);
});

test('locals of a frame shown at an inlined call are those of the caller', async (t) => {
  const client = await stoppedAt(t, 18);
  await step(client, 'next');
  const [top] = await stackOf(client);
  assert.equal((await client.ask('evaluate', { expression: 'total', frameId: top?.id })).result, '1');
  assert.match(await client.fails('evaluate', { expression: 'n', frameId: top?.id }), /no symbol "n"/);
});

test('an instruction step at an inlined call is one instruction', async (t) => {
  const client = await stoppedAt(t, 18);
  await step(client, 'next');
  await runUntilStopped(client, 'stepIn', { threadId: 1, granularity: 'instruction' });
  const [top] = await stackOf(client);
  assert.equal(top?.instructionPointerReference, '0x100018');
  assert.equal(top?.name, 'twice');
});
