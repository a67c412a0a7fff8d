/** A connection of the control socket as a client of the core: it turns events into notifications. */
import type { NotificationType } from 'vscode-jsonrpc/node';
import type { MessageStream } from '../../client/messageStream.ts';
import { type Change, changed } from '../../protocol/changes.ts';
import { resumed, type StopEvent, stopped } from '../../protocol/run.ts';
import { type SerialData, serialOutput } from '../../protocol/serial.ts';
import { ended, trouble, type VmEnd, wasReset } from '../../protocol/vm.ts';
import type { Client, SerialReader } from '../client.ts';

export class JsonRpcClient implements Client, SerialReader {
  readonly name: string;
  readonly isDebugger: boolean;
  readonly #connection: MessageStream;

  constructor(connection: MessageStream, name: string, isDebugger: boolean) {
    this.#connection = connection;
    this.name = name;
    this.isDebugger = isDebugger;
  }

  get unreadBytes(): number {
    return this.#connection.unreadBytes;
  }

  drained(): Promise<void> {
    return this.#connection.drained();
  }

  onStopped(event: StopEvent): void {
    void this.#notify(stopped, event);
  }

  onResumed(): void {
    void this.#notify(resumed, {});
  }

  onReset(message: string): void {
    void this.#notify(wasReset, { message });
  }

  onChanged(change: Change): void {
    void this.#notify(changed, change);
  }

  onTrouble(message: string): void {
    void this.#notify(trouble, { message });
  }

  onEnded(end: VmEnd): void {
    void this.#notify(ended, end);
  }

  onSerialOutput(output: SerialData): void {
    void this.#notify(serialOutput, output);
  }

  async #notify<P>(type: NotificationType<P>, params: P): Promise<void> {
    try {
      await this.#connection.sendNotification(type, params);
    } catch {
      // A client that is going away misses it; its close event follows.
    }
  }
}
