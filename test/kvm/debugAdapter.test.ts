/** The debug adapter, the core and samples/hello together, as they are built, on the host's own KVM. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { guest } from '../guests/build.ts';
import { connectVmm, type VmmClient } from '../../vmm-core/client/vmmClient.ts';
import { serialAttach, serialInput, serialOutput } from '../../vmm-core/protocol/serial.ts';
import { type DapClient, spawnAdapter } from '../support/dapClient.ts';
import {
  membersOf,
  place,
  registerGroup,
  runUntilStopped,
  stackOf,
  type Stopped,
  where,
} from '../support/debugSession.ts';
import { within } from '../support/deadline.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { temporaryFolder } from '../support/vmmProcess.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
const ADAPTER = path.join(ROOT, 'dist', 'debug-adapter.js');
const HELLO = path.join(ROOT, 'samples', 'hello', 'hello.elf');
const MAIN_C = path.join(ROOT, 'samples', 'hello', 'src', 'main.c');
const LOOK_INTERVAL_MS = 20;
const BANNER = 'Press h for help.';

// Lines of main.c.
const ON_KEY_FIRST = 95;

/**
 * `middle` keeps neither argument in a register across its call: both are known from what `top` passed,
 * which it was passed itself.
 */
const ENTRY_VALUES = `
volatile int sink;
__attribute__((noinline)) int leaf(int a, int b) { sink = a; return sink + b; }
__attribute__((noinline)) int middle(int a, int b) {
  int triple = a * 3, product = b * 7;
  return leaf(triple, a) + triple;
}
__attribute__((noinline)) int top(int n) { int sum = middle(n, n + 5); sink = sum; return sum; }
void start(void) { for (int i = 4;; i++) top(i); }
`;

interface RealSession {
  readonly client: DapClient;
  readonly pid: number;
  readonly serial: Serial;
  readonly adapterExit: Promise<number | null>;
  readonly closeStdin: () => void;
}

/** COM1, as a terminal would be attached to it. */
class Serial {
  readonly #client: VmmClient;
  /** What no waitFor() has taken yet. */
  #text = '';
  #look: () => void = () => undefined;

  private constructor(client: VmmClient) {
    this.#client = client;
  }

  static async open(socket: string): Promise<Serial> {
    const serial = new Serial(await connectVmm(socket, { client: 'test' }));
    const take = (data: Uint8Array): void => {
      serial.#text += Buffer.from(data).toString('latin1');
      serial.#look();
    };
    const { connection } = serial.#client;
    connection.onNotification(serialOutput, ({ port, data }) => {
      if (port === 0) take(data);
    });
    take((await connection.sendRequest(serialAttach, { port: 0 })).backlog);
    return serial;
  }

  type(keys: string): void {
    void this.#client.connection.sendNotification(serialInput, { port: 0, data: Buffer.from(keys) });
  }

  /**
   * Resolves when the guest has printed `text`, and takes it: the next wait for the same text is for a new
   * one.
   */
  async waitFor(text: string): Promise<void> {
    const printed = new Promise<void>((resolve) => {
      this.#look = () => {
        const at = this.#text.indexOf(text);
        if (at < 0) return;
        this.#text = this.#text.slice(at + text.length);
        this.#look = () => undefined;
        resolve();
      };
      this.#look();
    });
    await within(printed, () => `"${text}" from the guest, which printed ${JSON.stringify(this.#text)}`);
  }

  close(): void {
    this.#client.dispose();
  }
}

async function launchHello(
  t: TestContext,
  args: object = {},
  lines: readonly number[] = [],
): Promise<RealSession> {
  const adapter = spawnAdapter(ADAPTER);
  const { client } = adapter;
  await client.ask('initialize', { adapterID: 'vmm', linesStartAt1: true, columnsStartAt1: true });
  await client.ask('launch', { name: 'hello', kernel: HELLO, memory: '64M', ...args });
  const started = client.eventsOf<{ socket: string; pid: number }>('vmm.started')[0];
  assert.ok(started);
  const serial = await Serial.open(started.socket);
  t.after(() => {
    serial.close();
    adapter.process.kill('SIGKILL');
  });
  const { breakpoints } = await setLines(client, lines);
  assert.ok(breakpoints.every((it) => it.verified));
  await client.ask('configurationDone');
  return {
    client,
    serial,
    pid: started.pid,
    adapterExit: adapter.exited,
    closeStdin: () => adapter.process.stdin?.end(),
  };
}

