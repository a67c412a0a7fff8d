import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { DapClient } from '../support/dapClient.ts';
import {
  initialized,
  launchArguments,
  launched,
  runUntilStopped,
  stackOf,
  STEPS_C,
  STEPS_ELF,
  type Stopped,
  where,
} from '../support/debugSession.ts';

interface Breakpoints {
  readonly breakpoints: readonly DebugProtocol.Breakpoint[];
}

function setLines(client: DapClient, lines: readonly number[], file = STEPS_C): Promise<Breakpoints> {
  return client.ask('setBreakpoints', {
    source: { path: file },
    breakpoints: lines.map((line) => ({ line })),
  });
}

test('a source breakpoint is verified at the line that has code', async (t) => {
  const { client, vmm } = await launched(t);
  const { breakpoints } = await setLines(client, [28, 31, 55]);
  assert.deepEqual(
    breakpoints.map(({ verified, line }) => ({ verified, line })),
    [
      { verified: true, line: 28 },
      { verified: true, line: 33 }, // 31 is empty: the next code is the opening of factorial
      { verified: true, line: 55 },
    ],
  );
  assert.ok(vmm.breakpoints.some((it) => it.address === '0x10000b'));
});

test('a hit names its breakpoint and the kind of it', async (t) => {
  const { client } = await launched(t);
  const { breakpoints } = await setLines(client, [28, 29]);
  await client.ask('configurationDone');
  const first = await client.waitFor<Stopped>('stopped');
  assert.equal(first.reason, 'breakpoint');
  assert.deepEqual(first.hitBreakpointIds, [breakpoints[0]?.id]);
  assert.equal(await where(client), 'square:28');
  const second = await runUntilStopped(client, 'continue');
  assert.deepEqual(second.hitBreakpointIds, [breakpoints[1]?.id]);
});

test('a breakpoint keeps its id when its file is set again', async (t) => {
  const { client } = await launched(t);
  const before = await setLines(client, [28, 29]);
  const after = await setLines(client, [29, 41, 28]);
  assert.deepEqual(
    [after.breakpoints[2]?.id, after.breakpoints[0]?.id],
    before.breakpoints.map((it) => it.id),
  );
});

test('breakpoints set before the launch are pending, and are announced when symbols come', async (t) => {
  const session = await initialized(t);
  const { client } = session;
  const [early] = (await setLines(client, [28])).breakpoints;
  assert.equal(early?.verified, false);
  assert.equal(early?.reason, 'pending');
  assert.equal(early?.message, 'symbols are not loaded yet');
  await client.ask('launch', launchArguments(session));
  const changed = await client.waitFor<{ reason: string; breakpoint: DebugProtocol.Breakpoint }>(
    'breakpoint',
  );
  assert.equal(changed.reason, 'changed');
  assert.equal(changed.breakpoint.id, early?.id);
  assert.equal(changed.breakpoint.verified, true);
});

test('a line or file without code stays pending and says why', async (t) => {
  const { client } = await launched(t);
  const [late] = (await setLines(client, [4000])).breakpoints;
  assert.equal(late?.verified, false);
  assert.match(late?.message ?? '', /no code at or after line 4000/);
  const [other] = (await setLines(client, [3], '/elsewhere/other.c')).breakpoints;
  assert.match(other?.message ?? '', /other\.c is not in the debug information of steps\.elf/);
});

test('function breakpoints take names, symbols without DWARF, addresses and offsets', async (t) => {
  const { client } = await launched(t);
  const names = ['square', 'plain', '*0x100093', 'square+0xb', '*kmain+8', 'nothing', '*$rip'];
  const { breakpoints } = await client.ask<Breakpoints>('setFunctionBreakpoints', {
    breakpoints: names.map((name) => ({ name })),
  });
  assert.deepEqual(
    breakpoints.map((it) => it.instructionReference ?? it.message),
    [
      '0x10000b',
      '0x1000ee',
      '0x100093',
      '0x10000b',
      '0x10009b',
      'no function "nothing" in steps.elf',
      'no register $rip',
    ],
  );
  assert.equal(breakpoints[0]?.line, 28);
  await client.ask('configurationDone');
  assert.equal((await client.waitFor<Stopped>('stopped')).reason, 'function breakpoint');
});

test('instruction breakpoints stop at their address', async (t) => {
  const { client, vmm } = await launched(t);
  const { breakpoints } = await client.ask<Breakpoints>('setInstructionBreakpoints', {
    breakpoints: [
      { instructionReference: '0x100093', offset: 1 },
      { instructionReference: 'phys:0x1000' },
      { instructionReference: 'x' },
    ],
  });
  assert.deepEqual(
    breakpoints.map((it) => it.verified),
    [true, false, false],
  );
  await client.ask('configurationDone');
  assert.equal((await client.waitFor<Stopped>('stopped')).reason, 'instruction breakpoint');
  assert.equal(vmm.cpus[0]?.rip, 0x100094n);
});

test('the mode of a breakpoint reaches the VM; without one it is that of the launch', async (t) => {
  const { client, vmm } = await launched(t, { breakpointMode: 'sw' });
  const source = { path: STEPS_C };
  await client.ask('setBreakpoints', { source, breakpoints: [{ line: 28 }, { line: 29, mode: 'hw' }] });
  assert.deepEqual(
    vmm.breakpoints.map((it) => it.mode),
    ['sw', 'hw'],
  );
});

