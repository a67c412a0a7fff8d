/** The other direction of frameReader.ts. What the socket has not taken is counted and limited. */
import type { Socket } from 'node:net';
import { AbstractMessageWriter, Message } from 'vscode-jsonrpc/node';
import { encodeMessage } from '../protocol/codec.ts';

export class FrameWriter extends AbstractMessageWriter {
  readonly #socket: Socket;
  readonly #maxUnreadBytes: number;
  /**
   * The other side's unanswered requests: "kill" is answered when the VM has ended and the core is about to
   * hang up.
   */
  readonly #owed = new Set<number | string | null>();
  #isEnding = false;

  constructor(socket: Socket, maxUnreadBytes: number) {
    super();
    this.#socket = socket;
    this.#maxUnreadBytes = maxUnreadBytes;
  }

  owe(request: number | string | null): void {
    this.#owed.add(request);
  }

  /**
   * Never fails: the socket closes after an error, which both ends see, and requests that wait are rejected
   * when their connection is disposed. (vscode-jsonrpc would also turn a failed write into an unhandled
   * rejection.)
   */
  write(message: Message): Promise<void> {
    const pieces = encodeMessage(message);
    if (this.#socket.writable) this.#send(pieces);
    if (Message.isResponse(message)) this.#owed.delete(message.id);
    if (this.#isEnding) this.end();
    return Promise.resolve();
  }

  /** After the answers still owed. What was written before still goes out. */
  end(): void {
    this.#isEnding = true;
    if (this.#owed.size === 0) this.#socket.end();
  }

  /** In one system call. Runs of bytes can be large and are not copied; the text before them is short. */
  #send([text, ...bytes]: ReturnType<typeof encodeMessage>): void {
    const length = bytes.reduce((sum, piece) => sum + piece.length, text.length);
    const head = Buffer.concat([Buffer.from(`Content-Length: ${length}\r\n\r\n`, 'latin1'), text]);
    this.#socket.cork();
    this.#socket.write(head);
    for (const piece of bytes) this.#socket.write(piece);
    this.#socket.uncork();
    if (this.#socket.writableLength <= this.#maxUnreadBytes) return;
    this.fireError(
      new Error(`the other side does not read: ${this.#socket.writableLength} bytes wait for it`),
    );
  }
}