function setLines(
  client: DapClient,
  lines: readonly number[],
): Promise<{ breakpoints: DebugProtocol.Breakpoint[] }> {
  return client.ask('setBreakpoints', {
    source: { path: MAIN_C },
    breakpoints: lines.map((line) => ({ line })),
  });
}

/** Running until the guest waits for keys, then stopped in on_key by one. */
async function stoppedInOnKey(t: TestContext, key: string): Promise<RealSession> {
  const session = await launchHello(t, {}, [ON_KEY_FIRST]);
  await session.serial.waitFor(BANNER);
  session.serial.type(key);
  const stopped = await session.client.waitFor<Stopped>('stopped');
  assert.equal(stopped.reason, 'breakpoint');
  return session;
}

async function step(client: DapClient, command: string): Promise<string> {
  const stopped = await runUntilStopped(client, command);
  assert.equal(stopped.reason, 'step', JSON.stringify(stopped));
  return where(client);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The adapter's child, not ours: nothing tells us when it ends, so we look. */
async function waitUntilGone(pid: number): Promise<void> {
  const gone = async (): Promise<void> => {
    while (isAlive(pid)) await setTimeout(LOOK_INTERVAL_MS);
  };
  await within(gone(), `process ${pid} to end`);
}

kvmTest('a key stops at the breakpoint on its line; steps go over, into and out of functions', async (t) => {
  const { client } = await stoppedInOnKey(t, 'p');
  assert.deepEqual((await stackOf(client)).map(place).slice(0, 2), [
    `on_key:${ON_KEY_FIRST}`,
    'kernel_main:154',
  ]);
  assert.equal(await step(client, 'next'), 'on_key:96');
  assert.equal(await step(client, 'next'), 'on_key:97');
  assert.equal(await step(client, 'next'), 'on_key:99');
  assert.equal(await step(client, 'next'), 'on_key:107');
  assert.match(await step(client, 'stepIn'), /^provoke_page_fault:6[45]$/); // its opening line, or the first one
  assert.match(await step(client, 'next'), /^provoke_page_fault:6[57]$/);
  assert.equal(await step(client, 'stepOut'), 'on_key:108');
  await client.ask('disconnect');
});

kvmTest('locals and parameters show what the guest has, and can be changed', async (t) => {
  const { client, serial } = await stoppedInOnKey(t, 'k');
  const frameId = (await stackOf(client))[0]?.id;
  const { scopes } = await client.ask<DebugProtocol.ScopesResponse['body']>('scopes', { frameId });
  assert.deepEqual(
    scopes.map((it) => it.name),
    ['Locals', 'Registers'],
  );
  const locals = await membersOf(client, scopes[0]?.variablesReference ?? 0);
  assert.match(locals.get('key')?.value ?? '', /107 'k'/);
  const statistics = await membersOf(client, locals.get('statistics')?.variablesReference ?? 0);
  assert.equal(statistics.get('keys')?.value, '0');
  assert.equal(statistics.get('keys_per_second')?.indexedVariables, 8);
  const evaluated = await client.ask('evaluate', {
    expression: 'statistics->keys + 1',
    frameId,
    context: 'watch',
  });
  assert.equal(evaluated.result, '1');
  // Another key is echoed instead.
  const variablesReference = scopes[0]?.variablesReference ?? 0;
  // What is written is seen at once through the earlier handles.
  const evaluate = async (expression: string, context = 'watch'): Promise<string> =>
    (await client.ask<{ result: string }>('evaluate', { expression, frameId, context })).result;
  const shown = async (): Promise<string> =>
    `${(await membersOf(client, variablesReference)).get('key')?.value} ${await evaluate('key')}`;
  assert.equal(await evaluate('key = 104', 'repl'), "104 'h'");
  assert.equal(await shown(), "104 'h' 104 'h'");
  const set = await client.ask('setExpression', { expression: 'key', value: '105', frameId });
  assert.equal(set.value, "105 'i'");
  assert.equal(await shown(), "105 'i' 105 'i'");
  const answer = await client.ask('setVariable', { variablesReference, name: 'key', value: "'~'" });
  assert.equal(answer.value, "126 '~'");
  assert.equal(await shown(), "126 '~' 126 '~'");
  await client.ask('continue', { threadId: 1 });
  await serial.waitFor('~');
  await client.ask('disconnect');
});

kvmTest('parameters keep their values on every line of a function, after its calls too', async (t) => {
  const { client } = await stoppedInOnKey(t, 's');
  const lines = [await where(client)];
  while (lines.at(-1)?.startsWith('on_key:') === true) {
    const frameId = (await stackOf(client))[0]?.id;
    const { scopes } = await client.ask<DebugProtocol.ScopesResponse['body']>('scopes', { frameId });
    const locals = await membersOf(client, scopes[0]?.variablesReference ?? 0);
    assert.equal(locals.get('key')?.value, "115 's'", lines.at(-1));
    assert.match(locals.get('statistics')?.value ?? '', /^0x[1-9a-f]/, lines.at(-1));
    lines.push(await step(client, 'next'));
  }
  const inFunction = lines.slice(0, -1);
  assert.deepEqual(
    inFunction,
    [95, 96, 97, 99, 104, 105].map((it) => `on_key:${it}`),
  );
  await client.ask('disconnect');
});

kvmTest("a function's entry values are found through callers without call frame information", async (t) => {
  const folder = temporaryFolder(t);
  const kernel = path.join(folder, 'entry.elf');
  const source = path.join(folder, 'entry.c');
  writeFileSync(source, ENTRY_VALUES);
  const options = [
    '-O1',
    '-g',
    '-ffreestanding',
    '-fno-pic',
    '-fno-stack-protector',
    '-fno-asynchronous-unwind-tables',
  ];
  execFileSync('gcc', [...options, '-c', source, '-o', `${kernel}.o`]);
  execFileSync('objcopy', [
    '--remove-section=.debug_frame',
    '--remove-section=.rela.debug_frame',
    `${kernel}.o`,
  ]);
  const script = path.join(ROOT, 'test', 'guests', 'elf64.ld');
  execFileSync('ld', [
    '-z',
    'max-page-size=4096',
    '--build-id=none',
    '-T',
    script,
    `${kernel}.o`,
    '-o',
    kernel,
  ]);
  const session = await launchHello(t, { kernel, stopOnEntry: true });
  await session.client.waitFor('stopped');
  await session.client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'leaf' }] });
  await runUntilStopped(session.client, 'continue');
  const frames = await stackOf(session.client);
  const { scopes } = await session.client.ask<DebugProtocol.ScopesResponse['body']>('scopes', {
    frameId: frames[1]?.id,
  });
  const locals = await membersOf(session.client, scopes[0]?.variablesReference ?? 0);
  const shown = ['a', 'b', 'product'].map((name) => locals.get(name)?.value);
  assert.deepEqual([frames[1]?.name, ...shown], ['middle', '4', '9', '63']);
  await session.client.ask('disconnect');
});

