/**
 * vm.conf in VS Code: a diagnostic, a completion, a rename across two files, and a VM booted by the lens
 * above it.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { spawnCore } from '../../vmm-core/client/spawnCore.ts';
import { connectVmm } from '../../vmm-core/client/vmmClient.ts';
import { LiveClient, vmConfig } from '../support/liveVm.ts';
import { VMM } from '../support/vmmProcess.ts';
import { HELLO } from './support/hello.ts';
import { until, Workbench } from './support/workbench.ts';

const TEXT = `include "switches.conf"

vm "hello" {
	memory 64MB
	kernel "hello.elf"
	debug exit
}

vm "bridged" {
	kernel "hello.elf"
	interface { switch "uplink" }
}
`;
const MEMORY_LINE = 4;
const SWITCH_LINE = 11;

describe('a vm.conf in VS Code', () => {
  let folder: string;
  let vscode: Workbench;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'trapframe-vmconf-'));
    await writeFile(path.join(folder, 'vm.conf'), TEXT);
    await writeFile(path.join(folder, 'switches.conf'), 'switch "uplink" {\n\tinterface bridge0\n}\n');
    await cp(HELLO.kernel, path.join(folder, 'hello.elf'));
    vscode = await Workbench.open({ folder, settings: { 'files.autoSave': 'off' } });
  });
  after(async () => {
    await vscode?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const errors = () => vscode.page.locator('.editor-instance .squiggly-error');
  const text = (): Promise<string> => readFile(path.join(folder, 'vm.conf'), 'utf8');
  const lens = (title: string) =>
    vscode.page
      .locator('.editor-instance .codelens-decoration a', { hasText: new RegExp(`^${title}$`) })
      .first();

  /** Away from the terminal, whose guest would get the keys. */
  const toEditor = async (): Promise<void> => {
    await vscode.page.locator('.editor-instance .view-line', { hasText: 'include' }).click();
    await vscode.goToLine(1);
  };
  /** Also for VS Code, which would ask whether another of that name is wanted; Run and Debug is shown. */
  const ended = async (): Promise<void> => {
    await vscode.waitForLastLine(/^── .* ──$/);
    await vscode.debugButton('Stop').waitFor({ state: 'hidden' });
  };

  it('starts its server when such a file is open, and not before', async () => {
    await vscode.step('vmconf-server', async () => {
      await vscode.openFile('switches.conf');
      await vscode.warmCore(); // our extension is there
      assert.equal(languageServers(vscode.server.dataDirectory), 0);
      await vscode.openFile('vm.conf');
      await until('the server runs', () => languageServers(vscode.server.dataDirectory) === 1);
    });
  });

  it('underlines what is wrong', async () => {
    await vscode.step('vmconf-diagnostic', async () => {
      await errors().first().waitFor();
    });
  });

  it('completes a size in its place, and the error goes', async () => {
    await vscode.step('vmconf-completion', async () => {
      const { page } = vscode;
      await vscode.goToLine(MEMORY_LINE);
      await page.keyboard.press('End');
      for (let i = 0; i < '64MB'.length; i++) await page.keyboard.press('Backspace');
      await page.keyboard.press('Control+Space');
      await page.locator('.suggest-widget .monaco-list-row', { hasText: '256M' }).waitFor();
      await vscode.screenshot('vmconf-completion');
      await page.keyboard.type('256');
      await page.locator('.suggest-widget .monaco-list-row.focused', { hasText: '256M' }).waitFor();
      await page.keyboard.press('Enter');
      await errors().first().waitFor({ state: 'detached' });
      await page.keyboard.press('Control+S');
      await until('the file is saved', async () => (await text()).includes('memory 256M'));
    });
  });

  it('renames a switch here and in the included file', async () => {
    await vscode.step('vmconf-rename', async () => {
      const { page } = vscode;
      await vscode.goToLine(SWITCH_LINE);
      await page.keyboard.press('End');
      for (let i = 0; i < ' }"'.length + 1; i++) await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('F2');
      const input = page.locator('.rename-box input');
      await input.waitFor();
      await input.fill('lan');
      await input.press('Enter');
      await input.waitFor({ state: 'hidden' });
      await page.locator('.editor-instance .view-line', { hasText: 'switch "lan"' }).waitFor();
      await vscode.runCommand('File: Save All Files');
      await until('both files are saved', async () => {
        const other = await readFile(path.join(folder, 'switches.conf'), 'utf8');
        return other.includes('switch "lan"') && (await text()).includes('switch "lan"');
      });
      await errors().first().waitFor({ state: 'detached' });
    });
  });

  it('renames the included file, on disk too', async () => {
    await vscode.step('vmconf-rename-file', async () => {
      const { page } = vscode;
      await vscode.goToLine(1);
      await page.keyboard.press('End');
      for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('F2');
      const input = page.locator('.rename-box input');
      await input.waitFor();
      await input.fill('net.conf');
      await input.press('Enter');
      await until('the file has its new name', () => existsSync(path.join(folder, 'net.conf')));
      await page.locator('.editor-instance .view-line', { hasText: 'include "net.conf"' }).waitFor();
      await vscode.runCommand('File: Save All Files');
      await until('its name is saved', async () => (await text()).startsWith('include "net.conf"\n'));
      assert.equal(existsSync(path.join(folder, 'switches.conf')), false);
      await errors().first().waitFor({ state: 'detached' });
    });
  });

  it('boots a VM by the lens above it', async () => {
    await vscode.step('vmconf-lens', async () => {
      await vscode.goToLine(1);
      await lens('Run').click();
      await vscode.waitForTerminal(HELLO.greeting);
      await vscode.screenshot('vmconf');
      await vscode.runCommand('View: Show Run and Debug');
      await vscode.debugButton('Stop').waitFor();
    });
  });

  it('goes to the console of a VM that runs in this window, keys and all', async () => {
    await vscode.step('vmconf-console', async () => {
      const terminals = await vscode.terminalCount();
      await toEditor();
      await lens('Console').click();
      await vscode.page.locator('.terminal-wrapper.active .xterm.focus').waitFor();
      await vscode.page.keyboard.type(HELLO.statusKey);
      await vscode.waitForLastLine(HELLO.statusAnswer);
      assert.equal(await vscode.terminalCount(), terminals);
      await vscode.page.keyboard.type(HELLO.powerOffKey);
      await ended();
    });
  });

  it('boots a VM that does not run when its console is asked for', async () => {
    await vscode.step('vmconf-console-boots', async () => {
      await toEditor();
      await lens('Console').click();
      await vscode.waitForLastLine(HELLO.greeting);
      await vscode.page.locator('.terminal-wrapper.active .xterm.focus').waitFor();
      await vscode.page.keyboard.type(HELLO.powerOffKey);
      await ended();
    });
  });

  it('debugs a VM of the file: it can be paused and stopped', async () => {
    await vscode.step('vmconf-debug', async () => {
      await toEditor();
      const threadsKnown = vscode.watchThreads();
      await lens('Debug').click();
      await vscode.waitForLastLine(HELLO.greeting);
      await threadsKnown();
      await vscode.debugButton('Pause').click();
      await vscode.debugButton('Continue').waitFor(); // there while the guest is stopped
      await vscode.debugButton('Stop').click();
      await ended();
    });
  });

  it('shows the console of a VM that someone else runs', async () => {
    await vscode.step('vmconf-console-elsewhere', async () => {
      const elsewhere = await runElsewhere('hello', path.join(folder, 'hello.elf'));
      try {
        await toEditor();
        await lens('Console').click();
        await vscode.page.locator('.terminal-wrapper.active .xterm.focus').waitFor();
        await vscode.page.keyboard.type(HELLO.statusKey);
        await vscode.waitForLastLine(HELLO.statusAnswer);
      } finally {
        await elsewhere.end();
      }
      await vscode.waitForLastLine(/^── the VM/);
    });
  });
});

/** A VM like one of `vmm run` elsewhere: in a process that is not the window's. */
async function runElsewhere(name: string, kernel: string): Promise<{ end: () => Promise<void> }> {
  const core = await spawnCore({ vmmPath: VMM });
  const client = new LiveClient(await connectVmm(core.socket, { client: 'test' }));
  await client.create(vmConfig({ name, kernel }));
  await client.resume();
  const end = async (): Promise<void> => {
    await client.kill();
    client.vmm.dispose();
    core.process.kill('SIGKILL');
    await core.exited;
  };
  return { end };
}

/** Processes of the window's language servers. */
function languageServers(dataDirectory: string): number {
  const commands = readdirSync('/proc')
    .filter((it) => /^\d+$/.test(it))
    .map(commandLine);
  return commands.filter((it) => it.includes(dataDirectory) && it.includes('language-server.js')).length;
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return ''; // it ended while we looked
  }
}
