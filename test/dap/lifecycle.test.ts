import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { socketPath } from '../../vmm-core/client/runtimeDir.ts';
import { ErrorCode } from '../../vmm-core/protocol/errors.ts';
import { parseVmConfig } from '../../vmm-core/config/parseVmConfig.ts';
import { FakeVmm } from '../support/fakeVmm.ts';
import {
  initialized,
  launchArguments,
  launched,
  runUntilStopped,
  STEPS_ELF,
  type Stopped,
  stoppedAtEntry,
  where,
} from '../support/debugSession.ts';

/** A folder for this test's own control sockets. */
function ownRuntimeDir(t: TestContext): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'run-'));
  const before = process.env.XDG_RUNTIME_DIR;
  process.env.XDG_RUNTIME_DIR = folder;
  t.after(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
    rmSync(folder, { recursive: true, force: true });
  });
}

function config() {
  const parsed = parseVmConfig({ kernel: STEPS_ELF, memory: '4M', name: 'running' });
  assert.ok(parsed.config);
  return parsed.config;
}

/** Capabilities that promise a request. */
const CAPABILITY_REQUESTS: Readonly<Record<string, string>> = {
  supportsConfigurationDoneRequest: 'configurationDone',
  supportsFunctionBreakpoints: 'setFunctionBreakpoints',
  supportsInstructionBreakpoints: 'setInstructionBreakpoints',
  supportsBreakpointLocationsRequest: 'breakpointLocations',
  supportsSetVariable: 'setVariable',
  supportsSetExpression: 'setExpression',
  supportsCompletionsRequest: 'completions',
  supportsExceptionInfoRequest: 'exceptionInfo',
  supportsReadMemoryRequest: 'readMemory',
  supportsWriteMemoryRequest: 'writeMemory',
  supportsDisassembleRequest: 'disassemble',
  supportsRestartRequest: 'restart',
  supportsTerminateRequest: 'terminate',
  supportsCancelRequest: 'cancel',
};
/** Capabilities that promise something about the requests every adapter has. */
const OTHER_CAPABILITIES = [
  'breakpointModes',
  'completionTriggerCharacters',
  'supportsClipboardContext',
  'supportsDelayedStackTraceLoading',
  'supportsEvaluateForHovers',
  'supportsSteppingGranularity',
  'supportsValueFormattingOptions',
  'supportSuspendDebuggee',
  'supportTerminateDebuggee',
];

test('initialize advertises exactly what is known here, and each request it promises has a handler', async (t) => {
  const { client } = await initialized(t);
  const capabilities = await client.ask('initialize', { adapterID: 'vmm' });
  // Conditions, hit counts, log points and data breakpoints are not among them.
  assert.deepEqual(
    Object.keys(capabilities).sort(),
    [...Object.keys(CAPABILITY_REQUESTS), ...OTHER_CAPABILITIES].sort(),
  );
  for (const [capability, request] of Object.entries(CAPABILITY_REQUESTS)) {
    assert.equal(capabilities[capability], true, capability);
    const { message = '' } = await client.request(request);
    assert.doesNotMatch(message, /request not supported/, request);
  }
});

test('an unknown request is refused, and the session goes on', async (t) => {
  const { client } = await initialized(t);
  assert.match(await client.fails('toString'), /request not supported: toString/);
  assert.deepEqual(await client.ask('threads'), { threads: [] });
});

test('launch with stopOnEntry stops at the first instruction', async (t) => {
  const { client, vmm } = await launched(t, { stopOnEntry: true });
  await client.ask('configurationDone');
  const stopped = await client.waitFor<Stopped>('stopped');
  assert.equal(stopped.reason, 'entry');
  assert.equal(stopped.allThreadsStopped, true);
  assert.equal(stopped.threadId, 1);
  assert.equal(vmm.state, 'paused');
});

test('launch without stopOnEntry runs once the configuration is done, not before', async (t) => {
  const { client, vmm } = await launched(t);
  assert.equal(vmm.state, 'paused');
  await client.ask('configurationDone');
  assert.equal(vmm.state, 'running');
  assert.equal(client.eventsOf('stopped').length, 0);
});

test('launch tells the extension where the VM listens and where its serial ports go', async (t) => {
  const { client, vmm } = await launched(t, { name: 'My kernel', serial: { com2: 'file:/tmp/x' } });
  const [started] = client.eventsOf('vmm.started');
  assert.deepEqual(started, {
    socket: vmm.socket,
    name: 'My-kernel',
    pid: 4242,
    serial: [
      { port: 0, kind: 'client' },
      { port: 1, kind: 'file', path: '/tmp/x' },
      { port: 2, kind: 'null' },
      { port: 3, kind: 'null' },
    ],
  });
});

