/**
 * A VS Code window as a user sees and touches it: code-server in Chromium. Everything waits for what it needs to be on the screen;
 * nothing sleeps. Selectors of VS Code's own markup are here and nowhere else.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import { type CodeServer, type CodeServerOptions, ensureChromium, startCodeServer } from '../../../scripts/codeServer.ts';

export const ROOT = path.join(import.meta.dirname, '../../..');
const ARTIFACTS = path.join(ROOT, 'test-artifacts/extension');

/** A cold VS Code on two busy cores takes its time; a step that fails still fails in finite time. */
const STEP_TIMEOUT_MS = 60_000;
const WINDOW = { width: 1280, height: 800 };

const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const SETTINGS = {
  'terminal.integrated.gpuAcceleration': 'off', // text in the DOM, where a test can read it
  'debug.toolBarLocation': 'docked',
  'debug.openDebug': 'openOnDebugBreak',
  'editor.minimap.enabled': false,
  'editor.fontSize': 13,
  'terminal.integrated.fontSize': 13,
  'workbench.colorTheme': 'Default Dark Modern',
};

export class Workbench {
  readonly page: Page;
  readonly server: CodeServer;
  readonly #browser: Browser;

  private constructor(page: Page, server: CodeServer, browser: Browser) {
    this.page = page;
    this.server = server;
    this.#browser = browser;
  }

  /** Opens VS Code on a folder. `settings` and `environment` as in CodeServerOptions. */
  static async open(options: CodeServerOptions): Promise<Workbench> {
    const { executable } = await ensureChromium();
    const server = await startCodeServer({ ...options, settings: { ...SETTINGS, ...options.settings } });
    let browser: Browser | undefined;
    try {
      browser = await chromium.launch({ executablePath: executable, args: CHROMIUM_FLAGS });
      const context = await browser.newContext({ viewport: WINDOW, deviceScaleFactor: 2 });
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      const page = await context.newPage();
      page.setDefaultTimeout(STEP_TIMEOUT_MS);
      const workbench = new Workbench(page, server, browser);
      await page.goto(server.url);
      await workbench.explorerRow().first().waitFor();
      return workbench;
    } catch (error) {
      await browser?.close();
      await server.stop();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.server.stop();
  }

  // Files and editors.

  explorerRow(): Locator {
    return this.page.locator('.explorer-folders-view .monaco-list-row');
  }

  /** Opens a file of the folder by Quick Open. */
  async openFile(name: string): Promise<void> {
    const { page } = this;
    await page.keyboard.press('Control+P');
    const input = page.locator('.quick-input-widget input');
    await input.fill(name);
    await page.locator(`.quick-input-list .monaco-list-row[aria-label*="${path.basename(name)}"]`).first().waitFor();
    await input.press('Enter');
    await page.locator(`.tab.active[data-resource-name="${path.basename(name)}"]`).waitFor();
  }

  /** Clicks the gutter left of a line that is on the screen, and waits for the red dot. */
  async clickGutter(line: number): Promise<void> {
    const number = this.page.locator('.editor-instance .margin .line-numbers', { hasText: new RegExp(`^${line}$`) });
    const box = await number.boundingBox();
    if (box === null) throw new Error(`line ${line} is not on the screen`);
    await this.page.mouse.click(box.x - 12, box.y + box.height / 2);
    await this.breakpointDots().first().waitFor();
  }

  /** Goes to a line of the active editor. */
  async goToLine(line: number): Promise<void> {
    await this.page.keyboard.press('Control+G');
    const input = this.page.locator('.quick-input-widget input');
    await input.fill(`:${line}`);
    await input.press('Enter');
    await this.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
  }

  breakpointDots(): Locator {
    return this.page.locator('.editor-instance [class*="codicon-debug-breakpoint"], .codicon-debug-stackframe-focused');
  }

  /** The line the guest stands on, by its number in the editor. */
  async stoppedLine(): Promise<number> {
    const marker = this.page.locator('.editor-instance .codicon-debug-stackframe').first();
    await marker.waitFor();
    const box = await marker.boundingBox();
    const numbers = this.page.locator('.editor-instance .margin .line-numbers');
    for (const number of await numbers.all()) {
      const at = await number.boundingBox();
      if (box !== null && at !== null && Math.abs(at.y - box.y) < 4) return Number(await number.textContent());
    }
    throw new Error('the stopped line has no number on the screen');
  }

  // Debugging.

  debugToolbar(): Locator {
    return this.page.locator('.debug-toolbar, .part.sidebar .debug-actions').first();
  }

  /** A button of the debug toolbar: Continue, Pause, Step Over, Stop, Restart. */
  debugButton(name: string): Locator {
    return this.page.locator(`.action-label[aria-label^="${name}"]`).first();
  }

  /** A row of the Variables view, by the beginning of its text. */
  variable(name: string): Locator {
    return this.page.locator('.debug-variables .monaco-list-row', { hasText: new RegExp(`^\\s*${name}\\b`) }).first();
  }

  callStackRow(text: string): Locator {
    return this.page.locator('.debug-call-stack .monaco-list-row', { hasText: text }).first();
  }

  // Terminals.

  /** The text of the terminal on the screen. */
  async terminalText(): Promise<string> {
    const rows = this.page.locator('.terminal-wrapper.active .xterm-rows > div');
    return (await rows.allTextContents()).map((it) => it.replaceAll('\u00a0', ' ').trimEnd()).join('\n').trimEnd();
  }

  /** Waits for a line of the terminal on the screen. */
  async waitForTerminal(text: string | RegExp): Promise<void> {
    await this.page.locator('.terminal-wrapper.active .xterm-rows > div', { hasText: text }).first().waitFor();
  }

  /** Types into the terminal on the screen as a user would. */
  async typeInTerminal(keys: string): Promise<void> {
    await this.page.locator('.terminal-wrapper.active .xterm-screen').click();
    await this.page.keyboard.type(keys);
  }

  // Messages.

  notification(text: string | RegExp): Locator {
    return this.page.locator('.notification-list-item', { hasText: text }).first();
  }

  dialog(): Locator {
    return this.page.locator('.monaco-dialog-box');
  }

  /** Runs a command by its title. */
  async runCommand(title: string): Promise<void> {
    await this.page.keyboard.press('F1');
    const input = this.page.locator('.quick-input-widget input');
    await input.fill(`>${title}`);
    await this.page.locator('.quick-input-list .monaco-list-row', { hasText: title }).first().click();
  }

  /** A picture of the window: into docs/images when UPDATE_SCREENSHOTS=1 and it is one of README's, else among the artifacts. */
  async screenshot(name: string, inReadme = false): Promise<void> {
    const directory = inReadme && process.env['UPDATE_SCREENSHOTS'] === '1' ? path.join(ROOT, 'docs/images') : ARTIFACTS;
    mkdirSync(directory, { recursive: true });
    await this.page.screenshot({ path: path.join(directory, `${name}.png`) });
  }
}
