/** The server's two pipes, such that a client may write all it has to ask, close its end, and read the answers in its own time. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Message, StreamMessageReader, StreamMessageWriter } from 'vscode-languageserver/node';
import type { Lifecycle } from './lifecycle.ts';

/** The longest way of a message through vscode-jsonrpc, in turns of the event loop, generously. */
const IDLE_TURNS = 8;

/** vscode-jsonrpc would forget what it has read, and owes an answer to, when the other side closes. */
export class PatientReader extends StreamMessageReader {
  readonly #onClose: () => void;

  constructor(stream: NodeJS.ReadableStream, onClose: () => void) {
    super(stream);
    this.#onClose = onClose;
  }

  protected override fireClose(): void {
    this.#onClose();
  }
}

export class PatientWriter extends StreamMessageWriter {
  /** Settles when all that was said so far has been read. */
  written: Promise<unknown> = Promise.resolve();

  override write(message: Message): Promise<void> {
    const writing = super.write(message);
    this.written = Promise.allSettled([this.written, writing]);
    return writing;
  }
}

/** Resolves when all that was read has been handled and all that was said has been taken. */
export async function untilQuiet(lifecycle: Lifecycle, writer: PatientWriter): Promise<void> {
  for (let turns = 0; turns < IDLE_TURNS; turns++) {
    const { taken } = lifecycle;
    const { written } = writer;
    await written;
    await nextTurn();
    if (lifecycle.taken !== taken || writer.written !== written) turns = 0;
  }
}
