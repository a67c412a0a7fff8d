/** After a write nothing older is shown: not in its answer, not through the handles that the client has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { DapClient } from '../support/dapClient.ts';
import { connectVmm } from '../../vmm-core/client/vmmClient.ts';
import { writeMemory } from '../../vmm-core/protocol/memory.ts';
import { writeRegisters } from '../../vmm-core/protocol/registers.ts';
import { membersOf, registerGroup, stackOf, stoppedAtLine } from '../support/debugSession.ts';

async function localsOf(client: DapClient) {
  const frameId = (await stackOf(client))[0]?.id ?? 0;
  const { scopes } = await client.ask<DebugProtocol.ScopesResponse['body']>('scopes', { frameId });
  return { frameId, reference: scopes[0]?.variablesReference ?? 0 };
}

function evaluator(client: DapClient, frameId: number) {
  return async (expression: string, context = 'watch'): Promise<string> =>
    (await client.ask<{ result: string }>('evaluate', { expression, context, frameId })).result;
}

test('a register written in any way is seen by watches, variables and the frames they depend on', async (t) => {
  const { client, vmm } = await stoppedAtLine(t, 43);
  const { frameId, reference } = await localsOf(client);
  const evaluate = evaluator(client, frameId);
  const rbp = vmm.cpus[0]?.registers.rbp ?? 0n;
  // The locals of this frame are at RBP - n: they follow RBP.
  const there = rbp - 0x100n;
  assert.equal(await evaluate('a'), '9');
  const writes: readonly (() => Promise<unknown>)[] = [
    () => evaluate(`$rbp = 0x${there.toString(16)}`, 'repl'),
    () => client.ask('setExpression', { expression: '$rbp', value: `0x${there.toString(16)}`, frameId }),
    async () => {
      const { reference: general } = await registerGroup(client, 'General', frameId);
      await client.ask('setVariable', {
        variablesReference: general,
        name: 'rbp',
        value: `0x${there.toString(16)}`,
      });
    },
  ];
  for (const write of writes) {
    await evaluate(`$rbp = 0x${rbp.toString(16)}`, 'repl');
    assert.equal((await membersOf(client, reference)).get('a')?.value, '9');
    await write();
    assert.equal((await membersOf(client, reference)).get('a')?.value, '0');
    assert.equal(await evaluate('a'), '0');
    assert.ok((await evaluate('$rbp')).startsWith(`0x${there.toString(16)} `));
  }
});

test('a pointer that was set expands to what it now points to, through the handle it had before', async (t) => {
  const { client } = await stoppedAtLine(t, 43);
  const { frameId, reference } = await localsOf(client);
  const evaluate = evaluator(client, frameId);
  const p = (await membersOf(client, reference)).get('p')?.variablesReference ?? 0;
  assert.equal((await membersOf(client, p)).get('x')?.value, '3');
  assert.match(await evaluate('p = (struct point *)&p->y', 'repl'), /^0x101004/);
  assert.equal((await membersOf(client, p)).get('x')?.value, '4');
});

test('memory written by writeMemory is seen by the values stored there and by the stack', async (t) => {
  const { client, vmm } = await stoppedAtLine(t, 28);
  const before = await stackOf(client);
  const frameId = before[0]?.id ?? 0;
  const rbp = vmm.cpus[0]?.registers.rbp ?? 0n;
  // The return address: to the second instruction of factorial.
  const data = Buffer.from('1a00100000000000', 'hex').toString('base64');
  await client.ask('writeMemory', { memoryReference: `0x${(rbp + 8n).toString(16)}`, data });
  assert.equal((await stackOf(client))[1]?.name, 'factorial');
  assert.equal(await evaluator(client, frameId)('n'), '3');
  const invalidated = client.eventsOf<{ areas: string[] }>('invalidated');
  assert.deepEqual(invalidated.at(-1)?.areas, ['stacks', 'variables']);
});

test('what another debugger of the VM writes is shown without another stop', async (t) => {
  const { client, vmm } = await stoppedAtLine(t, 43);
  const { frameId, reference } = await localsOf(client);
  const evaluate = evaluator(client, frameId);
  assert.equal(await evaluate('$rax'), '0x10 (16)');
  assert.equal((await membersOf(client, reference)).get('a')?.value, '9');
  const other = await connectVmm(vmm.socket, { client: 'test', debugger: true });
  t.after(() => other.dispose());
  await other.connection.sendRequest(writeRegisters, { cpu: 0, values: { rax: '0x55' } });
  assert.deepEqual(await client.waitFor('invalidated'), { areas: ['variables'], threadId: 1 });
  assert.equal(await evaluate('$rax'), '0x55 (85)');
  const { memoryReference } = (await membersOf(client, reference)).get('a') ?? {};
  const address = memoryReference ?? '';
  await other.connection.sendRequest(writeMemory, { address, data: Uint8Array.of(8) });
  assert.deepEqual(await client.waitFor('memory'), { memoryReference: address, offset: 0, count: 1 });
  assert.equal((await membersOf(client, reference)).get('a')?.value, '8');
});
