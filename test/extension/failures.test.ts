/**
 * What goes wrong in VS Code ends in one clear message: a wrong launch.json, a killed VM, a machine without
 * KVM.
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { HELLO, HELLO_FOLDER } from './support/hello.ts';
import { Workbench } from './support/workbench.ts';

/** A copy of samples/hello whose one configuration is this. */
async function helloWith(configuration: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'trapframe-hello-'));
  await cp(HELLO_FOLDER, folder, { recursive: true });
  const kernel = '${workspaceFolder}/hello.elf';
  const whole = { type: 'vmm', request: 'launch', name: 'Hello', kernel, ...configuration };
  const launch = JSON.stringify({ version: '0.2.0', configurations: [whole] }, undefined, 2);
  await writeFile(path.join(folder, '.vscode/launch.json'), launch);
  return folder;
}

describe('a launch.json with an unknown key and a wrong type', () => {
  let folder: string;
  let vscode: Workbench;
  before(async () => {
    folder = await helloWith({ memroy: '512M', cpus: 'two' });
    vscode = await Workbench.open({ folder });
  });
  after(async () => {
    await vscode?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('is refused in one message that names both and the key that was meant', async () => {
    await vscode.step('bad-launch-json', async () => {
      await vscode.startDebugging('Hello');
      await vscode.dialog().waitFor();
      const text = (await vscode.dialog().textContent()) ?? '';
      assert.match(text, /"memroy".*did you mean "memory"/);
      assert.match(text, /"cpus" must be a whole number/);
    });
  });

  it('is one click away from that message', async () => {
    await vscode.step('open-launch-json', async () => {
      await vscode.dialog().getByRole('button', { name: "Open 'launch.json'" }).click();
      await vscode.activeTab('launch.json').waitFor();
      await vscode.waitForSessionEnd();
    });
  });
});

describe('a VM process that is killed while the guest is stopped', () => {
  let vscode: Workbench;
  before(async () => {
    vscode = await Workbench.open({ folder: HELLO_FOLDER });
  });
  after(() => vscode?.close());

  it('ends the session with a message; the terminal stays readable and nothing is left', async () => {
    await vscode.step('killed', async () => {
      const pid = await vscode.warmCore();
      const threadsKnown = vscode.watchThreads();
      await vscode.startDebugging('Hello');
      await vscode.waitForTerminal(HELLO.greeting);
      await threadsKnown();
      await vscode.page.keyboard.press('F6');
      await vscode.callStackRow('kernel_main').waitFor();
      process.kill(pid, 'SIGKILL');
      await vscode.notification(/VM process of "Hello" was killed \(SIGKILL\)/).waitFor();
      await vscode.waitForSessionEnd();
      await vscode.waitForTerminal('── the VM process was killed (SIGKILL) ──');
      assert.match(await vscode.terminalText(), new RegExp(HELLO.greeting));
      await vscode.processesGone([pid]);
      assert.equal(await vscode.notification(/./).count(), 1, 'one message, not two');
      await vscode.screenshot('killed');
    });
  });

  it('leaves VS Code ready to start it again', async () => {
    await vscode.step('killed-again', async () => {
      await vscode.startDebugging('Hello');
      await vscode.waitForTerminal('── new session ──');
      await vscode.waitForTerminalLines(HELLO.greeting, 2);
    });
  });
});

describe('a machine without KVM', () => {
  let devices: string;
  let kvm: string;
  let vscode: Workbench;
  before(async () => {
    devices = await mkdtemp(path.join(tmpdir(), 'trapframe-devices-'));
    kvm = path.join(devices, 'no-kvm');
    vscode = await Workbench.open({ folder: HELLO_FOLDER, environment: { TRAPFRAME_KVM: kvm } });
  });
  after(async () => {
    await vscode?.close();
    await rm(devices, { recursive: true, force: true });
  });

  it('opens the host check on F5, with the cure', async () => {
    await vscode.step('no-kvm', async () => {
      await vscode.startDebugging('Hello');
      await vscode.activeTab('Host Check').waitFor();
      await vscode.webview().getByRole('heading', { name: 'cannot run virtual machines' }).waitFor();
      const finding = vscode.webview().locator('[data-finding="kvm"]');
      assert.match((await finding.textContent()) ?? '', /no-kvm/);
      assert.notEqual(await finding.locator('.cure').textContent(), '');
      await vscode.closeSideBar();
      await vscode.screenshot('host-check', 'for README');
    });
  });

  it('starts no session', async () => {
    await vscode.step('no-session', async () => {
      await vscode.runCommand('View: Show Run and Debug');
      await vscode.waitForSessionEnd();
      assert.equal(await vscode.debugButton('Stop').isVisible(), false);
    });
  });

  it('checks again when asked', async () => {
    await vscode.step('check-again', async () => {
      await symlink('/dev/kvm', kvm);
      await vscode.webview().getByText('Check Again').click();
      await vscode.webview().getByRole('heading', { name: 'can run your kernels' }).waitFor();
    });
  });
});