test('a launch argument that is wrong is named, with what is accepted', async (t) => {
  const session = await initialized(t);
  const response = await session.client.request(
    'launch',
    launchArguments(session, { kernal: 'x', cpus: 0, breakpointMode: 'soft' }),
  );
  assert.equal(response.success, false);
  assert.match(response.message ?? '', /"kernal" is not a known setting; did you mean "kernel"\?/);
  assert.match(response.message ?? '', /"cpus" must be a whole number from 1 to 64, not 0/);
  assert.match(response.message ?? '', /"breakpointMode" must be one of auto, hw, sw, not "soft"/);
  assert.equal((response.body as { error: { showUser: boolean } }).error.showUser, true);
  assert.deepEqual(session.vmm.requests, []);
});

test('what the core refuses to create is the error of launch, and the next launch is served', async (t) => {
  const session = await initialized(t, {
    createError: { code: ErrorCode.Host, message: 'no permission on /dev/kvm' },
  });
  assert.equal(await session.client.fails('launch', launchArguments(session)), 'no permission on /dev/kvm');
  const other = await FakeVmm.start();
  t.after(() => other.close());
  await session.client.ask('launch', { ...launchArguments(session), __coreSocket: other.socket });
});

test('a second launch in one session is refused', async (t) => {
  const session = await launched(t);
  assert.match(await session.client.fails('launch', launchArguments(session)), /already debugs a VM/);
});

test('a control socket that is missing, stale or foreign is the error of attach', async (t) => {
  const { client } = await initialized(t);
  const folder = mkdtempSync(path.join(tmpdir(), 'attach-'));
  const foreign = path.join(folder, 'foreign.sock');
  const server = createServer((socket) => socket.end('220 mail.example ready\r\n'));
  await new Promise<void>((resolve) => server.listen(foreign, resolve));
  t.after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  assert.match(
    await client.fails('attach', { socket: path.join(folder, 'none.sock') }),
    /no VM is listening at .*none\.sock/,
  );
  assert.match(await client.fails('attach', { socket: foreign }), /is a socket of another program/);
  assert.match(
    await client.fails('attach', { vm: 'x', kernle: 'y' }),
    /"kernle" is not a known setting; did you mean "kernel"/,
  );
});

test('attach without "vm" takes the VM of that name or the only one, and names them where there are several', async (t) => {
  ownRuntimeDir(t);
  const { client } = await initialized(t);
  assert.equal(
    await client.fails('attach', { name: 'Attach' }),
    '"vm" is missing, the name of a running VM: none is running; start one with "vmm run", or launch instead of attaching',
  );
  const alpine = await FakeVmm.start({ socket: socketPath('alpine') });
  t.after(() => alpine.close());
  alpine.createNow({ ...config(), name: 'alpine' });
  assert.equal(
    await client.fails('attach', { vm: 'alpin' }),
    'no VM named "alpin" is running: alpine is running; write "vm": "alpine"',
  );
  const hello = await FakeVmm.start({ socket: socketPath('hello') });
  t.after(() => hello.close());
  hello.createNow({ ...config(), name: 'hello' });
  assert.equal(
    await client.fails('attach', { name: 'Attach', vm: '' }),
    '"vm" is missing, the name of a running VM: alpine, hello are running; write "vm": "alpine"',
  );
  await client.ask('attach', { name: 'hello' });
  assert.equal(client.eventsOf<{ name: string }>('vmm.started')[0]?.name, 'hello');
  alpine.crash();
  hello.crash();

  const only = await FakeVmm.start({ socket: socketPath('only') });
  const second = await initialized(t);
  t.after(() => only.close());
  only.createNow({ ...config(), name: 'only' });
  await second.client.ask('attach', { name: 'Attach' });
  assert.match(second.client.console, /attached to only, the only VM that is running/);
});

test('attach to a paused VM shows it stopped; its symbols come from its own kernel', async (t) => {
  const { client, vmm } = await initialized(t);
  vmm.createNow(config());
  await client.ask('attach', { socket: vmm.socket });
  await client.ask('configurationDone');
  assert.equal((await client.waitFor<Stopped>('stopped')).reason, 'pause');
  assert.match(await where(client), /_start/);
});

test('attach to a running VM leaves it running until it is paused', async (t) => {
  const { client, vmm } = await initialized(t);
  vmm.createNow(config());
  vmm.resumeNow();
  await client.ask('attach', { socket: vmm.socket });
  await client.ask('configurationDone');
  assert.equal(client.eventsOf('stopped').length, 0);
  assert.deepEqual(await client.ask('threads'), { threads: [{ id: 1, name: 'vCPU0' }] });
  assert.equal((await runUntilStopped(client, 'pause')).reason, 'pause');
});

test('attach to a process without a VM is refused', async (t) => {
  const { client, vmm } = await initialized(t);
  assert.match(await client.fails('attach', { socket: vmm.socket }), /has no VM yet/);
});

