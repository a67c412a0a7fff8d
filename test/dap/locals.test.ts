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

test('a watch is set by its expression, and to an expression', async (t) => {
  const { client, vmm } = await stoppedAtLine(t, 43);
  const frameId = (await stackOf(client))[0]?.id;
  const set = (expression: string, value: string): Promise<{ value: string; type: string }> =>
    client.ask('setExpression', { expression, value, frameId });
  assert.deepEqual(await set('p->y', 'a + 1').then(({ value, type }) => [value, type]), ['10', 'int']);
  assert.equal(vmm.memory.load(0x101004n, 4), 10n);
  assert.match(await client.fails('setExpression', { expression: 'p->z', value: '1', frameId }), /no member/);
  const { reference } = await localsOf(client);
  const changed = await client.ask<{ value: string }>('setVariable', {
    variablesReference: reference,
    name: 'a',
    value: 'b * 2 + p->x',
  });
  assert.equal(changed.value, '35');
});

test('the console knows short assignments, formats and types; a mistake is shown with its place', async (t) => {
  const { client } = await stoppedAtLine(t, 43);
  const frameId = (await stackOf(client))[0]?.id;
  const typed = async (expression: string): Promise<string> =>
    (await client.ask<{ result: string }>('evaluate', { expression, frameId, context: 'repl' })).result;
  assert.equal(await typed('p->x += 2'), '5');
  assert.equal(await typed('a++'), '10');
  assert.equal(await typed('p/x a'), '0xa');
  assert.equal(await typed('print a + 1'), '11');
  assert.equal(await typed('a,x'), '0xa');
  assert.equal(await typed('*p,x'), '{x = 0x5, y = 0x4}');
  assert.equal(await typed('whatis *p'), 'const struct point');
  assert.match(await typed('ptype struct point'), /^struct point \{\n.*int x;\n.*int y;\n\}/);
  assert.equal(
    await client.fails('evaluate', { expression: 'a + nothing * 2', frameId, context: 'repl' }),
    'no symbol "nothing" in the current context\na + nothing * 2\n    ^',
  );
  assert.match(
    await client.fails('evaluate', { expression: 'square(2)', frameId, context: 'repl' }),
    /functions of the program cannot be called/,
  );
  // What only reads changes nothing.
  assert.match(
    await client.fails('evaluate', { expression: 'a++', frameId, context: 'watch' }),
    /assignment is not allowed/,
  );
});

test('the switch to hexadecimal changes integers', async (t) => {
  const { client } = await stoppedAtLine(t, 43);
  const frameId = (await stackOf(client))[0]?.id;
  const format = { hex: true };
  const evaluated = await client.ask<{ result: string }>('evaluate', { expression: '*p', frameId, format });
  assert.equal(evaluated.result, '{x = 0x3, y = 0x4}');
  const { reference } = await localsOf(client);
  const { variables } = await client.ask<DebugProtocol.VariablesResponse['body']>('variables', {
    variablesReference: reference,
    format,
  });
  assert.deepEqual(
    variables.map(({ name, value }) => `${name} = ${value}`),
    ['p = 0x101000 <origin>', 'a = 0x9', 'b = 0x10'],
  );
});

test('the console completes members, registers and locals', async (t) => {
  const { client } = await stoppedAtLine(t, 43);
  const frameId = (await stackOf(client))[0]?.id;
  const completed = async (text: string): Promise<string[]> => {
    const { targets } = await client.ask<DebugProtocol.CompletionsResponse['body']>('completions', {
      text,
      column: text.length + 1,
      frameId,
    });
    return targets.map(({ label }) => label);
  };
  assert.deepEqual(await completed('p->'), ['x', 'y']);
  assert.deepEqual(await completed('1 + (*p).y'), ['y']);
  assert.deepEqual(await completed('b'), ['b']);
  assert.deepEqual(await completed('$r1'), ['r10', 'r11', 'r12', 'r13', 'r14', 'r15']);
  assert.deepEqual(await completed('nothing.'), []);
});

test('registers are part of expressions, also those of the system, and their halves', async (t) => {
  const { client } = await stoppedAtLine(t, 43);
  const frameId = (await stackOf(client))[0]?.id;
  const typed = async (expression: string): Promise<string> =>
    (await client.ask<{ result: string }>('evaluate', { expression, frameId, context: 'watch' })).result;
  assert.match(await typed('$rip == 0 ? 1 : 2'), /^2$/);
  assert.match(await typed('$cr0 & 1'), /^[01]$/);
  assert.equal(await typed('($eax & 0xff) == ($al & 0xff)'), '1');
  assert.match(await typed('*(int *)$rsp == *(int *)$sp'), /^1$/);
  assert.match(await typed('$sp,x'), /^0x[0-9a-f]+$/);
});

test('a client that asks for all elements gets a thousand, and a row that leads to the others', async (t) => {
  const { client } = await stoppedAtLine(t, 28);
  const frameId = (await stackOf(client))[0]?.id;
  const expression = '*(unsigned char (*)[2500])0x100000';
  const { variablesReference, indexedVariables } = await client.ask<DebugProtocol.EvaluateResponse['body']>(
    'evaluate',
    { expression, frameId, context: 'watch' },
  );
  assert.equal(indexedVariables, 2500);
  const ask = async (args: object): Promise<DebugProtocol.Variable[]> =>
    (await client.ask<DebugProtocol.VariablesResponse['body']>('variables', args)).variables;
  const seen: string[] = [];
  const more: string[] = [];
  for (let reference = variablesReference; reference !== 0;) {
    const rows = await ask({ variablesReference: reference });
    seen.push(...rows.filter((it) => it.name.startsWith('[')).map((it) => it.name));
    const last = rows.at(-1);
    const leadsOn = last?.name.startsWith('…') === true;
    if (leadsOn) more.push(`${last.name}: ${last.value}`);
    reference = leadsOn ? last.variablesReference : 0;
  }
  assert.deepEqual(more, ['… 1 500 more: unfold for the next 1 000', '… 500 more: ']);
  assert.deepEqual(
    seen,
    Array.from({ length: 2500 }, (_, i) => `[${i}]`),
  );
  // A client that pages knows the number of elements, and gets what it asked for.
  const page = await ask({ variablesReference, filter: 'indexed', start: 1000, count: 1200 });
  assert.equal(page.length, 1200);
  assert.equal(page.at(-1)?.name, '[2199]');
  assert.match(
    await client.fails('variables', { variablesReference, start: 0, count: 2_000_000 }),
    /2000000 children at once: at most 10000, ask for them in pages/,
  );
});

test('an element behind the row that leads on can be set', async (t) => {
  const { client, vmm } = await stoppedAtLine(t, 28);
  const frameId = (await stackOf(client))[0]?.id;
  const expression = '*(unsigned char (*)[2500])0x100000';
  const { variablesReference } = await client.ask<DebugProtocol.EvaluateResponse['body']>('evaluate', {
    ...{ expression, frameId, context: 'watch' },
  });
  const more = [...(await membersOf(client, variablesReference)).values()].at(-1)?.variablesReference ?? 0;
  await client.ask('setVariable', { variablesReference: more, name: '[1234]', value: '77' });
  assert.equal(vmm.memory.load(0x100000n + 1234n, 1), 77n);
  assert.equal((await membersOf(client, more)).get('[1234]')?.value, "77 'M'");
});
