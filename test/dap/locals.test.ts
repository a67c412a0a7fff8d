import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { DapClient } from '../support/dapClient.ts';
import { membersOf, stackOf, stoppedAtEntry, stoppedAtLine } from '../support/debugSession.ts';

/** The Locals scope of the frame at `depth`. */
async function localsOf(client: DapClient, depth = 0) {
  const frameId = (await stackOf(client))[depth]?.id;
  const { scopes } = await client.ask<DebugProtocol.ScopesResponse['body']>('scopes', { frameId });
  const reference = scopes.find((it) => it.presentationHint === 'locals')?.variablesReference ?? 0;
  return { frameId, reference, values: await membersOf(client, reference) };
}

test('locals are typed, parameters first, in every frame', async (t) => {
  const { client } = await stoppedAtLine(t, 43);
  const { values } = await localsOf(client);
  assert.deepEqual(
    [...values.values()].map(({ name, value, type }) => `${type} ${name} = ${value}`),
    ['const struct point * p = 0x101000 <origin>', 'int a = 9', 'int b = 16'],
  );
  assert.equal(values.get('p')?.memoryReference, '0x101000');
  const target = await membersOf(client, values.get('p')?.variablesReference ?? 0);
  assert.deepEqual(
    [...target.values()].map(({ evaluateName, value }) => `${evaluateName} = ${value}`),
    ['p->x = 3', 'p->y = 4'],
  );
  assert.equal((await localsOf(client, 1)).values.get('total')?.value, '7');
});

test('locals and what they point to are set; a value of another kind is refused', async (t) => {
  const { client, vmm } = await stoppedAtLine(t, 43);
  const { reference, values } = await localsOf(client);
  const set = (variablesReference: number, name: string, value: string): Promise<{ value: string }> =>
    client.ask('setVariable', { variablesReference, name, value });
  assert.equal((await set(reference, 'a', '-2')).value, '-2');
  assert.equal((await set(values.get('p')?.variablesReference ?? 0, 'y', '0x10')).value, '16');
  assert.equal(vmm.memory.load(0x101004n, 4), 16n);
  assert.ok(
    (await client.fails('setVariable', { variablesReference: reference, name: 'a', value: 'apple' })).length >
      0,
  );
  assert.match(
    await client.fails('setVariable', { variablesReference: reference, name: 'c', value: '1' }),
    /no variable c here/,
  );
  const evaluated = await client.ask('evaluate', {
    expression: 'a + b',
    frameId: (await stackOf(client))[0]?.id,
  });
  assert.equal(evaluated.result, '14');
});

test('C expressions see the frame they are asked in; labels of the assembler are addresses', async (t) => {
  const { client } = await stoppedAtLine(t, 28);
  const frames = await stackOf(client);
  const evaluate = async (expression: string, depth = 0): Promise<string> =>
    (
      await client.ask<{ result: string }>('evaluate', {
        expression,
        frameId: frames[depth]?.id,
        context: 'watch',
      })
    ).result;
  assert.equal(await evaluate('n * 2'), '6');
  assert.equal(
    await evaluate('p->x == n - 0', 1).catch((error: Error) => error.message),
    'evaluate failed: no symbol "n" in the current context',
  );
  assert.equal(await evaluate('*p', 1), '{x = 3, y = 4}');
  assert.equal(await evaluate('origin.y,x'), '0x4');
  assert.equal(await evaluate('ticks'), '1234605616436508552');
  assert.match(await evaluate('stack_top'), /^0x102010 /);
});

test('the console assigns in C', async (t) => {
  const { client, vmm } = await stoppedAtLine(t, 43);
  const frameId = (await stackOf(client))[0]?.id;
  const assign = async (expression: string): Promise<string> =>
    (await client.ask<{ result: string }>('evaluate', { expression, frameId, context: 'repl' })).result;
  assert.equal(await assign('p->x = 9'), '9');
  assert.equal(vmm.memory.load(0x101000n, 4), 9n);
  assert.equal(await assign('ticks = 5'), '5');
});

test('code without debug information has registers only', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const frameId = (await stackOf(client))[0]?.id;
  const { scopes } = await client.ask<DebugProtocol.ScopesResponse['body']>('scopes', { frameId });
  assert.deepEqual(
    scopes.map((it) => it.name),
    ['Registers'],
  );
});
