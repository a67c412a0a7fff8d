/** How VMs begin and end, as their clients see it. */
import assert from 'node:assert/strict';
import {
  existsSync,
  cpSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { spawnCore } from '../../vmm-core/client/spawnCore.ts';
import { connectVmm } from '../../vmm-core/client/vmmClient.ts';
import { powerButton } from '../../vmm-core/protocol/vm.ts';
import { guest } from '../guests/build.ts';
import { connected } from '../support/connected.ts';
import { within } from '../support/deadline.ts';
import { guestSymbols } from '../support/guestSymbols.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { LiveClient, startCore, startVm, vmConfig } from '../support/liveVm.ts';
import { startVmm, temporaryFolder, VMM, vmm } from '../support/vmmProcess.ts';

const EXIT_OK = 33;

interface StatusRow {
  readonly name: string;
  readonly pid: number;
  readonly state: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly socket: string;
}

kvmTest('a guest that powers off ends its VM with code 0, and the core ends', async (t) => {
  const { core, client } = await startVm(t, { kernel: await guest('powerOff') });
  await client.resume();
  assert.deepEqual(await within(client.ended, 'vm/ended'), {
    kind: 'powerOff',
    exitCode: 0,
    message: 'the guest powered off',
  });
  await within(client.vmm.closed, 'the end of the connection');
  assert.equal((await within(core.exited, 'the end of the core')).code, 0);
  assert.equal(existsSync(core.socket), false);
});

kvmTest('isa-debug-exit ends the VM with (value << 1) | 1', async (t) => {
  const { client } = await startVm(t, { kernel: await guest('firstByte') });
  await client.resume();
  const end = await within(client.ended, 'vm/ended');
  assert.deepEqual({ kind: end.kind, exitCode: end.exitCode }, { kind: 'debugExit', exitCode: EXIT_OK });
});

kvmTest('a triple fault stops the VM for a debugger to inspect, and then ends it', async (t) => {
  const kernel = await guest('tripleFault');
  const { client } = await startVm(t, { kernel });
  const fatal = guestSymbols(kernel)('fatal');
  const stop = await client.runUntilStop();
  assert.deepEqual({ kind: stop.cause.kind, pc: stop.pc }, { kind: 'tripleFault', pc: fatal });
  assert.match(stop.message ?? '', /^the guest triple faulted on vCPU 0 at 0x10001f: /);
  assert.match(stop.details ?? '', /code at 0x10001f: 8e d8/);
  assert.equal((await client.registers()).values.rax, '0xfff8');
  assert.equal((await client.info()).state, 'paused');
  await client.resume();
  const end = await within(client.ended, 'vm/ended');
  assert.deepEqual({ kind: end.kind, exitCode: end.exitCode }, { kind: 'tripleFault', exitCode: 3 });
});

kvmTest('after a triple fault a reset starts the guest again', async (t) => {
  const kernel = await guest('tripleFault');
  const { client } = await startVm(t, { kernel });
  await client.runUntilStop();
  await client.reset();
  assert.equal((await client.registers()).values.rip, guestSymbols(kernel)('start'));
  assert.equal((await client.runUntilStop()).cause.kind, 'tripleFault');
});

kvmTest('without a debugger a triple fault ends the VM at once, with the registers', async (t) => {
  const { client } = await startVm(t, { kernel: await guest('tripleFault') }, { debugger: false });
  await client.resume();
  const end = await within(client.ended, 'vm/ended');
  assert.deepEqual({ kind: end.kind, exitCode: end.exitCode }, { kind: 'tripleFault', exitCode: 3 });
  assert.match(end.details ?? '', /rax=000000000000fff8/);
  assert.deepEqual(client.untakenStops(), []);
});

kvmTest('an image that cannot be loaded leaves no descriptor behind in the core', async (t) => {
  const { core, client } = await startCore(t);
  const folder = `/proc/${core.process.pid}/fd`;
  const descriptors = (): string[] =>
    readdirSync(folder)
      .map((it) => targetOf(path.join(folder, it)))
      .filter((it) => it.includes('kvm') || it === kernel);
  const kernel = path.join(temporaryFolder(t), 'kernel.elf');
  writeFileSync(kernel, readFileSync(await guest('spin')).subarray(0, 100));
  const fail = (): Promise<void> =>
    assert.rejects(client.create(vmConfig({ kernel, cpus: 4 })), /kernel\.elf/);
  await fail();
  assert.deepEqual(descriptors(), []);
});

kvmTest('the end of the client that created the VM ends the VM, even if others are connected', async (t) => {
  const vm = await startVm(t, { kernel: await guest('serialEcho') });
  const other = await vm.connect();
  await vm.client.resume();
  vm.client.vmm.dispose();
  assert.deepEqual(await within(other.ended, 'vm/ended'), {
    kind: 'killed',
    exitCode: 1,
    message: 'the client that started the VM went away',
  });
  assert.equal((await within(vm.core.exited, 'the end of the core')).code, 0);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  kvmTest(`${signal} ends a core, and its clients are told before they lose it`, async (t) => {
    const { core, client } = await startVm(t, { kernel: await guest('spin') });
    await client.resume();
    core.process.kill(signal);
    const end = await within(client.ended, 'vm/ended');
    assert.deepEqual(end, {
      kind: 'killed',
      exitCode: 1,
      message: `the VM's process was told to end (${signal})`,
    });
    assert.equal((await within(core.exited, 'the end of the core')).code, 0);
    assert.equal(existsSync(core.socket), false);
  });
}

/** An installation whose vCPU thread runs `source` instead; it can load the real one as ./real.js. */
function brokenInstallation(t: Pick<TestContext, 'after'>, source: string): string {
  const folder = installation(t);
  const worker = path.join(folder, 'vcpu.worker.js');
  renameSync(worker, path.join(folder, 'real.js'));
  writeFileSync(worker, source);
  return path.join(folder, 'vmm.js');
}

/** A copy of dist/. */
function installation(t: Pick<TestContext, 'after'>): string {
  const root = temporaryFolder(t);
  const folder = path.join(root, 'dist');
  cpSync(path.dirname(VMM), folder, { recursive: true });
  symlinkSync(path.join(path.dirname(VMM), '..', 'node_modules'), path.join(root, 'node_modules'));
  return folder;
}

kvmTest('a core leaves its compiled code for the next one only once it has had a VM', async (t) => {
  const folder = installation(t);
  const kept = (): string[] =>
    readdirSync(folder).filter((it) => /^vmm-main\.js\.serve\..*\.cache$/.test(it));
  for (const it of kept()) rmSync(path.join(folder, it));
  const start = () => startCore(t, { vmmPath: path.join(folder, 'vmm.js') });

  const { core: idle } = await start();
  idle.process.stdin?.end(); // as an editor that closes
  await within(idle.exited, 'the end of a core without a VM');
  assert.deepEqual(kept(), []);

  const { core, client } = await start();
  await client.create(vmConfig({ kernel: await guest('powerOff') }));
  await client.resume();
  await within(core.exited, 'the end of a core with a VM');
  assert.equal(kept().length, 1);
});

for (const cpus of [1, 2]) {
  kvmTest(`a vCPU thread that cannot start ends a VM of ${cpus} with a sentence`, async (t) => {
    const installed = brokenInstallation(t, 'throw new Error("no thread today");');
    const args = ['run', '--kernel', await guest('spin'), '--cpus', String(cpus)];
    const run = startVmm(t, args, { env: { XDG_RUNTIME_DIR: temporaryFolder(t) }, vmmPath: installed });
    const { code, stderr } = await within(run.finished, 'the end of vmm run');
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^vmm: internal error in the thread of vCPU \d: no thread today$/m);
    assert.match(stderr, /rip=[0-9a-f]{16}/, 'with the registers');
  });
}

/** Loads koffi as the vCPU's thread does, again and again. */
const LOADING = `
  const koffi = require.resolve('@koromix/koffi-linux-x64/linux_x64/koffi.node');
  const load = (ms) => { for (const end = Date.now() + ms; Date.now() < end;) process.dlopen({ exports: {} }, koffi); };
`;

kvmTest('a core ends in order while a vCPU thread is still loading', async (t) => {
  const installed = brokenInstallation(t, `${LOADING} process.kill(process.pid, 'SIGTERM'); load(1e9);`);
  const core = await spawnCore({ vmmPath: installed, env: { XDG_RUNTIME_DIR: temporaryFolder(t) } });
  const { code, signal, stderrTail } = await within(core.exited, 'the end of the core');
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderrTail);
});

