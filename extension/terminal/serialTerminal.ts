/**
 * A UART as an integrated terminal: raw keys in, output out. The terminal outlives the VM, says so when the VM is gone, and is used
 * again by the next session of the same configuration.
 */
import * as vscode from 'vscode';
import { SerialText } from './serialText.ts';

/** Output kept while VS Code has not opened the terminal yet. The newest is kept: it tells where the guest got to. */
const MAX_BUFFERED_CHARACTERS = 256 * 1024;

/** All serial terminals of this window. */
export class SerialTerminals {
  readonly #terminals = new Set<SerialTerminal>();
  /** Title of the one that was asked for before it is there. */
  #awaited: string | undefined;

  /**
   * The terminal for a port of a configuration: the one an earlier session left, or a new one. Takes the focus only when it is awaited.
   * `onClosed`: the user closed it while it was connected.
   */
  open(
    configurationName: string,
    port: number,
    onInput: (bytes: Uint8Array) => void,
    onClosed?: () => void,
  ): SerialTerminal {
    const title = titleOf(configurationName, port);
    const left = [...this.#terminals].find((it) => it.title === title && !it.connected);
    const terminal = left ?? new SerialTerminal(title, () => this.#terminals.delete(terminal));
    this.#terminals.add(terminal);
    terminal.connect(onInput, onClosed);
    if (this.#awaited === title) {
      this.#awaited = undefined;
      terminal.focus();
    }
    return terminal;
  }

  /** Whether one is connected, which then has the focus. */
  focus(configurationName: string, port: number): boolean {
    const title = titleOf(configurationName, port);
    const terminal = [...this.#terminals].find((it) => it.title === title && it.connected);
    terminal?.focus();
    return terminal !== undefined;
  }

  awaitFocus(configurationName: string, port: number): void {
    this.#awaited = titleOf(configurationName, port);
  }
}

function titleOf(configurationName: string, port: number): string {
  return `COM${port + 1} · ${configurationName}`;
}

export class SerialTerminal {
  readonly title: string;
  readonly #writes = new vscode.EventEmitter<string>();
  readonly #terminal: vscode.Terminal;
  #text = new SerialText();
  /** Until VS Code opens the terminal; what is written earlier would be lost. */
  #buffer: string | undefined = '';
  #onInput: ((bytes: Uint8Array) => void) | undefined;
  #onClosed: (() => void) | undefined;
  #usedBefore = false;
  #atLineStart = true;

  constructor(title: string, onClosed: () => void) {
    this.title = title;
    const pty: vscode.Pseudoterminal = {
      onDidWrite: this.#writes.event,
      open: () => this.#opened(),
      close: () => {
        const wasConnected = this.connected;
        this.#onInput = undefined;
        onClosed();
        if (wasConnected) this.#onClosed?.();
      },
      handleInput: (data) => this.#onInput?.(Buffer.from(data, 'utf8')),
    };
    this.#terminal = vscode.window.createTerminal({
      name: title,
      pty,
      iconPath: new vscode.ThemeIcon('plug'),
      isTransient: true, // a reload of the window ends the VM; an empty shell of a terminal would be no use
    });
  }

  get connected(): boolean {
    return this.#onInput !== undefined;
  }

  connect(onInput: (bytes: Uint8Array) => void, onClosed?: () => void): void {
    if (this.#usedBefore) this.#notice('new session');
    this.#usedBefore = true;
    this.#text = new SerialText();
    this.#onInput = onInput;
    this.#onClosed = onClosed;
    this.#terminal.show(true);
  }

  focus(): void {
    this.#terminal.show(false);
  }

  write(bytes: Uint8Array): void {
    this.#put(this.#text.decode(bytes));
  }

  /** The VM is gone; what it wrote stays. */
  disconnect(why: string): void {
    this.#put(this.#text.end());
    this.#onInput = undefined;
    this.#notice(why);
  }

  /** A dim line of ours, told from the guest's by its rule; resets whatever colours the guest left on. */
  #notice(text: string): void {
    const newLine = this.#atLineStart ? '' : '\r\n';
    this.#put(`\x1b[0m${newLine}\x1b[2m── ${text} ──\x1b[0m\r\n`);
  }

  #put(text: string): void {
    if (text === '') return;
    this.#atLineStart = text.endsWith('\n');
    if (this.#buffer === undefined) this.#writes.fire(text);
    else this.#buffer = (this.#buffer + text).slice(-MAX_BUFFERED_CHARACTERS);
  }

  #opened(): void {
    const early = this.#buffer ?? '';
    this.#buffer = undefined;
    if (early !== '') this.#writes.fire(early);
  }
}