kvmTest('next goes over the page fault that a line takes', async (t) => {
  const { client, serial } = await stoppedInOnKey(t, 'p');
  await setLines(client, [68]);
  await runUntilStopped(client, 'continue');
  assert.equal(await where(client), 'provoke_page_fault:68');
  assert.equal(await step(client, 'next'), 'provoke_page_fault:69');
  assert.equal(await step(client, 'next'), 'provoke_page_fault:70');
  assert.equal(await step(client, 'next'), 'on_key:108');
  await serial.waitFor('wrote 1 to');
  await client.ask('disconnect');
});

kvmTest('next goes over hlt and the interrupts that end it', async (t) => {
  const { client, serial } = await launchHello(t);
  await serial.waitFor(BANNER);
  await setLines(client, [146]);
  await client.waitFor('stopped');
  await setLines(client, []);
  assert.equal(await where(client), 'kernel_main:146');
  assert.match(await step(client, 'next'), /^kernel_main:14[89]$/);
  await client.ask('disconnect');
});

kvmTest('registers are read, set and read back; the guest goes on with them', async (t) => {
  const { client, serial } = await stoppedInOnKey(t, 'k');
  const general = await registerGroup(client, 'General');
  const set = (name: string, value: string): Promise<{ value: string }> =>
    client.ask('setVariable', { variablesReference: general.reference, name, value });
  assert.equal((await set('r12', '0x1122334455667788')).value, '0x1122334455667788');
  assert.equal((await registerGroup(client, 'General')).values.get('r12')?.value, '0x1122334455667788');
  const segments = (await registerGroup(client, 'Segment')).values;
  assert.match(segments.get('cs')?.value ?? '', /code64 DPL0$/);
  const code = await membersOf(client, segments.get('cs')?.variablesReference ?? 0);
  assert.equal(code.get('l')?.value, '1');
  const control = (await registerGroup(client, 'Control')).values;
  assert.match(control.get('cr0')?.value ?? '', /\[PG .*PE\]$/);
  assert.match(control.get('efer')?.value ?? '', /LMA.*LME/);
  const { threads } = await client.ask<{ threads: { name: string }[] }>('threads');
  assert.deepEqual(
    threads.map((it) => it.name),
    ['vCPU0 · long64 · CPL0'],
  );
  const again = await client.request('setVariable', {
    variablesReference: general.reference,
    name: 'r12',
    value: '1 +',
  });
  assert.equal(again.success, false);
  await client.ask('continue', { threadId: 1 });
  await serial.waitFor('k');
  await client.ask('disconnect');
});

