/**
 * The bytes between a VM's UARTs and their terminals: another client of the control socket beside the debug
 * adapter.
 */
import { connectVmm, type VmmClient } from '../../vmm-core/client/vmmClient.ts';
import { serialTitle } from '../../vmm-core/config/serialBackend.ts';
import { serialLines } from '../../vmm-core/config/serialLines.ts';
import { serialAttach, serialInput, serialOutput, serialResize } from '../../vmm-core/protocol/serial.ts';
import { ended } from '../../vmm-core/protocol/vm.ts';
import type { SerialTerminal, SerialTerminals, TerminalHandlers } from '../terminal/serialTerminal.ts';

/** A paste comes as one text; it is sent in messages of at most this, in order. */
const MAX_INPUT_BYTES = 4096;

export interface SerialOptions {
  /** Control socket. */
  readonly socket: string;
  /** Names the terminals: of the launch configuration, or of the VM. */
  readonly name: string;
  /** UARTs to show: 0 is COM1. */
  readonly ports: readonly number[];
  readonly terminals: SerialTerminals;
  /** Why a VM that did not report its end is gone. */
  readonly describeLoss: () => Promise<string>;
  /** Disconnects when the user has closed all of them. */
  readonly endsWithTerminals?: boolean;
}

export class SerialConnection {
  readonly #options: SerialOptions;
  readonly #open = new Map<number, SerialTerminal>();
  #end: string | undefined;
  #closed: Promise<void> = Promise.resolve();

  constructor(options: SerialOptions) {
    this.#options = options;
  }

  /** The VM reported its end. */
  get sawEnd(): boolean {
    return this.#end !== undefined;
  }

  /**
   * Resolves when the connection is gone and everything received has been shown; at once when there is none.
   */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** Opens a terminal for each port without one; COM1 last, so that it is in front. Throws ConnectError. */
  async open(): Promise<void> {
    const { socket, name, ports, terminals } = this.#options;
    const client = await connectVmm(socket, { client: 'vscode' });
    const { connection, closed } = client;
    connection.onNotification(ended, (end) => {
      this.#end = end.message;
    });
    connection.onNotification(serialOutput, ({ port, data, droppedBytes }) => {
      const terminal = this.#open.get(port);
      if (droppedBytes !== undefined)
        terminal?.write(Buffer.from(`\r\n[${droppedBytes} bytes of output came too fast and were lost]\r\n`));
      terminal?.write(data);
    });
    this.#closed = closed;
    void closed.then(() => this.#lost());
    for (const port of [...ports].reverse()) {
      if (terminals.shows(client.info.pid, port)) continue; // a console that was there before the session
      const owner = { name, pid: client.info.pid };
      const line = { port, title: titleOf(client, port) };
      const terminal = terminals.open(owner, line, this.#handlers(client, port));
      this.#open.set(port, terminal);
      const { backlog } = await connection.sendRequest(serialAttach, { port });
      terminal.write(backlog);
    }
  }

  /** What cannot be sent `closed` reports. */
  #handlers(client: VmmClient, port: number): TerminalHandlers {
    const { connection } = client;
    return {
      onInput: (bytes) => {
        for (let at = 0; at < bytes.length; at += MAX_INPUT_BYTES) {
          const data = bytes.subarray(at, at + MAX_INPUT_BYTES);
          void connection.sendNotification(serialInput, { port, data }).catch(() => undefined);
        }
      },
      onResize: (columns, rows) => {
        if (columns < 1 || rows < 1) return; // of a panel that is closed
        void connection.sendNotification(serialResize, { port, columns, rows }).catch(() => undefined);
      },
      onClosed: () => {
        this.#open.delete(port);
        if (this.#options.endsWithTerminals === true && this.#open.size === 0) client.dispose();
      },
    };
  }

  /** What the terminals show stays. */
  async #lost(): Promise<void> {
    const loss = await this.#options.describeLoss();
    for (const terminal of this.#open.values()) terminal.disconnect(this.#end ?? loss);
    this.#open.clear();
  }
}

function titleOf({ info: { config } }: VmmClient, port: number): string {
  return config === undefined ? serialTitle(port) : (serialLines(config)[port]?.title ?? serialTitle(port));
}
