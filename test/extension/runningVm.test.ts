/**
 * What a user does with a VM that runs already: looks at its network, resizes its console, shuts its guest
 * down. The VM is played by the test, so this needs no KVM.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, it } from 'node:test';
import type { Decoded } from '../../vmm-core/protocol/devices.ts';
import { FakeVmm, type FakeVmmOptions } from '../support/fakeVmm.ts';
import { vmConfig } from '../support/liveVm.ts';
import { ROOT } from './support/root.ts';
import { until, Workbench } from './support/workbench.ts';

const KERNEL = path.join(ROOT, 'test/dap/fixtures/steps.elf');
const ATTACH = { type: 'vmm', request: 'attach', name: 'Attach', vm: 'guest' };
/** As serialLines() counts: behind COM1 to COM4. */
const SHELL_PORT = 4;
const FRAMES_A_ROUND = 1000;

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
  // Beside the title of Run and Debug there is no room for buttons of extensions.
  vscode = await Workbench.open({ folder, settings: { 'debug.toolBarLocation': 'floating' } });
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
  vm.createNow(
    vmConfig({ kernel: KERNEL, name, networks: [{ kind: 'user', mac: '52:54:00:00:00:01' }], consoles }),
  );
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
    vm(0).networks.report = () => userReport(++asked);
    await vscode.closeSideBar();
    await vscode.waitForExtension();
    await vscode.runCommand('Trapframe: Show Network');
    await vscode.choice('net0 · guest').click();
    await vscode.activeTab('net0 · guest').waitFor();
    await vscode.editorLine('net0 of guest: user, 52:54:00:00:00:01, link up').waitFor();
    await until('it was renewed by itself', () => asked > 2);
    await vscode.editorLine(/fromGuest\s+(?!1000|2000)\d+/).waitFor();
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
    await vscode.runCommand('View: Show Run and Debug'); // beside the terminal
    let last = first;
    await until('the guest is told of fewer columns', () => {
      last = vm(0).serial.sizes.takeAll().at(-1) ?? last;
      return last.columns < first.columns;
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
    await vscode.page.keyboard.press('F5');
    const button = vscode.debugButton('Shut Down Guest');
    await button.waitFor();
    await vscode.screenshot('shut-down-button');
    await button.click();
    await button.waitFor({ state: 'hidden' });
    assert.equal(vm(0).end?.kind, 'powerOff');
  });
});

/** As the user network's, of a guest that fetches a file. */
function userReport(round: number): Decoded {
  const frames = round * FRAMES_A_ROUND;
  const none = { noRoom: 0, malformed: 0, filtered: 0, linkDown: 0, hostBusy: 0 };
  const rates = { framesPerSecond: FRAMES_A_ROUND, bytesPerSecond: FRAMES_A_ROUND * 60 };
  return {
    traffic: [
      { way: 'fromGuest', frames, bytes: frames * 60, ...rates, ...none },
      {
        way: 'toGuest',
        frames,
        bytes: frames * 1514,
        ...rates,
        bytesPerSecond: FRAMES_A_ROUND * 1514,
        ...none,
      },
    ],
    network: '10.0.2.0/24',
    network6: 'fd74:7261:7066::/64',
    host: '10.0.2.2, fd74:7261:7066::2',
    nameServer: '10.0.2.3, fd74:7261:7066::3',
    guest: '10.0.2.15',
    leases: [{ address: '10.0.2.15', mac: '52:54:00:00:00:01', seconds: 86_400 - round }],
    neighbours: [
      { address: '10.0.2.15', mac: '52:54:00:00:00:01' },
      { address: 'fd74:7261:7066::15', mac: '52:54:00:00:00:01' },
    ],
    tcp: {
      connections: 1,
      list: [
        {
          ...{ guest: '10.0.2.15:40000', peer: '198.51.100.7:80', state: 'ESTABLISHED' },
          ...{ fromGuestBytes: 84, fromHostBytes: frames * 1460 },
          ...{ fromGuestBytesPerSecond: 0, fromHostBytesPerSecond: FRAMES_A_ROUND * 1460 },
        },
      ],
    },
    udp: {
      mappings: 1,
      table: [
        {
          ...{ guest: '10.0.2.15:41000', sentBytes: 34, receivedBytes: 50 },
          ...{ sentBytesPerSecond: 0, receivedBytesPerSecond: 0, idleSeconds: round },
        },
      ],
    },
    forwards: [{ protocol: 'tcp', from: '127.0.0.1:2222', guestPort: 22 }],
  };
}
