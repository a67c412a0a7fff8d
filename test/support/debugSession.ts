/** A debug session of the fixture on a fake VMM, started up to the point a test is about. */
import path from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { SessionState } from '../../debug-adapter/session/sessionState.ts';
import { connectAdapter, type DapClient } from './dapClient.ts';
import { FakeVmm, type FakeVmmOptions } from './fakeVmm.ts';

export const FIXTURES = path.join(import.meta.dirname, '..', 'dap', 'fixtures');
export const STEPS_ELF = path.join(FIXTURES, 'steps.elf');
export const STEPS_C = path.join(FIXTURES, 'steps.c');

export interface TestSession {
  readonly client: DapClient;
  readonly vmm: FakeVmm;
  readonly state: SessionState;
  editorGone(): Promise<void>;
}

/** Test context of node:test, as far as needed. */
interface Cleanup {
  after(action: () => void): void;
}

const INITIALIZE: DebugProtocol.InitializeRequestArguments = {
  adapterID: 'vmm',
  clientID: 'test',
  linesStartAt1: true,
  columnsStartAt1: true,
  pathFormat: 'path',
  supportsInvalidatedEvent: true,
  supportsMemoryEvent: true,
};

export async function initialized(t: Cleanup, options: FakeVmmOptions = {}): Promise<TestSession> {
  const vmm = await FakeVmm.start(options);
  const adapter = connectAdapter();
  t.after(() => {
    adapter.state.target?.dispose();
    vmm.close();
  });
  await adapter.client.ask('initialize', INITIALIZE);
  return { ...adapter, vmm };
}

/** Launched, with breakpoints still to be set. */
export async function launched(
  t: Cleanup,
  args: object = {},
  options: FakeVmmOptions = {},
): Promise<TestSession> {
  const session = await initialized(t, options);
  await session.client.ask('launch', launchArguments(session, args));
  await session.client.waitFor('initialized');
  return session;
}

export function launchArguments(session: TestSession, args: object = {}): object {
  return { kernel: STEPS_ELF, memory: '4M', __coreSocket: session.vmm.socket, ...args };
}

/** Stopped at the first instruction. */
export async function stoppedAtEntry(
  t: Cleanup,
  args: object = {},
  options: FakeVmmOptions = {},
): Promise<TestSession> {
  const session = await launched(t, { stopOnEntry: true, ...args }, options);
  await session.client.ask('configurationDone');
  await session.client.waitFor('stopped');
  return session;
}

/** Launched and run to a line of steps.c. */
export async function stoppedAtLine(t: Cleanup, line: number, args: object = {}): Promise<TestSession> {
  const session = await launched(t, args);
  await session.client.ask('setBreakpoints', { source: { path: STEPS_C }, breakpoints: [{ line }] });
  await session.client.ask('configurationDone');
  await session.client.waitFor('stopped');
  return session;
}

export interface Stopped {
  readonly reason: string;
  readonly threadId: number;
  readonly description?: string;
  readonly text?: string;
  readonly allThreadsStopped?: boolean;
  readonly hitBreakpointIds?: readonly number[];
}

/** Sends a request that sets the VM running, and returns the stop that follows. */
export async function runUntilStopped(
  client: DapClient,
  command: string,
  args: object = { threadId: 1 },
): Promise<Stopped> {
  await client.ask(command, args);
  return client.waitFor<Stopped>('stopped');
}

export async function stackOf(client: DapClient, threadId = 1): Promise<readonly DebugProtocol.StackFrame[]> {
  return (await client.ask<DebugProtocol.StackTraceResponse['body']>('stackTrace', { threadId })).stackFrames;
}

/** `kmain:55`, or the name alone where there is no line. */
export async function where(client: DapClient, threadId = 1): Promise<string> {
  const [top] = await stackOf(client, threadId);
  return top === undefined ? 'nowhere' : place(top);
}

export function place(frame: DebugProtocol.StackFrame): string {
  return frame.line > 0 ? `${frame.name}:${frame.line}` : frame.name;
}

/** The members of a group of the Registers scope, by name. */
export async function registerGroup(
  client: DapClient,
  group: string,
  frameId?: number,
): Promise<{ readonly reference: number; readonly values: Map<string, DebugProtocol.Variable> }> {
  const frame = frameId ?? (await stackOf(client))[0]?.id;
  const { scopes } = await client.ask<DebugProtocol.ScopesResponse['body']>('scopes', { frameId: frame });
  const registers = scopes.find((it) => it.presentationHint === 'registers');
  const groups = await membersOf(client, registers?.variablesReference ?? 0);
  const reference = groups.get(group)?.variablesReference ?? 0;
  return { reference, values: await membersOf(client, reference) };
}

export async function membersOf(
  client: DapClient,
  variablesReference: number,
): Promise<Map<string, DebugProtocol.Variable>> {
  const { variables } = await client.ask<DebugProtocol.VariablesResponse['body']>('variables', {
    variablesReference,
  });
  return new Map(variables.map((it) => [it.name, it]));
}
