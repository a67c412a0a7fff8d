/**
 * A UART as an integrated terminal: raw keys in, output out. The terminal outlives the VM, says so when the
 * VM is gone, and is used again by the next session of the same configuration.
 */
import * as vscode from 'vscode';
import type { SerialLineConfig } from '../../vmm-core/config/serialLines.ts';
import { LineFeeds } from './lineFeeds.ts';
import { SerialText } from './serialText.ts';

/**
 * Output kept while VS Code has not opened the terminal yet. The newest is kept: it shows how far the guest
 * got.
 */
const MAX_BUFFERED_CHARACTERS = 256 * 1024;

/** Whose UARTs they are. */
export interface TerminalOwner {
  /** Names the terminal: of the launch configuration, or of the VM. */
  readonly name: string;
  /** The VM's process. */
  readonly pid: number;
}

/** What a terminal shows. */
export type TerminalLine = Pick<SerialLineConfig, 'port' | 'title'>;

/** What its user does, while it is connected. */
export interface TerminalHandlers {
  onInput(bytes: Uint8Array): void;
  /** At first, when the size is known by then, and at each change. */
  onResize(columns: number, rows: number): void;
  /** The user has closed it. */
  onClosed(): void;
}

/** All serial terminals of this window. */
export class SerialTerminals implements vscode.Disposable {
  readonly #terminals = new Set<SerialTerminal>();
  /** By the VM's process: a terminal that is opened again is called what it was. */
  readonly #names = new Map<number, string>();
  readonly #settings: vscode.Disposable;
  /** Title of a terminal that was asked for before it exists. */
  #awaited: string | undefined;

  constructor() {
    this.#settings = vscode.workspace.onDidChangeConfiguration((change) => {
      if (!change.affectsConfiguration('trapframe.serial')) return;
      for (const terminal of this.#terminals) terminal.addsReturns = addsReturns();
    });
  }

  /**
   * The terminal for a port of a VM: the one an earlier session of this name left, or a new one. Takes the
   * focus only when it was asked for.
   */
  open(owner: TerminalOwner, line: TerminalLine, handlers: TerminalHandlers): SerialTerminal {
    const title = titleOf(owner.name, line.title);
    const left = [...this.#terminals].find((it) => it.title === title && !it.connected);
    const terminal = left ?? new SerialTerminal(title, () => this.#terminals.delete(terminal));
    terminal.addsReturns = addsReturns();
    this.#terminals.add(terminal);
    this.#names.set(owner.pid, owner.name);
    terminal.connect({ vm: owner.pid, port: line.port }, handlers);
    if (this.#awaited === title) {
      this.#awaited = undefined;
      terminal.focus();
    }
    return terminal;
  }

  /** Whether one is connected, which then has the focus. */
  focus(vm: number, port: number): boolean {
    const terminal = this.#showing(vm, port);
    terminal?.focus();
    return terminal !== undefined;
  }

  shows(vm: number, port: number): boolean {
    return this.#showing(vm, port) !== undefined;
  }

  /** `line`: its title. */
  awaitFocus(name: string, line: string): void {
    this.#awaited = titleOf(name, line);
  }

  /** What a VM's terminals were called in this window. */
  nameOf(vm: number): string | undefined {
    return this.#names.get(vm);
  }

  #showing(vm: number, port: number): SerialTerminal | undefined {
    return [...this.#terminals].find((it) => it.shows(vm, port));
  }

  dispose(): void {
    this.#settings.dispose();
  }
}

function titleOf(name: string, line: string): string {
  return `${line} · ${name}`;
}

function addsReturns(): boolean {
  return vscode.workspace.getConfiguration('trapframe.serial').get('addCarriageReturns', true);
}

export class SerialTerminal {
  readonly title: string;
  /** Whether a line feed that the guest sends without a carriage return gets one. */
  addsReturns = true;
  readonly #writes = new vscode.EventEmitter<string>();
  readonly #terminal: vscode.Terminal;
  #text = new SerialText();
  #lineFeeds = new LineFeeds();
  #shown: { readonly vm: number; readonly port: number } | undefined;
  /** Until VS Code opens the terminal; what is written earlier would be lost. */
  #buffer: string | undefined = '';
  /** Absent: it is not connected. */
  #handlers: TerminalHandlers | undefined;
  /** Not known before VS Code has shown it. */
  #size: vscode.TerminalDimensions | undefined;
  #usedBefore = false;
  #atLineStart = true;

  constructor(title: string, onClosed: () => void) {
    this.title = title;
    const pty: vscode.Pseudoterminal = {
      onDidWrite: this.#writes.event,
      open: (size) => {
        this.#opened();
        if (size !== undefined) this.#resize(size);
      },
      close: () => {
        const handlers = this.#handlers;
        this.#handlers = undefined;
        onClosed();
        handlers?.onClosed();
      },
      handleInput: (data) => this.#handlers?.onInput(Buffer.from(data, 'utf8')),
      setDimensions: (size) => this.#resize(size),
    };
    this.#terminal = vscode.window.createTerminal({
      name: title,
      pty,
      iconPath: new vscode.ThemeIcon('plug'),
      isTransient: true, // a reload of the window ends the VM; an empty terminal would be of no use
    });
  }

  get connected(): boolean {
    return this.#handlers !== undefined;
  }

  shows(vm: number, port: number): boolean {
    return this.connected && this.#shown?.vm === vm && this.#shown.port === port;
  }

  connect(shown: { readonly vm: number; readonly port: number }, handlers: TerminalHandlers): void {
    if (this.#usedBefore) this.#notice('new session');
    this.#usedBefore = true;
    this.#text = new SerialText();
    this.#lineFeeds = new LineFeeds();
    this.#shown = shown;
    this.#handlers = handlers;
    if (this.#size !== undefined) this.#resize(this.#size);
    this.#terminal.show(true);
  }

  focus(): void {
    this.#terminal.show(false);
  }

  write(bytes: Uint8Array): void {
    this.#put(this.#lines(this.#text.decode(bytes)));
  }

  /** The VM is gone; what it wrote stays. */
  disconnect(why: string): void {
    this.#put(this.#lines(this.#text.end()) + this.#lineFeeds.end());
    this.#handlers = undefined;
    this.#notice(why);
  }

  /** A dim line of ours, marked off from the guest's by its rule; resets any colours the guest left on. */
  #notice(text: string): void {
    const newLine = this.#atLineStart ? '' : '\r\n';
    this.#put(`\x1b[0m${newLine}\x1b[2m── ${text} ──\x1b[0m\r\n`);
  }

  #lines(text: string): string {
    return this.#lineFeeds.translate(text, this.addsReturns);
  }

  #put(text: string): void {
    if (text === '') return;
    this.#atLineStart = text.endsWith('\n');
    if (this.#buffer === undefined) this.#writes.fire(text);
    else this.#buffer = (this.#buffer + text).slice(-MAX_BUFFERED_CHARACTERS);
  }

  #resize(size: vscode.TerminalDimensions): void {
    this.#size = size;
    this.#handlers?.onResize(size.columns, size.rows);
  }

  #opened(): void {
    const early = this.#buffer ?? '';
    this.#buffer = undefined;
    if (early !== '') this.#writes.fire(early);
  }
}
