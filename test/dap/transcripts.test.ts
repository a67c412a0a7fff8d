/**
 * Whole sessions compared with their transcripts in golden/: what a change does on the wire shows in the
 * diff.
 */
import path from 'node:path';
import { test } from 'node:test';
import {
  FIXTURES,
  initialized,
  launchArguments,
  registerGroup,
  runUntilStopped,
  stackOf,
  STEPS_C,
  type TestSession,
} from '../support/debugSession.ts';
import { assertGolden } from '../support/golden.ts';
import { transcriptOf } from '../support/transcript.ts';

const GOLDEN = path.join(import.meta.dirname, 'golden');

function check(name: string, session: TestSession): void {
  const replacements = { [session.vmm.socket]: '<socket>', [FIXTURES]: '<fixtures>' };
  assertGolden(path.join(GOLDEN, `${name}.txt`), transcriptOf(session.client, replacements));
}

test('a session with a breakpoint, steps and registers', async (t) => {
  const session = await initialized(t);
  const { client } = session;
  await client.ask('launch', launchArguments(session));
  await client.ask('setBreakpoints', { source: { path: STEPS_C }, breakpoints: [{ line: 41 }] });
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'factorial' }] });
  await client.ask('configurationDone');
  await client.waitFor('stopped');
  await client.ask('threads');
  await stackOf(client);
  await registerGroup(client, 'Control');
  await runUntilStopped(client, 'stepIn');
  await runUntilStopped(client, 'stepOut');
  await runUntilStopped(client, 'continue');
  await client.ask('disconnect');
  check('breakpointAndSteps', session);
});

test('a session whose VM ends by an error', async (t) => {
  const session = await initialized(t);
  const { client, vmm } = session;
  await client.ask('launch', launchArguments(session));
  await client.ask('configurationDone');
  vmm.fail('failure', 'KVM cannot emulate the instruction at 0x100000', 'rax 0x0\ncode at 0x100000: 0f 0b');
  await client.waitFor('stopped');
  await client.ask('exceptionInfo', { threadId: 1 });
  await client.ask('continue', { threadId: 1 });
  await client.waitFor('terminated');
  await client.ask('disconnect');
  check('vmError', session);
});