test('disconnect kills a launched VM, and says so once', async (t) => {
  const { client, vmm } = await stoppedAtEntry(t);
  await client.ask('disconnect');
  assert.equal(vmm.end?.kind, 'killed');
  assert.equal(client.eventsOf('terminated').length, 1);
  assert.equal(client.eventsOf('exited').length, 1);
});

test('disconnect with terminateDebuggee false leaves a launched VM running, without our breakpoints', async (t) => {
  const { client, vmm } = await launched(t, { stopOnEntry: true });
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: '*0x100000' }] });
  await client.ask('configurationDone');
  await client.waitFor('stopped');
  assert.equal(vmm.breakpoints.length, 1);
  await client.ask('disconnect', { terminateDebuggee: false });
  assert.equal(vmm.end, undefined);
  assert.equal(vmm.detached, true);
  assert.equal(vmm.state, 'running');
  assert.deepEqual(vmm.breakpoints, []);
});

test('disconnect with suspendDebuggee leaves the VM paused', async (t) => {
  const { client, vmm } = await launched(t);
  await client.ask('configurationDone');
  await client.ask('disconnect', { terminateDebuggee: false, suspendDebuggee: true });
  assert.equal(vmm.state, 'paused');
  assert.equal(vmm.end, undefined);
});

test('disconnect from an attached VM leaves it running; terminateDebuggee ends it', async (t) => {
  const first = await initialized(t);
  first.vmm.createNow(config());
  await first.client.ask('attach', { socket: first.vmm.socket });
  await first.client.ask('configurationDone');
  await first.client.waitFor('stopped');
  await first.client.ask('disconnect');
  assert.equal(first.vmm.state, 'running');

  const second = await initialized(t);
  second.vmm.createNow(config());
  await second.client.ask('attach', { socket: second.vmm.socket });
  await second.client.ask('configurationDone');
  await second.client.ask('disconnect', { terminateDebuggee: true });
  assert.equal(second.vmm.end?.kind, 'killed');
});

test('what the host does to a running guest is shown at once, where the user looks, and the guest runs on', async (t) => {
  const { client, vmm } = await launched(t);
  await client.ask('configurationDone');
  const message =
    'cannot write "/tmp/disk.qcow2": ENOSPC (no space left on device); free some space and let the guest try again';
  vmm.trouble(message);
  assert.deepEqual(await client.waitFor('output'), { category: 'important', output: `${message}\n` });
  assert.equal(vmm.end, undefined);
});

test('what the host does to a guest is left to a client that has its own way to show it', async (t) => {
  const { client, vmm } = await launched(t, { __showsTrouble: true });
  await client.ask('configurationDone');
  vmm.trouble('a disk is full');
  assert.deepEqual(await client.waitFor('output'), { category: 'stderr', output: 'a disk is full\n' });
  assert.deepEqual(await client.waitFor('vmm.trouble'), { message: 'a disk is full' });
});

test('terminate presses the power button of a running guest', async (t) => {
  const { client, vmm } = await launched(t, {}, { onPowerButton: 'powersOff' });
  await client.ask('configurationDone');
  await client.ask('terminate');
  assert.deepEqual(await client.waitFor('exited'), { exitCode: 0 });
  await client.waitFor('terminated');
  assert.equal(vmm.end?.kind, 'powerOff');
  assert.match(client.console, /the guest powered off/);
});

test('a second terminate kills a guest that ignores its power button', async (t) => {
  const { client, vmm } = await launched(t);
  await client.ask('configurationDone');
  await client.ask('terminate');
  assert.equal(vmm.state, 'running');
  await client.ask('terminate');
  await client.waitFor('terminated');
  assert.equal(vmm.end?.kind, 'killed');
});

test('a guest that ignores its power button is killed after a few seconds', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { client, vmm } = await launched(t);
  await client.ask('configurationDone');
  await client.ask('terminate');
  assert.equal(vmm.state, 'running');
  t.mock.timers.tick(5000);
  await client.waitFor('terminated');
  assert.match(client.console, /did not react to its power button/);
});

test('terminate kills at once when the guest is paused or has no power button', async (t) => {
  const paused = await stoppedAtEntry(t);
  await paused.client.ask('terminate');
  await paused.client.waitFor('terminated');
  assert.ok(!paused.vmm.requests.includes('powerButton'));

  const deaf = await launched(t, {}, { onPowerButton: 'notListening' });
  await deaf.client.ask('configurationDone');
  await deaf.client.ask('terminate');
  await deaf.client.waitFor('terminated');
  assert.equal(deaf.vmm.end?.kind, 'killed');
});

