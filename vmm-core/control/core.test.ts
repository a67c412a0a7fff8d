import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { plannableConfig } from '../../test/support/devices.ts';
import { log } from '../log.ts';
import type { Change } from '../protocol/changes.ts';
import { STOP } from '../protocol/stopCause.ts';
import type { Client } from './client.ts';
import { Core } from './core.ts';
import { RESET_NOTICE_MS } from './resetNotices.ts';

const STOPPED = { cause: { kind: STOP.breakpoint }, cpu: 0, pc: '0x1000' } as const;
const END = { kind: STOP.powerOff, exitCode: 0, message: 'the guest powered off' } as const;

/** Records what it is told, one line each. */
class FakeClient implements Client {
  readonly name = 'test';
  readonly isDebugger: boolean;
  readonly told: string[] = [];

  constructor(isDebugger = false) {
    this.isDebugger = isDebugger;
  }

  onStopped({ breakpointIds }: { readonly breakpointIds: readonly number[] }): void {
    this.told.push(`stopped ${breakpointIds.join()}`.trim());
  }
  onResumed(): void {
    this.told.push('resumed');
  }
  onReset(message: string): void {
    this.told.push(message);
  }
  onChanged({ kind }: Change): void {
    this.told.push(`${kind} changed`);
  }
  onTrouble(message: string): void {
    this.told.push(message);
  }
  onEnded({ kind }: { readonly kind: string }): void {
    this.told.push(kind);
  }
}

/** A core without a VM, and two clients. */
function newCore(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  log.setLevel('error');
  const core = new Core();
  const [first, second] = [new FakeClient(), new FakeClient()];
  core.addClient(first);
  core.addClient(second);
  return { core, first, second };
}

test('a stop is told to every client, with the breakpoints that are its own', (t) => {
  const { core, first, second } = newCore(t);
  core.onStopped(STOPPED, [
    { owner: first, id: 1 },
    { owner: second, id: 7 },
    { owner: first, id: 2 },
    { owner: core, id: undefined },
  ]);
  assert.deepEqual([first.told, second.told], [['stopped 1,2'], ['stopped 7']]);
});

test('what one client changed is told to the others', (t) => {
  const { core, first, second } = newCore(t);
  core.onChanged({ kind: 'registers', cpu: 0, names: ['rax'] }, first);
  assert.deepEqual([first.told, second.told], [[], ['registers changed']]);
});

test('the last of many resets is reported before what happens after it', (t) => {
  const happenings: Readonly<Record<string, (core: Core) => void>> = {
    stopped: (core) => core.onStopped(STOPPED, []),
    resumed: (core) => core.onResumed(),
    powerOff: (core) => core.onEnded(END),
  };
  const { core, first } = newCore(t);
  for (const [name, happen] of Object.entries(happenings)) {
    first.told.length = 0;
    for (const message of ['first', 'second', 'third']) core.onReset(message);
    happen(core);
    assert.deepEqual(first.told, ['first', 'third', name]);
    t.mock.timers.tick(RESET_NOTICE_MS);
  }
});

test('what the host does to the guest is told to every client: a disk that fails, and lost output', (t) => {
  const { core, first, second } = newCore(t);
  t.mock.method(log, 'error', () => undefined);
  core.onTrouble('a disk is full');
  core.onOutputLost('a pipe is gone');
  assert.deepEqual([first.told, second.told], Array(2).fill(['a disk is full', 'a pipe is gone']));
});

test('a client that is gone is told nothing', (t) => {
  const { core, first, second } = newCore(t);
  core.removeClient(first);
  core.onResumed();
  assert.deepEqual([first.told, second.told], [[], ['resumed']]);
});

test('a client that goes away while its VM is being made leaves none', async (t) => {
  const { core, first } = newCore(t);
  const gone = core.create(plannableConfig(), first);
  core.removeClient(first);
  await assert.rejects(gone, /went away/);
  assert.equal(core.info().state, 'empty');
});

test('the end is told before the core says that it is over', (t) => {
  const { core, first } = newCore(t);
  core.onOver = ({ message }) => first.told.push(message);
  core.onEnded(END);
  assert.deepEqual(first.told, ['powerOff', 'the guest powered off']);
});

test('a debugger is present while one of the clients is one', (t) => {
  const { core } = newCore(t);
  const gdb = new FakeClient(true);
  assert.equal(core.debuggerPresent(), false);
  core.addClient(gdb);
  assert.equal(core.debuggerPresent(), true);
  core.removeClient(gdb);
  assert.equal(core.debuggerPresent(), false);
});
