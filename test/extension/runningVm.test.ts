/**
 * What a user does with a VM that runs already: looks at its network, resizes its console, shuts its guest
 * down. The VM is played by the test, so this needs no KVM.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, it } from 'node:test';
import { FakeVmm, type FakeVmmOptions } from '../support/fakeVmm.ts';
import { vmConfig } from '../support/liveVm.ts';
import { ROOT } from './support/root.ts';
import { until, Workbench } from './support/workbench.ts';

const KERNEL = path.join(ROOT, 'test/dap/fixtures/steps.elf');
const ATTACH = { type: 'vmm', request: 'attach', name: 'Attach', vm: 'guest' };
/** As serialLines() counts: behind COM1 to COM4 and hvc0. */
const SHELL_PORT = 5;

let folder: string;
let vscode: Workbench;
const vms: FakeVmm[] = [];

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'trapframe-running-'));
  await mkdir(path.join(folder, '.vscode'));
  await writeFile(
    path.join(folder, '.vscode/launch.json'),
    JSON.stringify({ version: '0.2.0', configurations: [ATTACH] }),
  );
  const sockets = path.join(folder, 'run/trapframe');
  await mkdir(sockets, { recursive: true, mode: 0o700 });
  process.env['XDG_RUNTIME_DIR'] = path.join(folder, 'run');
  await runVm('guest', { socket: path.join(sockets, 'guest.sock'), onPowerButton: 'powersOff' });
  await runVm('deaf', { socket: path.join(sockets, 'deaf.sock'), onPowerButton: 'notListening' });
  vscode = await Workbench.open({ folder });
});

after(async () => {
  await vscode?.close();
  for (const it of vms) it.close();
  await rm(folder, { recursive: true, force: true });
});

async function runVm(name: string, options: FakeVmmOptions): Promise<void> {
  const vm = await FakeVmm.start(options);
  vms.push(vm);
  const consoles = [{ name: 'shell', tty: true }];
  vm.createNow(vmConfig({ kernel: KERNEL, name, networks: ['user'], consoles }));
  vm.resumeNow();
}

function vm(index: number): FakeVmm {
  const found = vms[index];
  assert.ok(found !== undefined);
  return found;
}

it('is asked for what its interface does, as long as somebody looks', async () => {
  await vscode.step('show-network', async () => {
    let asked = 0;
    vm(0).networks.report = ({ kind }) => report(kind, ++asked);
    await vscode.runCommand('Trapframe: Show Network');
    await vscode.choice('net0 · guest').click();
    await vscode.activeTab('net0 · guest').waitFor();
    await vscode.editorLine(/^net0 of guest: user, /).waitFor();
    await vscode.editorLine(/fromGuest 3 /).waitFor(); // renewed by itself
    await vscode.screenshot('network-view', 'for README');
  });
});

it('is told the size of the terminal at a console with a name, and each change', async () => {
  await vscode.step('console-size', async () => {
    await vscode.runCommand('Trapframe: Show Serial Console');
    await vscode.choice('shell · guest').click();
    const first = await vm(0).serial.sizes.take();
    assert.equal(first.port, SHELL_PORT);
    assert.ok(first.columns > 20 && first.rows > 2, JSON.stringify(first));
    await vscode.closeSideBar();
    let last = first;
    await until('the guest is told of more columns', async () => {
      last = vm(0).serial.sizes.takeAll().at(-1) ?? last;
      return last.columns > first.columns;
    });
    assert.equal(last.port, SHELL_PORT);
  });
});

it('is stopped at once when its guest does not listen to the power button, after a question', async () => {
  await vscode.step('shut-down-deaf', async () => {
    await vscode.runCommand('Trapframe: Shut Down Guest');
    await vscode.choice('deaf').click();
    const message = vscode.notification('VM "deaf": the guest does not listen to the power button.');
    await message.waitFor();
    assert.equal(vm(1).state, 'running');
    await message.getByText('Stop VM').click();
    await until('the VM is over', () => vm(1).end !== undefined);
    assert.equal(vm(1).end?.kind, 'killed');
  });
});

it('is shut down by the button of the debug toolbar, and its session ends', async () => {
  await vscode.step('shut-down', async () => {
    await vscode.runCommand('View: Show Run and Debug');
    await vscode.page.keyboard.press('F5');
    await vscode.debugButton('Pause').waitFor();
    await vscode.screenshot('shut-down-button');
    await vscode.debugButton('Trapframe: Shut Down Guest').click();
    await vscode.waitForSessionEnd();
    assert.equal(vm(0).end?.kind, 'powerOff');
  });
});

/** As that of the user network, in which things change. */
function report(kind: string, round: number) {
  return { kind, traffic: [{ way: 'fromGuest', frames: round, bytes: 100 * round }] };
}