test('restart resets the VM and runs it again; breakpoints stay', async (t) => {
  const { client, vmm } = await launched(t);
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: '*0x100093' }] });
  await client.ask('configurationDone');
  await client.waitFor('stopped');
  const again = await runUntilStopped(client, 'restart', {});
  assert.equal(again.reason, 'function breakpoint');
  assert.ok(vmm.requests.includes('reset'));
  assert.equal(client.eventsOf('terminated').length, 0);
});

test('restart with stopOnEntry stops at the first instruction again', async (t) => {
  const { client, vmm } = await stoppedAtEntry(t);
  await client.ask('stepIn', { threadId: 1, granularity: 'instruction' });
  await client.waitFor('stopped');
  assert.equal((await runUntilStopped(client, 'restart', {})).reason, 'entry');
  assert.equal(vmm.cpus[0]?.rip, 0x1000f3n);
});

test("restart applies the debugger's part of a changed configuration, and names what it cannot apply", async (t) => {
  const session = await stoppedAtEntry(t);
  const changed = launchArguments(session, { stopOnEntry: true, memory: '8M', name: 'other' });
  assert.equal((await runUntilStopped(session.client, 'restart', { arguments: changed })).reason, 'entry');
  assert.match(session.client.console, /the changed memoryBytes take effect at the next launch/);
  const running = launchArguments(session, { stopOnEntry: false });
  await session.client.ask('restart', { arguments: running });
  assert.deepEqual(await session.client.waitFor('continued'), { threadId: 1, allThreadsContinued: true });
  assert.match(
    await session.client.fails('restart', { arguments: { kernel: 1 } }),
    /"kernel" must be a string/,
  );
});

test('a VM process that dies ends the session with a message, and answers what was pending', async (t) => {
  const { client, vmm } = await launched(t);
  await client.ask('configurationDone');
  vmm.stopAnswering();
  const pending = client.request('readMemory', { memoryReference: '0x1000', count: 16 });
  await vmm.asked('readMemory');
  vmm.crash();
  const response = await pending;
  assert.equal(response.success, false);
  assert.equal(response.message, 'the VM has ended');
  await client.waitFor('terminated');
  assert.match(client.console, /the VM process \(pid 4242\) was killed or crashed/);
  assert.match(await client.fails('continue', { threadId: 1 }), /the VM has ended/);
  assert.match(
    await client.fails('readMemory', { memoryReference: '0x1000', count: 16 }),
    /the VM has ended/,
  );
  await client.ask('disconnect');
  assert.equal(client.eventsOf('terminated').length, 1);
});

test('the death of the editor kills a launched VM and leaves an attached one', async (t) => {
  const own = await launched(t);
  await own.client.ask('configurationDone');
  await own.editorGone();
  assert.equal(own.vmm.end?.kind, 'killed');

  const other = await initialized(t);
  other.vmm.createNow(config());
  await other.client.ask('attach', { socket: other.vmm.socket });
  await other.client.ask('configurationDone');
  await other.editorGone();
  assert.equal(other.vmm.end, undefined);
  assert.equal(other.vmm.state, 'running');
});

test('a triple fault is an exception with the sentence and the details, and cannot be continued', async (t) => {
  const { client, vmm } = await launched(t);
  await client.ask('configurationDone');
  vmm.fail('tripleFault', 'the guest triple faulted at 0x100', 'rax 0x0 …\ncode at 0x100: 0f 0b');
  const stopped = await client.waitFor<Stopped>('stopped');
  assert.equal(stopped.reason, 'exception');
  assert.equal(stopped.description, 'the guest triple faulted at 0x100');
  assert.equal(stopped.text, 'the guest triple faulted at 0x100');
  assert.deepEqual(await client.ask('exceptionInfo', { threadId: 1 }), {
    exceptionId: 'Triple fault',
    breakMode: 'always',
    description: 'the guest triple faulted at 0x100',
    details: {
      typeName: 'Triple fault',
      message: 'the guest triple faulted at 0x100',
      stackTrace: 'rax 0x0 …\ncode at 0x100: 0f 0b',
    },
  });
  await client.ask('continue', { threadId: 1 });
  assert.deepEqual(await client.waitFor('exited'), { exitCode: 3 });
});

test('another client that resumes the VM is seen as continued', async (t) => {
  const { client, vmm } = await stoppedAtEntry(t);
  vmm.resumeNow();
  assert.deepEqual(await client.waitFor('continued'), { threadId: 1, allThreadsContinued: true });
});

test('threads are named with the mode and privilege of their vCPU, also when there are several', async (t) => {
  const { client } = await stoppedAtEntry(t, { cpus: 2 });
  assert.deepEqual(await client.ask('threads'), {
    threads: [
      { id: 1, name: 'vCPU0 · long64 · CPL0' },
      { id: 2, name: 'vCPU1 · long64 · CPL0' },
    ],
  });
  assert.equal(client.eventsOf('thread').length, 2);
});
