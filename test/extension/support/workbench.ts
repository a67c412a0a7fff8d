/**
 * A VS Code window as a user sees and touches it: code-server in Chromium. Everything waits until what it
 * needs is on the screen; nothing sleeps. Selectors of VS Code's own markup are only here.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  type Browser,
  chromium,
  type FrameLocator,
  type Locator,
  type Page,
  type WebSocket,
} from 'playwright-core';
import {
  type CodeServer,
  type CodeServerOptions,
  ensureChromium,
  startCodeServer,
} from '../../../scripts/codeServer.ts';
import { ensureVsix } from '../../../scripts/vsix.ts';
import { ROOT } from './root.ts';

const ARTIFACTS = path.join(ROOT, 'test-artifacts/extension');

/** A cold VS Code on two busy cores takes its time; a step that fails still fails in finite time. */
const STEP_TIMEOUT_MS = 90_000;
/** Between two checks of something that sends no event. */
const POLL_MS = 50;
const WINDOW = { width: 1280, height: 800 };

export const CHROMIUM_FLAGS = [
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
  'debug.showInStatusBar': 'always',
  'editor.minimap.enabled': false,
  'editor.fontSize': 13,
  'terminal.integrated.fontSize': 13,
  'workbench.colorTheme': 'Default Dark Modern',
};

/** Runs in the page, whose types are not those of Node. */
const OPACITY = `(element) => {
  let opacity = 1;
  for (let it = element; it !== null; it = it.parentElement) opacity *= Number(getComputedStyle(it).opacity);
  return opacity;
}`;

export type WorkbenchOptions = Pick<CodeServerOptions, 'folder' | 'environment' | 'settings'>;

export class Workbench {
  readonly page: Page;
  readonly server: CodeServer;
  readonly #browser: Browser;
  /** Between the page and the server. */
  readonly #webSockets: WebSocket[] = [];
  #closed = false;
  #failedStep: string | undefined;

