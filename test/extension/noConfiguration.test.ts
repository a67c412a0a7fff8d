/** F5 in a folder that has a kernel and no launch.json. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
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
  await cp(path.join(HELLO_FOLDER, 'hello.elf'), path.join(folder, 'hello.elf'));
  vscode = await Workbench.open({ folder });
});

after(async () => {
  await vscode?.close();
  await rm(folder, { recursive: true, force: true });
});

it('boots the kernel it finds', async () => {
  await vscode.step('no-configuration', async () => {
    await vscode.openFile('main.c');
    await vscode.runCommand('Debug: Start Debugging');
    await vscode.waitForTerminal(HELLO.greeting);
  });
});
