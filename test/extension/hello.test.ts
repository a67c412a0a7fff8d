/**
 * The whole path, as README tells it: samples/hello in VS Code, from the gutter to a key that the guest
 * answers.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { HELLO, HELLO_FOLDER } from './support/hello.ts';
import { until, Workbench } from './support/workbench.ts';

/** The last is the one that the pictures of README have. */
const THEMES = [
  ['Light Modern', 'vs'],
  ['Dark High Contrast', 'hc-black'],
  ['Light High Contrast', 'hc-light'],
  ['Dark Modern', 'vs-dark'],
] as const;

describe('samples/hello in VS Code', () => {
  let vscode: Workbench;
  /** Of the last VM. */
  let core: number;
  before(async () => {
    vscode = await Workbench.open({ folder: HELLO_FOLDER });
  });
  after(() => vscode?.close());

  it('sets a breakpoint in the gutter, boots with F5 and shows the serial port in a terminal', async () => {
    await vscode.step('boot', async () => {
      await vscode.openFile('main.c');
      await vscode.goToLine(HELLO.breakpointLine);
      await vscode.clickGutter(HELLO.breakpointLine);
      core = await vscode.warmCore();
      await vscode.startDebugging('Hello');
      await vscode.waitForTerminal(HELLO.greeting);
    });
  });

  it('leaves the focus in the editor when the terminal opens', async () => {
    await vscode.page.locator('.editor-instance .monaco-editor.focused').waitFor();
    assert.equal(await vscode.page.locator('.terminal-wrapper .xterm.focus').count(), 0);
  });

  it('stops at the breakpoint when a key typed into the terminal reaches it', async () => {
    await vscode.step('stop', async () => {
      await vscode.typeInTerminal(HELLO.statusKey);
      await vscode.waitForStoppedLine(HELLO.breakpointLine);
      await vscode.callStackRow('on_key').waitFor();
    });
  });

  it('shows a register in the Variables view', async () => {
    await vscode.step('registers', async () => {
      await vscode.enlargeVariables();
      await vscode.expandVariable('Registers');
      await vscode.expandVariable('General');
      await vscode
        .variable('rip')
        .filter({ hasText: /0x[0-9a-f]+/i })
        .waitFor();
      await vscode.screenshot('breakpoint', 'for README');
    });
  });

  it('shows the groups of registers as legibly as their members, in every theme', async () => {
    await vscode.step('themes', async () => {
      for (const [theme, kind] of THEMES) {
        await vscode.useTheme(theme, kind);
        await until(`${theme} shows both alike`, async () => {
          return (await vscode.variableOpacity('General')) === (await vscode.variableOpacity('rax'));
        });
        await vscode.screenshot(`registers-${kind}`);
      }
    });
  });

  it('steps to the next line', async () => {
    await vscode.step('step', async () => {
      await vscode.page.keyboard.press('F10');
      await vscode.waitForStoppedLine(HELLO.breakpointLine + 1);
    });
  });

  it('continues, and the guest answers the key', async () => {
    await vscode.step('answer', async () => {
      await vscode.page.keyboard.press('F5');
      await vscode.waitForTerminal(HELLO.statusAnswer);
      await vscode.screenshot('answer');
    });
  });

  it('stops, and the terminal keeps what the guest wrote and says that it is over', async () => {
    await vscode.step('end', async () => {
      await vscode.page.keyboard.press('Shift+F5');
      await vscode.waitForTerminal(/^── .* ──/);
      await vscode.waitForSessionEnd();
      assert.match(await vscode.terminalText(), HELLO.statusAnswer);
    });
  });

  it('boots again into the same terminal, below a line that separates the two', async () => {
    await vscode.step('again', async () => {
      await vscode.clickGutter(HELLO.breakpointLine, 'remove');
      core = await vscode.warmCore([core]);
      await vscode.startDebugging('Hello');
      await vscode.waitForTerminal('── new session ──');
      await vscode.waitForTerminalLines(HELLO.greeting, 2);
      assert.equal(await vscode.terminalCount(), 1);
    });
  });

  it('carries a conversation with the guest over the serial port', async () => {
    await vscode.step('conversation', async () => {
      await vscode.typeInTerminal(HELLO.pageFaultKey);
      await vscode.waitForTerminal(HELLO.pageFaultAnswer);
      await vscode.screenshot('terminal', 'for README');
    });
  });

  it('ends the session by itself when the guest powers off, and the terminal says so', async () => {
    await vscode.step('power-off', async () => {
      await vscode.typeInTerminal(HELLO.powerOffKey);
      await vscode.waitForSessionEnd();
      await vscode.waitForTerminal(/^── .*powered off.* ──/);
      await vscode.processesGone([core]);
      assert.equal(await vscode.notification(/./).count(), 0, 'nothing went wrong');
    });
  });

  it('lets no process of a VM outlive VS Code', async () => {
    const warm = await vscode.warmCore();
    await vscode.close();
    await vscode.processesGone([warm]);
  });
});
