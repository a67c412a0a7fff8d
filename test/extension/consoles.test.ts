/**
 * Serial terminals and running VMs: lines that end in LF, a console reopened, VMs of others shown, attached
 * to and stopped.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type CoreProcess, spawnCore } from '../../vmm-core/client/spawnCore.ts';
import { connectVmm } from '../../vmm-core/client/vmmClient.ts';
import { guest } from '../guests/build.ts';
import { LiveClient, vmConfig } from '../support/liveVm.ts';
import { VMM } from '../support/vmmProcess.ts';
import { until, Workbench } from './support/workbench.ts';

const LAUNCH = {
  version: '0.2.0',
  configurations: [
    { type: 'vmm', request: 'launch', name: 'Echo', kernel: '${workspaceFolder}/echo.elf' },
    { type: 'vmm', request: 'attach', name: 'Attach' },
  ],
};

/** Says `ready` with a bare line feed, then echoes. */
describe('a guest that echoes', () => {
  let folder: string;
  let vscode: Workbench;
  let core: number;
  let elsewhere: { readonly core: CoreProcess; readonly client: LiveClient } | undefined;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'trapframe-echo-'));
    await cp(await guest('serialEcho'), path.join(folder, 'echo.elf'));
    await mkdir(path.join(folder, '.vscode'));
    await writeFile(path.join(folder, '.vscode/launch.json'), JSON.stringify(LAUNCH));
    // VMs of other tests must not be offered here.
    await mkdir(path.join(folder, 'run'));
    process.env['XDG_RUNTIME_DIR'] = path.join(folder, 'run');
    vscode = await Workbench.open({ folder });
  });
  after(async () => {
    elsewhere?.client.vmm.dispose();
    elsewhere?.core.process.kill('SIGKILL');
    await elsewhere?.core.exited;
    await vscode?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const terminalShows = (text: string): Promise<void> =>
    until(`the terminal shows ${JSON.stringify(text)}`, async () => (await vscode.terminalText()) === text);

  it('begins its lines in the first column, though it ends them with a line feed alone', async () => {
    await vscode.step('line-feeds', async () => {
      core = await vscode.warmCore();
      await vscode.startDebugging('Echo');
      await terminalShows('ready');
      await vscode.typeInTerminal('abc');
      await terminalShows('ready\nabc');
      await vscode.screenshot('line-feeds');
    });
  });

  it('gets its console back after the terminal was closed, with earlier output, and receives keys', async () => {
    await vscode.step('console-again', async () => {
      await vscode.runCommand('Terminal: Kill the Active Terminal Instance');
      await until('the terminal is closed', async () => (await vscode.terminalCount()) === 0);
      await vscode.runCommand('Trapframe: Show Serial Console');
      await terminalShows('ready\nabc');
      await vscode.typeInTerminal('d');
      await terminalShows('ready\nabcd');
      assert.equal(await vscode.terminalCount(), 1);
    });
  });

  it('is one of those to choose from when another runs, started by someone else', async () => {
    await vscode.step('console-choice', async () => {
      elsewhere = await runElsewhere('elsewhere', path.join(folder, 'echo.elf'));
      await vscode.runCommand('Trapframe: Show Serial Console');
      await vscode.choice('COM1 · Echo').waitFor();
      await vscode.screenshot('console-choice');
      await vscode.choice('COM1 · elsewhere').click();
      await terminalShows('ready');
      await vscode.typeInTerminal('xyz');
      await terminalShows('ready\nxyz');
    });
  });

  it('can be stopped by its name, and its session ends', async () => {
    await vscode.step('stop-vm', async () => {
      await vscode.runCommand('View: Show Run and Debug');
      await vscode.debugButton('Pause').waitFor();
      await vscode.runCommand('Trapframe: Stop VM');
      await vscode.choice('Echo').click();
      await vscode.waitForSessionEnd();
      await vscode.processesGone([core]);
    });
  });

  it('is attached to when it is chosen, by a configuration that names no VM', async () => {
    await vscode.step('attach-choice', async () => {
      const terminals = await vscode.terminalCount();
      await vscode.runCommand('Debug: Select and Start Debugging');
      await vscode.choice('Attach').click();
      await vscode.choice('elsewhere').click();
      await vscode.debugButton('Pause').waitFor();
      await vscode.debugButton('Disconnect').click();
      await vscode.waitForSessionEnd();
      assert.equal(await vscode.terminalCount(), terminals, 'its console is there already');
    });
  });

  it('is not shown when none runs, and one sentence says what to do', async () => {
    await vscode.step('none-runs', async () => {
      await elsewhere?.client.kill();
      await elsewhere?.core.exited;
      await vscode.runCommand('Trapframe: Stop VM');
      await vscode
        .notification('No VM is running: start one with F5, or in a shell with "vmm run".')
        .waitFor();
    });
  });
});

/** A VM like one of `vmm run` elsewhere: in a process that is not the window's. */
async function runElsewhere(
  name: string,
  kernel: string,
): Promise<{ core: CoreProcess; client: LiveClient }> {
  const core = await spawnCore({ vmmPath: VMM });
  const client = new LiveClient(await connectVmm(core.socket, { client: 'test' }));
  await client.create(vmConfig({ name, kernel }));
  await client.resume();
  return { core, client };
}