kvmTest(
  'memory is read and written, linear and physical, and planted breakpoints are not seen',
  async (t) => {
    const { client } = await stoppedInOnKey(t, 'k');
    const { values } = await registerGroup(client, 'General');
    const memoryReference = values.get('rsp')?.memoryReference ?? '';
    const data = Buffer.from('a trapframe').toString('base64');
    const below = { memoryReference, offset: -256 };
    await client.ask('writeMemory', { ...below, data });
    const read = await client.ask<DebugProtocol.ReadMemoryResponse['body']>('readMemory', {
      ...below,
      count: 11,
    });
    assert.equal(read?.data, data);
    const address = BigInt(memoryReference) - 256n;
    const physical = await client.ask<DebugProtocol.ReadMemoryResponse['body']>('readMemory', {
      memoryReference: `phys:0x${address.toString(16)}`, // hello maps its memory one to one
      count: 11,
    });
    assert.equal(physical?.data, data);
    const beyond = await client.ask<DebugProtocol.ReadMemoryResponse['body']>('readMemory', {
      memoryReference: 'phys:0x3fffff8',
      count: 16,
    });
    assert.equal(beyond?.unreadableBytes, 8);

    const here = (await stackOf(client))[0]?.instructionPointerReference ?? '';
    const before = await client.ask<DebugProtocol.ReadMemoryResponse['body']>('readMemory', {
      memoryReference: here,
      count: 1,
    });
    await client.ask('setInstructionBreakpoints', {
      breakpoints: [{ instructionReference: here, mode: 'sw' }],
    });
    const after = await client.ask<DebugProtocol.ReadMemoryResponse['body']>('readMemory', {
      memoryReference: here,
      count: 1,
    });
    assert.equal(after?.data, before?.data);
    await client.ask('disconnect');
  },
);

kvmTest('disassembly agrees with the line the guest is at', async (t) => {
  const { client } = await stoppedInOnKey(t, 'k');
  const memoryReference = (await stackOf(client))[0]?.instructionPointerReference;
  const body = await client.ask<DebugProtocol.DisassembleResponse['body']>('disassemble', {
    memoryReference,
    instructionOffset: -4,
    instructionCount: 12,
    resolveSymbols: true,
  });
  assert.equal(body?.instructions.length, 12);
  assert.equal(body?.instructions[4]?.address, memoryReference);
  assert.equal(body?.instructions[4]?.line, ON_KEY_FIRST);
  assert.match(body?.instructions[4]?.symbol ?? '', /^on_key\+0x/);
  await client.ask('disconnect');
});

