/**
 * Both directions of a device that is a serial line to the guest, between its rings and where its
 * configuration sends it. Main thread.
 */
import type { ByteRing } from '../../bus/byteRing.ts';
import { fileErrorText } from '../../client/regularFile.ts';
import type { SerialBackend } from '../../config/serialBackend.ts';
import type { Backend, SerialLine } from '../backend.ts';
import { type Receiver, SerialInput } from './serialInput.ts';
import { SerialPort } from './serialPort.ts';

export interface SerialConsoleOptions {
  readonly name: string;
  readonly target: SerialBackend;
  /** From the guest, and to it. */
  readonly output: ByteRing;
  readonly input: ByteRing;
  readonly device: Receiver;
  /** The guest is held back until the event loop has turned. */
  readonly onBehind: () => void;
  /** What the guest writes from here on is lost; `message` is a sentence for the user. */
  readonly onLost: (message: string) => void;
}

export class SerialConsole implements Backend, SerialLine {
  readonly port: SerialPort;
  readonly #options: SerialConsoleOptions;
  readonly #input: SerialInput;

  /** Throws UserError when the target cannot be opened. */
  constructor(options: SerialConsoleOptions) {
    this.#options = options;
    this.port = new SerialPort(options.target);
    this.port.onDrained = () => this.flush();
    this.port.onBroken = (error) => this.#reportLoss(error);
    this.#input = new SerialInput(options.name, options.device, options.input);
  }

  get serial(): readonly SerialLine[] {
    return [this];
  }

  type(bytes: Uint8Array): boolean {
    return this.#input.type(bytes);
  }

  /** Its output ring has something. When the port is behind, the ring fills up, and the guest waits. */
  onEvent(): void {
    if (this.port.isBehind) this.#options.onBehind();
    else this.flush();
  }

  poll(): void {
    this.onEvent();
  }

  flush(): void {
    const bytes = this.#options.output.drain();
    if (bytes.length > 0) this.port.write(bytes);
  }

  close(): void {
    this.port.close();
  }

  #reportLoss(error: NodeJS.ErrnoException): void {
    const { name, target, onLost } = this.#options;
    const loss = lossOf(name.toUpperCase(), target, error);
    if (loss !== undefined) onLost(loss);
  }
}

/** A sentence for the user; undefined: the reader has what it wanted. `title` names the port. */
export function lossOf(
  title: string,
  target: SerialBackend,
  error: NodeJS.ErrnoException,
): string | undefined {
  if (error.code === 'EPIPE') return undefined;
  const where = target.kind === 'file' ? target.path : 'standard output';
  const why = fileErrorText(error);
  return `cannot write the output of ${title} to ${where}: ${why}; the guest runs on without it`;
}
