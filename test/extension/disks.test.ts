/** Disks in trouble, as a user of VS Code hears of them: before the VM begins, and while it runs. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, it } from 'node:test';
import { emptyQcow2 } from '../../extension/language/server/createDisk.ts';
import { guest } from '../guests/build.ts';
import { until, Workbench } from './support/workbench.ts';

const MIB = 2 ** 20;
/** For longer than the test takes. */
const READS = 'op=read bytes=65536 depth=1 count=4000000000 step=random';

/** A guest that prints S and reads from this disk; E and a halt when it gets an error. */
const reader = (name: string, image: string): object => ({
  ...{ type: 'vmm', request: 'launch', name, kernel: '${workspaceFolder}/reader.elf' },
  disks: [{ path: `\${workspaceFolder}/${image}`, transport: 'mmio' }],
  cmdline: `scan=0xd0000000,0x1000,8 ${READS}`,
});
const CONFIGURATIONS = [reader('Reader', 'disk.img'), reader('Twin', 'disk.img'), reader('Guess', 'guess')];

let folder: string;
let vscode: Workbench;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'trapframe-disks-'));
  await cp(await guest('blkLoad'), path.join(folder, 'reader.elf'));
  await writeFile(path.join(folder, 'guess'), emptyQcow2(MIB));
  await mkdir(path.join(folder, '.vscode'));
  const launch = JSON.stringify({ version: '0.2.0', configurations: CONFIGURATIONS });
  await writeFile(path.join(folder, '.vscode/launch.json'), launch);
  vscode = await Workbench.open({ folder });
});

after(async () => {
  await vscode?.close();
  await rm(folder, { recursive: true, force: true });
});

/** The configuration, with a core that is warm, is refused in one message, and nothing is left of it. */
async function isRefused(configuration: string, core: number, message: RegExp): Promise<void> {
  await vscode.runCommand('Debug: Select and Start Debugging');
  await vscode.choice(configuration).click();
  await vscode.dialog().filter({ hasText: message }).waitFor();
  await vscode.screenshot(`disk-${configuration}`);
  await vscode.page.keyboard.press('Escape');
  await vscode.dialog().waitFor({ state: 'hidden' });
  await vscode.processesGone([core]);
  assert.equal(await vscode.notification(/./).count(), 0, 'one message, not two');
}

const terminalShows = (text: string): Promise<void> =>
  until(`the terminal shows ${text}`, async () => (await vscode.terminalText()) === text);

it('a disk that is missing, or no raw image, is one message with the cure, and no VM', async () => {
  await vscode.step('disk-missing', async () => {
    await vscode.runCommand('View: Show Run and Debug');
    const missing = new RegExp(`cannot open the disk "${folder}/disk.img": no such file.*"vmm create"`);
    await isRefused('Reader', await vscode.warmCore(), missing);
    await vscode.waitForSessionEnd();
    await isRefused(
      'Guess',
      await vscode.warmCore(),
      /guess" looks like qcow2.*say that its format is qcow2/,
    );
    await vscode.waitForSessionEnd();
  });
});

let core: number;

it('once the image is there, F5 boots the VM', async () => {
  await vscode.step('disk-made', async () => {
    await writeFile(path.join(folder, 'disk.img'), new Uint8Array(MIB));
    core = await vscode.warmCore();
    await vscode.runCommand('Debug: Select and Start Debugging');
    await vscode.choice('Reader').click();
    await terminalShows('S');
  });
});

it('a second VM on that image is refused, and the first runs on', async () => {
  await vscode.step('disk-locked', async () => {
    await isRefused(
      'Twin',
      await vscode.warmCore([core]),
      /disk\.img" is in use by another process.*end that use/,
    );
    assert.equal(await vscode.terminalText(), 'S');
  });
});

it('an image that is cut under a running VM is told once: which, what, what to do; and the VM lives', async () => {
  await vscode.step('disk-cut', async () => {
    await truncate(path.join(folder, 'disk.img'), MIB / 16);
    await terminalShows('SE');
    const message = /disk\.img" has become shorter than its disk.*end the VM and restore the image/;
    await vscode.notification(message).waitFor();
    await vscode.panelTab('Debug Console').click();
    await vscode.consoleLine(message).waitFor();
    await vscode.screenshot('disk-cut');
    // The guest begins again and meets the same.
    await vscode.debugButton('Restart').click();
    await vscode.panelTab('Terminal').click();
    await terminalShows('SESE');
    await vscode.debugButton('Pause').click();
    await vscode.debugButton('Continue').waitFor();
    assert.equal(await vscode.notification(/./).count(), 1, 'one message, not two');
  });
});

it('stops like any other', async () => {
  await vscode.step('disk-stop', async () => {
    await vscode.debugButton('Stop').click();
    await vscode.waitForSessionEnd();
    await vscode.processesGone([core]);
  });
});