kvmTest(
  'the guest is stopped at its first instruction, in protected mode, and restarted there',
  async (t) => {
    const { client } = await launchHello(t, { stopOnEntry: true });
    assert.equal((await client.waitFor<Stopped>('stopped')).reason, 'entry');
    assert.match(await where(client), /^start:/);
    const { threads } = await client.ask<{ threads: { name: string }[] }>('threads');
    assert.equal(threads[0]?.name, 'vCPU0 · protected32 · CPL0');
    const first = (await stackOf(client))[0]?.instructionPointerReference;
    await runUntilStopped(client, 'stepIn', { threadId: 1, granularity: 'instruction' });
    assert.notEqual((await stackOf(client))[0]?.instructionPointerReference, first);
    assert.equal((await runUntilStopped(client, 'restart', {})).reason, 'entry');
    assert.equal((await stackOf(client))[0]?.instructionPointerReference, first);
    await client.ask('disconnect');
  },
);

kvmTest('restart runs the guest from its beginning, with its breakpoints', async (t) => {
  const { client, serial } = await stoppedInOnKey(t, 'k');
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'kernel_main' }] });
  const again = await runUntilStopped(client, 'restart', {});
  assert.equal(again.reason, 'function breakpoint');
  assert.match(await where(client), /^kernel_main:/);
  await client.ask('setFunctionBreakpoints', { breakpoints: [] });
  await client.ask('continue', { threadId: 1 });
  await serial.waitFor(BANNER);
  serial.type('z');
  await client.waitFor('stopped');
  assert.equal(await where(client), `on_key:${ON_KEY_FIRST}`);
  await client.ask('disconnect');
});

kvmTest('a reset by the guest is reported, and breakpoints hit again after it', async (t) => {
  const { client, serial } = await launchHello(t);
  await serial.waitFor(BANNER);
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'kernel_main' }] });
  serial.type('r');
  await client.waitFor('stopped');
  assert.match(await where(client), /^kernel_main:/);
  assert.match(client.console, /^the guest reset the machine \(/m);
  await client.ask('disconnect');
});

kvmTest('pause and continue, again and again', async (t) => {
  const { client, serial } = await launchHello(t);
  await serial.waitFor(BANNER);
  for (let i = 0; i < 5; i++) {
    assert.equal((await runUntilStopped(client, 'pause')).reason, 'pause');
    assert.ok((await stackOf(client)).length > 0);
    await client.ask('continue', { threadId: 1 });
  }
  serial.type('s');
  await serial.waitFor('page faults');
  await client.ask('disconnect');
});

kvmTest('terminate presses the power button and ends the VM; the process is gone', async (t) => {
  const { client, serial, pid } = await launchHello(t);
  await serial.waitFor(BANNER);
  await client.ask('terminate');
  await client.waitFor('terminated');
  await client.ask('disconnect');
  await waitUntilGone(pid);
});

kvmTest('a guest that powers off ends the session with exit code 0', async (t) => {
  const { client, serial } = await launchHello(t);
  await serial.waitFor(BANNER);
  serial.type('q');
  assert.deepEqual(await client.waitFor('exited'), { exitCode: 0 });
  await client.waitFor('terminated');
  await serial.waitFor('Goodbye.');
  assert.equal(client.eventsOf('terminated').length, 1);
});

kvmTest('a triple fault stops with the sentence and the registers', async (t) => {
  const { client, serial } = await launchHello(t);
  await serial.waitFor(BANNER);
  serial.type('x');
  const stopped = await client.waitFor<Stopped>('stopped');
  assert.equal(stopped.reason, 'exception');
  assert.match(stopped.text ?? '', /triple faulted/);
  const info = await client.ask<{ details: { stackTrace: string } }>('exceptionInfo', { threadId: 1 });
  assert.match(info.details.stackTrace, /rip|RIP/);
  assert.match(await where(client), /power_triple_fault|triple/);
  await client.ask('continue', { threadId: 1 });
  assert.deepEqual(await client.waitFor('exited'), { exitCode: 3 });
});