kvmTest(
  'a VM that cannot be made while its vCPU thread is still loading leaves its core alive',
  async (t) => {
    const installed = brokenInstallation(t, `${LOADING} load(500); require('./real.js');`);
    const { client } = await startCore(t, { vmmPath: installed });
    for (let i = 0; i < 5; i++) {
      await assert.rejects(client.create(vmConfig({ kernel: '/nonexistent/kernel' })), /no such file/);
    }
    await client.create(vmConfig({ kernel: await guest('serialEcho') }));
    await client.attachSerial();
    await client.resume();
    await client.printed('ready\n');
  },
);

kvmTest('while a vCPU thread does not start, vmm run serves clients and obeys SIGTERM', async (t) => {
  const installed = brokenInstallation(t, 'setInterval(() => undefined, 1000);');
  const env = { XDG_RUNTIME_DIR: temporaryFolder(t) };
  const args = ['run', '--kernel', await guest('spin'), '--name', 'late'];
  const run = startVmm(t, args, { env, vmmPath: installed });
  const client = new LiveClient(await connected(path.join(env.XDG_RUNTIME_DIR, 'trapframe', 'late.sock')));
  t.after(() => client.vmm.dispose());
  assert.equal((await client.info()).state, 'running');
  await client.pause();
  assert.equal((await client.stop()).cause.kind, 'pause');
  await client.registers();
  run.kill('SIGTERM');
  const { code, signal } = await within(run.finished, 'the end of vmm run');
  assert.deepEqual({ code, signal }, { code: 1, signal: null });
});

