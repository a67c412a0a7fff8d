/**
 * Requests that no editor should send: each gets an answer that says what is wrong, and the session goes on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { connectAdapter, type DapClient } from '../support/dapClient.ts';
import { stackOf, stoppedAtEntry } from '../support/debugSession.ts';

/** Requests that neither end the session nor set the VM running. */
const REQUESTS = [
  'initialize',
  'launch',
  'attach',
  'setBreakpoints',
  'setFunctionBreakpoints',
  'setInstructionBreakpoints',
  'setExceptionBreakpoints',
  'breakpointLocations',
  'cancel',
  'next',
  'stepIn',
  'stepOut',
  'stackTrace',
  'scopes',
  'variables',
  'setVariable',
  'setExpression',
  'evaluate',
  'completions',
  'exceptionInfo',
  'readMemory',
  'writeMemory',
  'disassemble',
];

/** Every argument of any request. */
const KEYS = [
  ...['adapterID', 'source', 'breakpoints', 'lines', 'filters', 'filterOptions', 'line', 'column', 'endLine'],
  ...['requestId', 'progressId', 'granularity', 'threadId', 'startFrame', 'levels', 'frameId', 'format'],
  ...['variablesReference', 'filter', 'start', 'count', 'name', 'value', 'expression', 'context', 'text'],
  ...['memoryReference', 'offset', 'data', 'allowPartial', 'instructionCount', 'instructionOffset'],
];
const VALUES: readonly unknown[] = [-1, 1.5, 1e300, 2 ** 53, 0, '', 'x', true, [], [null], [{}], {}, null];

/** The answer, which must not be a bug of ours (error 1) or mention our internal names. */
async function answer(client: DapClient, command: string, args?: unknown): Promise<DebugProtocol.Response> {
  const response = await client.request(command, args as object);
  const what = `${command} ${JSON.stringify(args)}: ${response.message}`;
  const { error } = (response.body ?? {}) as { error?: { id: number } };
  assert.notEqual(error?.id, 1, what);
  assert.doesNotMatch(response.message ?? '', /undefined|not a function|not iterable|Cannot|BigInt/, what);
  return response;
}

test('every request refuses arguments of any wrong kind with a sentence', async (t) => {
  const { client } = await stoppedAtEntry(t);
  for (const command of REQUESTS) {
    for (const args of [undefined, null, 7, 'x', [], {}]) await answer(client, command, args);
    for (const value of VALUES)
      await answer(client, command, Object.fromEntries(KEYS.map((key) => [key, value])));
  }
  assert.equal((await stackOf(client))[0]?.name, '_start');
});

test('the argument that is wrong is named, with what it must be', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const wrong: readonly (readonly [string, object, string])[] = [
    ['stackTrace', {}, 'stackTrace: threadId is missing'],
    [
      'stackTrace',
      { threadId: '1' },
      'stackTrace: threadId must be a whole number from 0 to 2147483647, not "1"',
    ],
    ['stackTrace', { threadId: 9 }, 'there is no thread 9'],
    ['scopes', { frameId: 77 }, 'frame 77 is of an earlier stop'],
    [
      'variables',
      { variablesReference: 1, start: -5 },
      'variables: start must be a whole number from 0 to 2147483647, not -5',
    ],
    ['setBreakpoints', { source: {} }, 'setBreakpoints: breakpoints need a source with a path'],
    [
      'setBreakpoints',
      { source: { path: '/x.c' }, breakpoints: [{ line: 1 }, { line: null }] },
      'setBreakpoints: breakpoints[1]: line is missing',
    ],
    [
      'evaluate',
      { expression: 'x'.repeat(70_000) },
      'evaluate: expression has 70000 characters: at most 65536 are accepted',
    ],
    ['setDataBreakpoints', { breakpoints: [] }, 'request not supported: setDataBreakpoints'],
  ];
  for (const [command, args, message] of wrong) assert.equal(await client.fails(command, args), message);
});

test('a request before initialize or after disconnect is refused, and disconnect answered twice', async () => {
  const { client } = connectAdapter();
  assert.equal(await client.fails('threads'), 'threads before initialize: that comes first');
  assert.equal(await client.fails('launch', { kernel: '/x' }), 'launch before initialize: that comes first');
  await client.ask('initialize', { adapterID: 'vmm' });
  await client.ask('disconnect');
  assert.equal(await client.fails('threads'), 'threads after disconnect: the session is over');
  await client.ask('disconnect');
});

test('more than anyone looks at is refused with what is possible', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const at = { memoryReference: '0x100093' };
  const far = { ...at, instructionOffset: -1e9, instructionCount: 10 };
  assert.equal(
    await client.fails('disassemble', far),
    'disassemble: -1000000000 instructions from 0x100093: at most 100000 can be passed over, name a nearer address',
  );
  assert.match(
    await client.fails('disassemble', { ...at, instructionCount: 5_000_000 }),
    /5000000 instructions: at most 10000 can be asked for at once/,
  );
  assert.match(
    await client.fails('readMemory', { ...at, count: 2 ** 31 }),
    /readMemory of 2147483648 bytes: at most 16777216/,
  );
  assert.match(
    await client.fails('evaluate', { expression: 'x/100000000xb 0x100000', context: 'repl' }),
    /at most 4096 can be shown at once/,
  );
});

test('cancel ends a long request, and others are answered while it works', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const far = { memoryReference: '0x100093', instructionOffset: -100_000, instructionCount: 1 };
  let answered = false;
  const asked = client.request('disassemble', far).finally(() => (answered = true));
  const requestId = client.lastSeq;
  await client.ask('threads');
  assert.equal(answered, false);
  await client.ask('cancel', { requestId });
  const response = await asked;
  assert.equal(response.success, false);
  assert.equal(response.message, 'cancelled');
  await client.ask('cancel', { requestId }); // over: nothing to do
});

test('data that is not base64 is not written', async (t) => {
  const { client, vmm } = await stoppedAtEntry(t);
  const before = vmm.memory.load(0x101000n, 8);
  for (const data of ['!!!!', 'AQI', 'AQI=A', 'AQ', 'A===', 'AQ==\n', 'AR==', 'a b=', '_-8=', 'AQID=='])
    assert.match(
      await client.fails('writeMemory', { memoryReference: '0x101000', data }),
      /writeMemory: data is not base64/,
      data,
    );
  assert.equal(vmm.memory.load(0x101000n, 8), before);
  assert.deepEqual(await client.ask('writeMemory', { memoryReference: '0x101000', data: '' }), {
    offset: 0,
    bytesWritten: 0,
  });
});