kvmTest('SIGKILL of the VM process ends the session with a message', async (t) => {
  const { client, serial, pid } = await launchHello(t);
  await serial.waitFor(BANNER);
  const pending = client.request('pause', { threadId: 1 });
  process.kill(pid, 'SIGKILL');
  await client.waitFor('terminated');
  await pending;
  assert.match(client.console, /the VM process was killed \(SIGKILL\)/);
  assert.match(await client.fails('stackTrace', { threadId: 1 }), /the VM has ended|the VM is running/);
  await client.ask('disconnect');
  assert.equal(client.eventsOf('terminated').length, 1);
});

kvmTest('the end of the editor ends the VM and the adapter', async (t) => {
  const { serial, pid, closeStdin, adapterExit } = await launchHello(t);
  await serial.waitFor(BANNER);
  closeStdin();
  assert.equal(await adapterExit, 0);
  await waitUntilGone(pid);
});

kvmTest('a VM left running is found again by its name, with breakpoints that hit', async (t) => {
  const first = await launchHello(t, { name: `left-${process.pid}` });
  await first.serial.waitFor(BANNER);
  const [{ name } = { name: '' }] = first.client.eventsOf<{ name: string }>('vmm.started');
  await first.client.ask('disconnect', { terminateDebuggee: false });
  assert.equal(await first.adapterExit, 0);
  assert.ok(isAlive(first.pid));

  const second = spawnAdapter(ADAPTER);
  t.after(() => second.process.kill('SIGKILL'));
  await second.client.ask('initialize', { adapterID: 'vmm' });
  await second.client.ask('attach', { vm: name });
  await setLines(second.client, [ON_KEY_FIRST]);
  await second.client.ask('configurationDone');
  first.serial.type('z');
  await second.client.waitFor('stopped');
  assert.equal(await where(second.client), `on_key:${ON_KEY_FIRST}`);
  await second.client.ask('disconnect', { terminateDebuggee: true });
  await waitUntilGone(first.pid);
});

kvmTest('each vCPU is a thread, with registers and disassembly in its own mode', async (t) => {
  const adapter = spawnAdapter(ADAPTER);
  const { client } = adapter;
  t.after(() => adapter.process.kill('SIGKILL'));
  await client.ask('initialize', { adapterID: 'vmm' });
  await client.ask('launch', { kernel: await guest('smp'), cpus: 2, memory: '32M' });
  const { breakpoints } = await client.ask<{ breakpoints: DebugProtocol.Breakpoint[] }>(
    'setFunctionBreakpoints',
    {
      breakpoints: [{ name: 'print' }],
    },
  );
  assert.equal(breakpoints[0]?.verified, true);
  await client.ask('configurationDone');
  assert.equal((await client.waitFor<Stopped>('stopped')).threadId, 1);
  const { threads } = await client.ask<{ threads: { name: string }[] }>('threads');
  assert.equal(threads[0]?.name, 'vCPU0 · protected32 · CPL0');
  assert.match(threads[1]?.name ?? '', /^vCPU1 · real · CPL0/);

  const [halted] = await stackOf(client, 2);
  assert.match(halted?.instructionPointerReference ?? '', /^cpu1:0x80/);
  const memoryReference = halted?.instructionPointerReference;
  const code = await client.ask<DebugProtocol.DisassembleResponse['body']>('disassemble', {
    memoryReference,
    instructionOffset: -1,
    instructionCount: 2,
  });
  assert.equal(code?.instructions[0]?.instruction, 'hlt');
  assert.match(code?.instructions[1]?.instruction ?? '', /^jmp short \S+ <0x80/);
  const general = await registerGroup(client, 'General', halted?.id);
  assert.match(general.values.get('eip')?.value ?? '', /^0x0000000/);

  // A step of one vCPU leaves the others where they are.
  await runUntilStopped(client, 'stepIn', { threadId: 1, granularity: 'instruction' });
  assert.equal((await stackOf(client, 2))[0]?.instructionPointerReference, memoryReference);
  await client.ask('setFunctionBreakpoints', { breakpoints: [] });
  await client.ask('disconnect');
});
