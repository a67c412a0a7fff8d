/** A guest with a network and consoles by name, as a user of VS Code has them. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, it } from 'node:test';
import { guest } from '../guests/build.ts';
import { Workbench } from './support/workbench.ts';

const NAME = 'Guest';
const LAUNCH = {
  version: '0.2.0',
  configurations: [
    {
      ...{ type: 'vmm', request: 'launch', name: NAME, kernel: '${workspaceFolder}/guest.elf' },
      networks: ['user'],
      consoles: ['agent', { name: 'shell', tty: true }],
    },
  ],
};
/** The type of a pcapng file's first block. */
const SECTION_HEADER = 0x0a0d_0d0a;

let folder: string;
let vscode: Workbench;
let core: number;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'trapframe-networks-'));
  await cp(await guest('serialEcho'), path.join(folder, 'guest.elf'));
  await mkdir(path.join(folder, '.vscode'));
  await writeFile(path.join(folder, '.vscode/launch.json'), JSON.stringify(LAUNCH, undefined, 2));
  // VMs of other tests must not be offered here.
  await mkdir(path.join(folder, 'run'));
  process.env['XDG_RUNTIME_DIR'] = path.join(folder, 'run');
  vscode = await Workbench.open({ folder });
});

after(async () => {
  await vscode?.close();
  await rm(folder, { recursive: true, force: true });
});

it('has a terminal for each console, by its name', async () => {
  await vscode.step('console-names', async () => {
    await vscode.openFile('launch.json');
    core = await vscode.warmCore();
    await vscode.startDebugging(NAME);
    for (const title of ['COM1', 'agent', 'shell']) await vscode.terminalTab(`${title} · ${NAME}`).waitFor();
  });
});

it('is captured into a pcapng file by a command, which stops it, too', async () => {
  await vscode.step('capture', async () => {
    const file = path.join(folder, `${NAME}-net0.pcapng`);
    await vscode.runCommand('Trapframe: Capture Network');
    await vscode.choice(`net0 · ${NAME}`).waitFor();
    await vscode.choice(`net0 · ${NAME}`).click();
    await vscode.confirmFile(file);
    await vscode.statusMessage(`Capturing net0 · ${NAME}`).waitFor();
    await vscode.runCommand('Trapframe: Capture Network');
    await vscode.choice(`net0 · ${NAME}`).waitFor();
    await vscode.screenshot('networks', 'for README');
    await vscode.choice(`net0 · ${NAME}`).click();
    await vscode.notification(`0 frames in ${file}.`).waitFor();
    assert.equal((await readFile(file)).readUInt32LE(0), SECTION_HEADER);
  });
});

it('stops like any other', async () => {
  await vscode.step('networks-stop', async () => {
    await vscode.debugButton('Stop').click();
    await vscode.waitForSessionEnd();
    await vscode.processesGone([core]);
  });
});