  private constructor(page: Page, server: CodeServer, browser: Browser) {
    this.page = page;
    this.server = server;
    this.#browser = browser;
    page.on('websocket', (it) => this.#webSockets.push(it));
  }

  /** Opens VS Code on a folder, with the extension as users install it. */
  static async open(options: WorkbenchOptions): Promise<Workbench> {
    const extension = await ensureVsix();
    const { executable } = await ensureChromium();
    const server = await startCodeServer({
      ...options,
      extension,
      settings: { ...SETTINGS, ...options.settings },
    });
    let browser: Browser | undefined;
    try {
      browser = await chromium.launch({ executablePath: executable, args: CHROMIUM_FLAGS });
      const context = await browser.newContext({ viewport: WINDOW, deviceScaleFactor: 1.5 });
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
    if (this.#closed) return;
    this.#closed = true;
    await this.#browser.close();
    await this.server.stop();
  }

  /** Switches to a theme by its name in the list of themes. */
  async useTheme(name: string, kind: 'vs' | 'vs-dark' | 'hc-black' | 'hc-light'): Promise<void> {
    await this.runCommand('Preferences: Color Theme');
    const input = this.page.locator('.quick-input-widget input');
    await input.fill(name);
    await this.#enterTakes(`^="${name}"`);
    await input.press('Enter');
    await this.page.locator(`.monaco-workbench.${kind}`).waitFor();
  }

  /** A list still shows, for a moment, what was asked for before. */
  async #enterTakes(label: string): Promise<void> {
    await this.page.locator(`.quick-input-list .monaco-list-row.focused[aria-label${label}]`).waitFor();
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
    await this.#enterTakes(`*="${path.basename(name)}"`);
    await input.press('Enter');
    await page.locator(`.tab.active[data-resource-name="${path.basename(name)}"]`).waitFor();
  }

  /** A line of the text in an editor, that is on the screen. */
  editorLine(text: string | RegExp): Locator {
    return this.page.locator('.editor-instance .view-line', { hasText: text }).first();
  }

  activeTab(title: string): Locator {
    return this.page.locator(`.tab.active[aria-label*="${title}"]`);
  }

  async closeSideBar(): Promise<void> {
    await this.runCommand('View: Toggle Primary Side Bar Visibility');
    await this.page.locator('.part.sidebar').waitFor({ state: 'hidden' });
  }

  /** Clicks the gutter left of a line that is on the screen, and waits for the red dot to come, or to go. */
  async clickGutter(line: number, purpose: 'set' | 'remove' = 'set'): Promise<void> {
    const number = this.page.locator('.editor-instance .margin .line-numbers', {
      hasText: new RegExp(`^${line}$`),
    });
    const box = await number.boundingBox();
    if (box === null) throw new Error(`line ${line} is not on the screen`);
    await this.page.mouse.click(box.x - 12, box.y + box.height / 2);
    const dot = this.page.locator(
      '.editor-instance .glyph-margin-widgets [class*="codicon-debug-breakpoint"]',
    );
    await dot.first().waitFor({ state: purpose === 'set' ? 'visible' : 'hidden' });
  }

  /** Goes to a line of the active editor. */
  async goToLine(line: number): Promise<void> {
    await this.page.keyboard.press('Control+G');
    const quickInput = this.page.locator('.quick-input-widget');
    await quickInput.locator('input').fill(`:${line}`);
    await quickInput
      .locator('.monaco-list-row', { hasText: `Go to line ${line}` })
      .first()
      .waitFor();
    await quickInput.locator('input').press('Enter');
    await quickInput.waitFor({ state: 'hidden' });
  }

  /** `line`: by its number in the editor. */
  async waitForStoppedLine(line: number): Promise<void> {
    await until(`the guest stands on line ${line}`, async () => (await this.#stoppedLineNow()) === line);
  }

  #stoppedMarker(): Locator {
    return this.page
      .locator('.editor-instance .glyph-margin-widgets [class*="codicon-debug-stackframe"]')
      .first();
  }

  async #stoppedLineNow(): Promise<number | undefined> {
    if (!(await this.#stoppedMarker().isVisible())) return undefined;
    const marker = await this.#stoppedMarker().boundingBox();
    const numbers = this.page.locator('.editor-instance .margin .line-numbers');
    for (const number of await numbers.all()) {
      const at = await number.boundingBox();
      const isBeside = marker !== null && at !== null && Math.abs(at.y - marker.y) < 4;
      if (isBeside) return Number(await number.textContent());
    }
    return undefined;
  }

  // Debugging.

  /** F5, once VS Code has read launch.json and started our extension: before, F5 would ask what to debug. */
  async startDebugging(configurationName: string): Promise<void> {
    await this.page.locator('.statusbar-item', { hasText: configurationName }).waitFor();
    await this.warmCore();
    await this.page.keyboard.press('F5');
  }

  /**
   * Begins to look; what it returns waits until VS Code knows the threads of the session that was started
   * meanwhile. It asks for them when the guest runs already, shows nothing of it, and drops a pause before
   * that without a word.
   */
  watchThreads(): () => Promise<void> {
    let isAnswered = false;
    const look = ({ payload }: { payload: string | Buffer }): void => {
      isAnswered ||= payload.includes('"command":"threads"');
    };
    for (const it of this.#webSockets) it.on('framereceived', look);
    return async () => {
      await until('VS Code knows the threads', () => isAnswered);
      for (const it of this.#webSockets) it.off('framereceived', look);
    };
  }

  /**
   * Waits until no session is left: the toolbar in the title of Run and Debug gives way to the start button.
   */
  async waitForSessionEnd(): Promise<void> {
    await this.page.locator('.start-debug-action-item').waitFor();
  }

  /** A button of the debug toolbar: Continue, Pause, Step Over, Stop, Restart. */
  debugButton(name: string): Locator {
    return this.page.locator(`.action-label[aria-label^="${name}"]`).first();
  }

  /** A row of the Variables view, by the beginning of its text. */
  variable(name: string): Locator {
    return this.page
      .locator('.debug-variables .monaco-list-row', { hasText: new RegExp(`^\\s*${name}\\b`, 'i') })
      .first();
  }

  /** How opaque the name in a row of the Variables view is, with everything that contains it. */
  async variableOpacity(name: string): Promise<number> {
    return this.variable(name).locator('.name').evaluate<number, unknown>(OPACITY, undefined);
  }

  /** Unfolds a row of the Variables view. */
  async expandVariable(name: string): Promise<void> {
    const row = this.variable(name);
    await row.waitFor();
    if ((await row.getAttribute('aria-expanded')) === 'true') return;
    await row.locator('.monaco-tl-twistie').click();
    await this.page
      .locator('.debug-variables .monaco-list-row[aria-expanded="true"]', { hasText: name })
      .first()
      .waitFor();
  }

  /**
   * Gives the Variables view room for all general registers: folds Watch, then drags the border below
   * Variables.
   */
  async enlargeVariables(): Promise<void> {
    const top = async (section: string): Promise<number> => {
      const box = await this.page.locator(`.pane-header[aria-label^="${section} Section"]`).boundingBox();
      if (box === null) throw new Error(`${section} is not on the screen`);
      return box.y;
    };
    await this.page.locator('.pane-header[aria-label^="Watch Section"]').click();
    await until('Watch is folded', async () => (await top('Call Stack')) - (await top('Watch')) < 30);
    const { mouse } = this.page;
    const x = 200;
    await mouse.move(x, await top('Watch'));
    await mouse.down();
    await mouse.move(x, (await top('Breakpoints')) - 130, { steps: 5 });
    await mouse.up();
  }

  callStackRow(text: string): Locator {
    return this.page.locator('.debug-call-stack .monaco-list-row', { hasText: text }).first();
  }

  /** A line of the Debug Console, which is on the screen. */
  consoleLine(text: string | RegExp): Locator {
    return this.page.locator('.repl .monaco-list-row', { hasText: text });
  }

  // Terminals.

  /** The text of the terminal on the screen. */
  async terminalText(): Promise<string> {
    const rows = this.page.locator('.terminal-wrapper.active .xterm-rows > div');
    return (await rows.allTextContents())
      .map((it) => it.replaceAll('\u00a0', ' ').trimEnd())
      .join('\n')
      .trimEnd();
  }

  /** Waits for a line of the terminal on the screen. */
  async waitForTerminal(text: string | RegExp): Promise<void> {
    await this.page
      .locator('.terminal-wrapper.active .xterm-rows > div', { hasText: text })
      .first()
      .waitFor();
  }

  /** Waits until the last line of the terminal on the screen is this: the guest's, or ours about its end. */
  async waitForLastLine(text: string | RegExp): Promise<void> {
    await until(`the terminal ends with ${String(text)}`, async () => {
      const line = (await this.terminalText()).split('\n').at(-1) ?? '';
      return typeof text === 'string' ? line === text : text.test(line);
    });
  }

  async waitForTerminalLines(text: string, count: number): Promise<void> {
    const lines = this.page.locator('.terminal-wrapper.active .xterm-rows > div', { hasText: text });
    await until(`the terminal shows "${text}" ${count} times`, async () => (await lines.count()) === count);
  }

  /** The name of the terminal on the screen, where its panel shows it. */
  terminalTab(name: string): Locator {
    return this.page.locator('.part.panel .single-terminal-tab, .terminal-tabs-entry', { hasText: name });
  }

  /** The tab of the panel that brings the terminals to its front, or the Debug Console. */
  panelTab(name: 'Terminal' | 'Debug Console'): Locator {
    return this.page.locator('.part.panel').getByRole('tab', { name: new RegExp(`^${name}`) });
  }

  /** How many terminals there are, visible or not. */
  async terminalCount(): Promise<number> {
    return this.page.locator('.terminal-wrapper').count();
  }

  /** Types into the terminal on the screen as a user would. */
  async typeInTerminal(keys: string): Promise<void> {
    await this.page.locator('.terminal-wrapper.active .xterm-screen').click();
    await this.page.keyboard.type(keys);
  }

  // Messages.

  notification(text: string | RegExp): Locator {
    return this.page.locator('.notifications-toasts .notification-list-item', { hasText: text });
  }

  /** The page inside a webview. */
  webview(): FrameLocator {
    return this.page.frameLocator('iframe.webview.ready').frameLocator('#active-frame');
  }

  /** A row of the list to choose from, by the beginning of its text. */
  choice(text: string): Locator {
    return this.page.locator(`.quick-input-list .monaco-list-row[aria-label^="${text}"]`).first();
  }

  /** In the dialog that asks where to save: this file, and Enter. */
  async confirmFile(file: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input[type="text"]');
    await until('the dialog proposes the file', async () => (await input.inputValue()) === file);
    await input.press('Enter');
    await this.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
  }

  /** A short message in the status bar. */
  statusMessage(text: string): Locator {
    return this.page.locator('.statusbar-item', { hasText: text });
  }

  dialog(): Locator {
    return this.page.locator('.monaco-dialog-box');
  }

  /** Before, its commands are not in the list. */
  async waitForExtension(): Promise<void> {
    await until('the extension is active', () => this.#extensionLogs().length > 0);
  }

  /** Runs a command by its title. */
  async runCommand(title: string): Promise<void> {
    await this.page.keyboard.press('F1');
    const input = this.page.locator('.quick-input-widget input');
    await input.fill(`>${title}`);
    await this.page.locator('.quick-input-list .monaco-list-row', { hasText: title }).first().click();
  }

  /**
   * Runs part of a scenario, in which every step builds on the ones before: after a failure the others fail
   * at once. A picture of the window is left behind.
   */
  async step(name: string, action: () => Promise<void>): Promise<void> {
    if (this.#failedStep !== undefined) throw new Error(`not tried, since "${this.#failedStep}" failed`);
    try {
      await action();
    } catch (error) {
      this.#failedStep = name;
      await this.screenshot(`failed-${name}`);
      console.error(
        `the window is in ${path.join(ARTIFACTS, `failed-${name}.png`)}\n${this.#extensionLog()}`,
      );
      throw error;
    }
  }

  /**
   * A picture of the window: among the artifacts, and when asked for by UPDATE_SCREENSHOTS=1, in docs/images.
   */
  async screenshot(name: string, purpose?: 'for README'): Promise<void> {
    const isWanted = purpose === 'for README' && process.env['UPDATE_SCREENSHOTS'] === '1';
    const directory = isWanted ? path.join(ROOT, 'docs/images') : ARTIFACTS;
    mkdirSync(directory, { recursive: true });
    await this.page.screenshot({ path: path.join(directory, `${name}.png`) });
  }

  /** What our extension's output channel has. */
  #extensionLog(): string {
    return this.#extensionLogs()
      .map((it) => readFileSync(it, 'utf8'))
      .join('\n');
  }

  /** The channel's files: there from when the extension is active. */
  #extensionLogs(): string[] {
    const logs = path.join(this.server.dataDirectory, 'user/logs');
    const files = readdirSync(logs, { recursive: true }).map(String);
    return files.filter((it) => it.endsWith('Trapframe.log')).map((it) => path.join(logs, it));
  }

  // Processes.

  /** The vmm-core processes of this window, the oldest first. */
  vmProcesses(): number[] {
    return processesWith(this.server.dataDirectory, 'vmm.js').sort((a, b) => startTime(a) - startTime(b));
  }

  /**
   * The core that waits for the next VM: a process of this window that is none of `others`. It is started
   * ahead of use with the window, and again a second after a session began or ended.
   */
  async warmCore(others: readonly number[] = []): Promise<number> {
    let warm: number | undefined;
    await until('a core is warm', () => {
      warm = this.vmProcesses().find((it) => !others.includes(it));
      return warm !== undefined;
    });
    return warm ?? 0;
  }

  async processesGone(pids: readonly number[]): Promise<void> {
    await until(`processes ${pids.join(', ')} are gone`, () => !pids.some(isAlive));
  }
}

/** Polls until `condition` holds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + STEP_TIMEOUT_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not in ${STEP_TIMEOUT_MS / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * Processes whose command line holds all of `texts`: the extension runs from the server's own extensions
 * folder.
 */
function processesWith(...texts: readonly string[]): number[] {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((it) => it > 0);
  return pids.filter((pid) => {
    const command = commandLine(pid);
    return texts.every((it) => command.includes(it));
  });
}

/**
 * In clock ticks since the machine's boot: proc(5), stat, field 22; the fields after the command begin with
 * the third.
 */
function startTime(pid: number): number {
  const stat = textOf(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

function isAlive(pid: number): boolean {
  return commandLine(pid) !== '';
}

/** Empty for a process that is gone, and for a zombie. */
function commandLine(pid: number): string {
  return textOf(`/proc/${pid}/cmdline`);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // it ended while we looked
  }
}
