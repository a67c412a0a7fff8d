/** F5 in a folder that has something to boot and no launch.json. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, it } from 'node:test';
import { HELLO, HELLO_FOLDER } from './support/hello.ts';
import { Workbench } from './support/workbench.ts';

let folder: string;
let vscode: Workbench;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'trapframe-bare-'));
  await cp(path.join(HELLO_FOLDER, 'src'), path.join(folder, 'src'), { recursive: true });
  await cp(path.join(HELLO_FOLDER, 'README.md'), path.join(folder, 'README.md'));
  await cp(path.join(HELLO_FOLDER, 'hello.elf'), path.join(folder, 'hello.elf'));
  vscode = await Workbench.open({ folder });
});

after(async () => {
  await vscode?.close();
  await rm(folder, { recursive: true, force: true });
});

/** F5 in that workspace, once a core is warm for it. */
async function boot(terminal: string): Promise<void> {
  await vscode.warmCore();
  await vscode.page.keyboard.press('F5');
  await vscode.terminalTab(terminal).first().waitFor();
  await vscode.waitForLastLine(HELLO.greeting);
}

/** Until the session is over for VS Code, too: before that, F5 means "continue". */
async function stop(): Promise<void> {
  await vscode.runCommand('View: Show Run and Debug');
  await vscode.debugButton('Stop').waitFor();
  await vscode.page.keyboard.press('Shift+F5');
  await vscode.waitForLastLine(/^── .* ──$/);
  await vscode.debugButton('Stop').waitFor({ state: 'hidden' });
}

it('boots the kernel it finds when nothing is open, without asking for a debugger', async () => {
  await vscode.step('no-configuration', async () => {
    await boot('COM1 · Boot hello.elf');
    assert.equal(await vscode.page.locator('.quick-input-widget').isVisible(), false);
    await vscode.screenshot('no-configuration');
    await stop();
  });
});

it('boots it from a file that no debugger wants, too, where VS Code would say that it has no debugger', async () => {
  await vscode.step('no-configuration-readme', async () => {
    await vscode.openFile('README.md');
    await boot('COM1 · Boot hello.elf');
    assert.equal(await vscode.dialog().count(), 0);
    await stop();
  });
});

it('boots the VM of a vm.conf rather than the kernel, since that says what is wanted', async () => {
  await vscode.step('no-configuration-vmconf', async () => {
    await writeFile(
      path.join(folder, 'vm.conf'),
      'vm "classroom" {\n\tmemory 64M\n\tkernel "hello.elf"\n}\n',
    );
    await boot('COM1 · classroom');
    await stop();
  });
});
