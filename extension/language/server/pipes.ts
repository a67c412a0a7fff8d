/**
 * The server's two pipes, such that a client may write all its requests, close its end, and read the answers
 * in its own time.
 */
import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  AbstractMessageReader,
  type DataCallback,
  type Disposable,
  type Message,
  type ResponseMessage,
  StreamMessageWriter,
} from 'vscode-languageserver/node';
import { FramingError, MessageCutter } from '../../../vmm-core/client/messageCutter.ts';
import type { Lifecycle } from './lifecycle.ts';

/** The longest path of a message through vscode-jsonrpc, in turns of the event loop, generously. */
const IDLE_TURNS = 8;
/** JSON-RPC 2.0 §5.1. */
const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;

export interface ReaderEvents {
  /** The client has closed its end. */
  readonly onClose: () => void;
  /** The input can no longer be followed. */
  readonly onBroken: (error: FramingError) => void;
  /** The answer to what is not a message. */
  readonly answer: (response: ResponseMessage) => void;
}

/**
 * vscode-jsonrpc's own would forget what it has read, and owes an answer to, when the other side closes; it
 * would keep a frame of any size in memory, and silently read on without end after a header that it does not
 * understand.
 */
export class PatientReader extends AbstractMessageReader {
  readonly #stream: Readable;
  readonly #events: ReaderEvents;

  constructor(stream: Readable, events: ReaderEvents) {
    super();
    this.#stream = stream;
    this.#events = events;
  }

  listen(callback: DataCallback): Disposable {
    const cutter = new MessageCutter('LSP');
    const take = (chunk: Buffer): void => {
      try {
        for (const body of cutter.push(chunk)) this.#deliver(body, callback);
      } catch (error) {
        if (!(error instanceof FramingError)) throw error;
        this.#stream.off('data', take);
        this.#stream.resume(); // until the other end closes it
        this.#events.onBroken(error);
      }
    };
    this.#stream.on('data', take);
    this.#stream.on('error', (error) => this.fireError(error));
    this.#stream.on('close', () => this.#events.onClose());
    return { dispose: () => void this.#stream.off('data', take) };
  }

  #deliver(body: Buffer, callback: DataCallback): void {
    let message: unknown;
    try {
      message = JSON.parse(body.toString('utf8'));
    } catch (error) {
      return this.#refuse(PARSE_ERROR, `a message that is not JSON: ${(error as Error).message}`);
    }
    if (typeof message !== 'object' || message === null || Array.isArray(message))
      return this.#refuse(INVALID_REQUEST, 'a message that is not an object; LSP has no batches');
    callback(message as Message);
  }

  #refuse(code: number, message: string): void {
    this.#events.answer({ jsonrpc: '2.0', id: null, error: { code, message } });
  }
}

export class PatientWriter extends StreamMessageWriter {
  /** Settles when everything sent so far has been read. */
  written: Promise<unknown> = Promise.resolve();

  override write(message: Message): Promise<void> {
    const writing = super.write(message);
    this.written = Promise.allSettled([this.written, writing]);
    return writing;
  }
}

/** Resolves when everything read has been handled and everything sent has been taken. */
export async function untilQuiet(lifecycle: Lifecycle, writer: PatientWriter): Promise<void> {
  for (let turns = 0; turns < IDLE_TURNS; turns++) {
    const { taken } = lifecycle;
    const { written } = writer;
    await written;
    await nextTurn();
    if (lifecycle.taken !== taken || writer.written !== written) turns = 0;
  }
}