kvmTest('a VM that its creator detached from runs on until a client ends it', async (t) => {
  const vm = await startVm(t, { kernel: await guest('serialEcho') });
  await vm.client.attachSerial();
  await vm.client.resume();
  await vm.client.printed('ready\n');
  await vm.client.detach();
  vm.client.vmm.dispose();
  await vm.client.vmm.closed;
  const later = await vm.connect();
  assert.equal((await later.info()).state, 'running');
  await later.attachSerial();
  assert.equal(later.serial, 'ready\n', 'the backlog');
  await later.kill();
  assert.equal((await within(later.ended, 'vm/ended')).message, 'the VM was stopped');
  assert.equal((await within(vm.core.exited, 'the end of the core')).code, 0);
});

kvmTest('a second client leaves without a trace', async (t) => {
  const vm = await startVm(t, { kernel: await guest('serialEcho') });
  await vm.client.resume();
  for (let i = 0; i < 5; i++) {
    const other = await vm.connect();
    await other.attachSerial();
    other.vmm.dispose();
  }
  assert.equal((await vm.client.info()).state, 'running');
});

kvmTest('a warm core without a VM ends when its parent goes away', async (t) => {
  const { core, client } = await startCore(t);
  assert.equal(client.vmm.info.state, 'empty');
  core.process.stdin?.end();
  assert.equal((await within(core.exited, 'the end of the core')).code, 0);
  assert.equal(existsSync(core.socket), false);
});

kvmTest('a core with a VM lives on when its stdin closes', async (t) => {
  const { core, client } = await startVm(t, { kernel: await guest('serialEcho') });
  core.process.stdin?.end();
  await client.resume();
  await client.pause();
  assert.equal((await client.stop()).cause.kind, 'pause');
});

kvmTest('a core that could not create a VM can be asked again', async (t) => {
  const { client } = await startCore(t);
  const bad = vmConfig({ kernel: '/nonexistent/kernel' });
  await assert.rejects(client.create(bad), {
    code: 1,
    message:
      'cannot open the kernel /nonexistent/kernel: there is no such file; check the path, or build it first',
  });
  assert.equal((await client.info()).state, 'empty');
  await client.create(vmConfig({ kernel: await guest('firstByte') }));
  await client.resume();
  assert.equal((await within(client.ended, 'vm/ended')).exitCode, EXIT_OK);
});

kvmTest('requests for a VM before there is one say so', async (t) => {
  const { client } = await startCore(t);
  const none = { code: 4, message: 'no VM has been created yet' };
  await assert.rejects(client.resume(), none);
  await assert.rejects(client.read({ address: '0x0', lengthBytes: 1 }), none);
  await assert.rejects(client.reset(), none);
});

kvmTest('typed keys reach the guest, its answer reaches every client that attached', async (t) => {
  const vm = await startVm(t, { kernel: await guest('serialEcho') });
  const other = await vm.connect();
  await vm.client.attachSerial();
  await other.attachSerial();
  await vm.client.resume();
  await vm.client.printed('ready\n');
  await vm.client.type('hello');
  await other.printed('ready\nhello');
  await other.type(' again');
  await vm.client.printed('ready\nhello again');
  await vm.client.type('q');
  assert.equal((await within(other.ended, 'vm/ended')).exitCode, EXIT_OK);
});