test('a breakpoint the VM cannot arm is failed, with the reason', async (t) => {
  const { client } = await launched(t, { breakpointMode: 'hw' });
  const { breakpoints } = await setLines(client, [28, 29, 41, 42, 43]);
  assert.deepEqual(
    breakpoints.map((it) => it.verified),
    [true, true, true, true, false],
  );
  assert.equal(breakpoints[4]?.reason, 'failed');
  assert.equal(breakpoints[4]?.message, 'all 4 debug registers are used');
});

test('breakpointLocations lists the lines that have code', async (t) => {
  const { client } = await launched(t);
  const { breakpoints } = await client.ask<Breakpoints>('breakpointLocations', {
    source: { path: STEPS_C },
    line: 26,
    endLine: 36,
  });
  assert.deepEqual(
    breakpoints.map((it) => it.line),
    [27, 28, 29, 30, 33, 34, 35, 36],
  );
});

test('breakpoints can be set while the VM runs', async (t) => {
  const { client } = await launched(t);
  await client.ask('configurationDone');
  const { breakpoints } = await setLines(client, [49]);
  assert.equal(breakpoints[0]?.verified, true);
  const stopped = await client.waitFor<Stopped>('stopped');
  assert.deepEqual(stopped.hitBreakpointIds, [breakpoints[0]?.id]);
});

test('run without debugging sets no breakpoints', async (t) => {
  const { client, vmm } = await launched(t, { noDebug: true });
  const { breakpoints } = await setLines(client, [28]);
  assert.equal(breakpoints[0]?.verified, false);
  assert.deepEqual(vmm.breakpoints, []);
});

test('clients that count lines from 0 are answered that way', async (t) => {
  const session = await initialized(t);
  const { client } = session;
  await client.ask('initialize', { adapterID: 'vmm', linesStartAt1: false, columnsStartAt1: false });
  await client.ask('launch', launchArguments(session));
  const { breakpoints } = await setLines(client, [27]);
  assert.equal(breakpoints[0]?.line, 27);
  await client.ask('configurationDone');
  await client.waitFor('stopped');
  const [top] = await stackOf(client);
  assert.equal(top?.line, 27);
});

test('restart reads a rebuilt kernel and announces breakpoints that moved', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'rebuilt-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const kernel = path.join(folder, 'steps.elf');
  const source = path.join(folder, 'steps.c');
  copyFileSync(STEPS_ELF, kernel);
  copyFileSync(STEPS_C, source);
  const { client } = await launched(t, { kernel });
  const [before] = (await setLines(client, [28], source)).breakpoints;
  assert.equal(before?.verified, true);
  await client.ask('configurationDone');
  await client.waitFor('stopped');
  assert.equal((await stackOf(client))[0]?.source?.path, source);
  copyFileSync(STEPS_ELF, `${kernel}.new`);
  rmSync(kernel);
  copyFileSync(`${kernel}.new`, kernel);
  await runUntilStopped(client, 'restart', {});
  assert.match(client.console, /the kernel was rebuilt: its symbols were read again/);
  assert.equal(await where(client), 'square:28');
});

test('a breakpoint with a condition, a hit count or a log message is off and says why', async (t) => {
  const { client, vmm } = await launched(t);
  const refused = (what: string) => ({
    verified: false,
    reason: 'failed',
    message: `${what} cannot be evaluated yet: the breakpoint is off until it has none`,
  });
  const standing = ({ breakpoints }: Breakpoints) =>
    breakpoints.map(({ verified, reason, message }) => ({ verified, reason, message }));
  const set = (command: string, breakpoints: object[], more: object = {}): Promise<Breakpoints> =>
    client.ask(command, { ...more, breakpoints });
  const lines = await set(
    'setBreakpoints',
    [
      { line: 28, condition: 'n == 3' },
      { line: 28, hitCondition: '2' },
      { line: 28, logMessage: 'n is {n}', hitCondition: '>1' },
    ],
    { source: { path: STEPS_C } },
  );
  assert.deepEqual(standing(lines), [
    refused('a condition'),
    refused('a hit count'),
    refused('a hit count and a log message'),
  ]);
  assert.equal(lines.breakpoints[0]?.line, 28);
  assert.deepEqual(standing(await set('setFunctionBreakpoints', [{ name: 'square', condition: 'n' }])), [
    refused('a condition'),
  ]);
  assert.deepEqual(
    standing(
      await set('setInstructionBreakpoints', [{ instructionReference: '0x100093', hitCondition: '5' }]),
    ),
    [refused('a hit count')],
  );
  assert.deepEqual(vmm.breakpoints, []);
  // Editors send an empty text for a condition that was removed.
  const removed = await set('setBreakpoints', [{ line: 28, condition: ' ', logMessage: '' }], {
    source: { path: STEPS_C },
  });
  assert.equal(removed.breakpoints[0]?.verified, true);
  assert.equal(vmm.breakpoints.length, 1);
});

test('exception filters, none of which is advertised, are not verified', async (t) => {
  const { client } = await launched(t);
  const { breakpoints } = await client.ask<{ breakpoints: DebugProtocol.Breakpoint[] }>(
    'setExceptionBreakpoints',
    { filters: ['all'], filterOptions: [{ filterId: 'uncaught', condition: 'x' }] },
  );
  assert.deepEqual(
    breakpoints.map((it) => it.verified),
    [false, false],
  );
  assert.deepEqual(await client.ask('setExceptionBreakpoints', { filters: [] }), { breakpoints: [] });
});
