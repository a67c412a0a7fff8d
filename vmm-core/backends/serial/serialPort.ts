/**
 * The host's end of one UART: what the guest writes goes to the back end of its configuration and to attached
 * clients; a bounded backlog serves clients that come late. Main thread.
 */
import type { SerialBackend } from '../../config/serialBackend.ts';
import { fileSink, type OutputSink, standardOutputSink } from './outputSink.ts';

export const BACKLOG_BYTES = 64 * 1024;

export class SerialPort {
  /** What could not be written is lost from here on. Called once. */
  onBroken: (error: NodeJS.ErrnoException) => void = () => undefined;
  /** `isBehind` is over. */
  onDrained: () => void = () => undefined;
  readonly #sink: OutputSink | undefined;
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();
  /** The last bytes written: byte n of all is at n modulo its length. Made at the first byte. */
  #backlog: Uint8Array | undefined;
  #written = 0;

  /** Throws UserError when the file of a `file` back end cannot be made. */
  constructor(backend: SerialBackend) {
    this.#sink = sinkOf(backend);
    if (this.#sink === undefined) return;
    this.#sink.onBroken = (error) => this.onBroken(error);
    this.#sink.onDrained = () => this.onDrained();
  }

  /** The back end has not taken yet what it was given: better give it no more. */
  get isBehind(): boolean {
    return this.#sink?.isBehind ?? false;
  }

  get pendingBytes(): number {
    return this.#sink?.pendingBytes ?? 0;
  }

  /** From the guest. */
  write(bytes: Uint8Array): void {
    this.#sink?.write(bytes);
    this.#remember(bytes);
    for (const listener of this.#listeners) listener(bytes);
  }

  /** Calls `listener` with all that comes. Returns what came so far, at most BACKLOG_BYTES. */
  attach(listener: (bytes: Uint8Array) => void): Uint8Array {
    this.#listeners.add(listener);
    if (this.#backlog === undefined) return new Uint8Array();
    if (this.#written <= BACKLOG_BYTES) return this.#backlog.slice(0, this.#written);
    const oldest = this.#written % BACKLOG_BYTES;
    return Buffer.concat([this.#backlog.subarray(oldest), this.#backlog.subarray(0, oldest)]);
  }

  detach(listener: (bytes: Uint8Array) => void): void {
    this.#listeners.delete(listener);
  }

  /** Resolves when the back end has taken everything, or no longer takes anything. */
  async drained(): Promise<void> {
    await this.#sink?.drained();
  }

  close(): void {
    this.#sink?.close();
  }

  #remember(bytes: Uint8Array): void {
    this.#backlog ??= new Uint8Array(BACKLOG_BYTES);
    const tail = bytes.subarray(Math.max(0, bytes.length - BACKLOG_BYTES));
    const at = (this.#written + bytes.length - tail.length) % BACKLOG_BYTES;
    const first = tail.subarray(0, BACKLOG_BYTES - at);
    this.#backlog.set(first, at);
    this.#backlog.set(tail.subarray(first.length), 0);
    this.#written += bytes.length;
  }
}

function sinkOf(backend: SerialBackend): OutputSink | undefined {
  if (backend.kind === 'stdio') return standardOutputSink();
  return backend.kind === 'file' ? fileSink(backend.path) : undefined;
}
