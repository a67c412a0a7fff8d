/** The bytes between a VM's UARTs and their terminals: a client of the control socket beside the debug adapter's. */
import { connectVmm } from '../../vmm-core/client/vmmClient.ts';
import { ended, serialAttach, serialInput, serialOutput } from '../../vmm-core/protocol/control.ts';
import type { SerialTerminal, SerialTerminals } from '../terminal/serialTerminal.ts';

export class SerialConnection {
  readonly #socket: string;
  readonly #configurationName: string;
  readonly #ports: readonly number[];
  readonly #terminals: SerialTerminals;
  readonly #open = new Map<number, SerialTerminal>();
  #end: string | undefined;

  constructor(
    socket: string,
    configurationName: string,
    ports: readonly number[],
    terminals: SerialTerminals,
  ) {
    this.#socket = socket;
    this.#configurationName = configurationName;
    this.#ports = ports;
    this.#terminals = terminals;
  }

  /** The VM said that it is over. */
  get sawEnd(): boolean {
    return this.#end !== undefined;
  }

  /** Opens a terminal per port, in order, so that COM1 is in front. Throws ConnectError. */
  async open(): Promise<void> {
    const { connection, closed } = await connectVmm(this.#socket, { client: 'vscode' });
    connection.onNotification(ended, (end) => (this.#end = end.message));
    connection.onNotification(serialOutput, ({ port, data }) => {
      this.#open.get(port)?.write(data);
    });
    void closed.then(() => this.lost(this.#end ?? 'the connection to the VM is lost'));
    for (const port of [...this.#ports].reverse()) {
      const send = (bytes: Uint8Array): void => {
        void connection.sendNotification(serialInput, { port, data: bytes }).catch(() => undefined); // `closed` tells
      };
      const terminal = this.#terminals.open(this.#configurationName, port, send);
      this.#open.set(port, terminal);
      const { backlog } = await connection.sendRequest(serialAttach, { port });
      terminal.write(backlog);
    }
  }

  /** Ends the terminals' session, once; what they show stays. */
  lost(why: string): void {
    for (const terminal of this.#open.values()) terminal.disconnect(why);
    this.#open.clear();
  }
}