kvmTest('a long paste arrives whole and in order, however slowly the guest reads', async (t) => {
  const vm = await startVm(t, { kernel: await guest('serialEcho') });
  const text = Array.from({ length: 400 }, (_, i) => `${i};`).join('');
  await vm.client.attachSerial();
  await vm.client.resume();
  await vm.client.printed('ready\n');
  await vm.client.type(text);
  await vm.client.printed(text);
});

kvmTest('the power button of a guest that has not enabled it is refused', async (t) => {
  const { client } = await startVm(t, { kernel: await guest('serialEcho') });
  await client.resume();
  await assert.rejects(client.vmm.connection.sendRequest(powerButton), {
    code: 4,
    message: 'the guest does not listen to the power button',
  });
});

kvmTest('vmm run --wait stops at the first instruction until a client resumes it', async (t) => {
  const env = { XDG_RUNTIME_DIR: temporaryFolder(t) };
  const kernel = await guest('firstByte');
  const run = startVmm(t, ['run', '--wait', '--name', 'waiting', '--kernel', kernel, '--debug-exit'], {
    env,
  });
  const socket = path.join(env.XDG_RUNTIME_DIR, 'trapframe', 'waiting.sock');
  const client = new LiveClient(await connected(socket));
  t.after(() => client.vmm.dispose());
  assert.equal(client.vmm.info.state, 'paused');
  assert.equal((await client.registers()).values.rip, guestSymbols(kernel)('start'));
  const status = await vmm(t, ['status', '--json'], { env });
  const [row, ...others] = JSON.parse(status.stdout) as StatusRow[];
  assert.deepEqual(others, []);
  assert.deepEqual(row, {
    name: 'waiting',
    pid: run.pid,
    state: 'paused',
    cpus: 1,
    memoryBytes: 256 * 2 ** 20,
    socket,
  });
  await client.resume();
  const { code, stdout } = await within(run.finished, 'the end of vmm run');
  assert.deepEqual({ code, stdout }, { code: EXIT_OK, stdout: 'F' });
  assert.equal(existsSync(socket), false);
});

kvmTest('a second VM of the same name is called name-2, and both are listed', async (t) => {
  const env = { XDG_RUNTIME_DIR: temporaryFolder(t) };
  const args = ['run', '--name', 'twin', '--kernel', await guest('serialEcho'), '--memory', '16M'];
  const folder = path.join(env.XDG_RUNTIME_DIR, 'trapframe');
  const first = startVmm(t, args, { env });
  (await connected(path.join(folder, 'twin.sock'))).dispose();
  const second = startVmm(t, args, { env });
  (await connected(path.join(folder, 'twin-2.sock'))).dispose();
  const rows = JSON.parse((await vmm(t, ['status', '--json'], { env })).stdout) as StatusRow[];
  assert.deepEqual(
    rows.map(({ name, pid, state, memoryBytes }) => ({ name, pid, state, memoryBytes })),
    [
      { name: 'twin', pid: first.pid, state: 'running', memoryBytes: 16 * 2 ** 20 },
      { name: 'twin-2', pid: second.pid, state: 'running', memoryBytes: 16 * 2 ** 20 },
    ],
  );
  const table = (await vmm(t, ['status'], { env })).stdout;
  assert.match(table, /^NAME +PID +STATE +CPUS +MEMORY\ntwin +\d+ +running +1 +16 MiB\ntwin-2 /);
});

kvmTest(
  'a core killed with SIGKILL: its clients see the end, the next status removes its sockets',
  async (t) => {
    const { core, client, env } = await startVm(t, { name: 'victim', kernel: await guest('serialEcho') });
    const folder = path.dirname(core.socket);
    await client.resume();
    core.process.kill('SIGKILL');
    await within(client.vmm.closed, 'the end of the connection');
    await assert.rejects(async () => client.info());
    assert.deepEqual((await core.exited).signal, 'SIGKILL');
    assert.equal(existsSync(path.join(folder, 'victim.sock')), true, 'nobody was left to remove it');
    await assert.rejects(connectVmm(core.socket, { client: 'test' }), {
      kind: 'stale',
      message: `the VM behind ${core.socket} is gone; remove the socket with "vmm status"`,
    });
    const status = await vmm(t, ['status', '--json'], { env });
    assert.deepEqual(JSON.parse(status.stdout), []);
    assert.equal(existsSync(path.join(folder, 'victim.sock')), false);
    assert.equal(existsSync(core.socket), false);
  },
);

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return ''; // closed while we looked
  }
}
