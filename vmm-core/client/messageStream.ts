/** JSON-RPC over a socket with the protocol's codec: both ends of the control socket are made here. */
import type { Socket } from 'node:net';
import {
  createMessageConnection,
  Message,
  type MessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { decodeMessage, encodeMessage } from '../protocol/codec.ts';

export interface MessageStream extends MessageConnection {
  /** Resolves when the socket is closed and everything that came through it has been handled: `vm/ended` before the end. */
  readonly finished: Promise<void>;
}

/** The longest way of a message through vscode-jsonrpc, in turns of the event loop, generously. */
const IDLE_TURNS = 8;

export function messageStream(socket: Socket): MessageStream {
  const reader = new StreamMessageReader(socket, {
    charset: 'utf-8',
    contentTypeDecoder: {
      name: 'trapframe',
      decode: (body) => Promise.resolve().then(() => decodeMessage(body) as Message),
    },
  });
  reader.partialMessageTimeout = 0; // a timer that outlives the reader, and keeps a process alive, when a body stays incomplete
  const writer = new QuietWriter(socket, {
    charset: 'utf-8',
    contentTypeEncoder: {
      name: 'trapframe',
      encode: (message) => Promise.resolve(encodeMessage(message)),
    },
  });
  let handled = 0;
  const connection = createMessageConnection(reader, writer, undefined, {
    messageStrategy: {
      handleMessage: (message, next) => {
        handled++;
        if (Message.isRequest(message)) writer.owe(message.id);
        next(message);
      },
    },
  });
  // Not `once` of node:events: that rejects when an error comes before the close, as when the other side is killed.
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const finished = closed.then(() => idle(() => handled));
  return Object.assign(connection, { finished });
}

/** Reading is asynchronous too: messages are handled one per turn of the event loop, some of them after the socket has closed. */
async function idle(progress: () => number): Promise<void> {
  let before = progress();
  for (let turns = 0; turns < IDLE_TURNS; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (progress() !== before) turns = 0;
    before = progress();
  }
}

/**
 * vscode-jsonrpc turns a failed write into an unhandled rejection besides the one of the request. The socket closes after it, which
 * both ends see; requests that wait are rejected when their connection is disposed. And `end` waits for the answers that are owed and
 * lets out what was written before: encoding is asynchronous, so without that the last words of a VM are lost.
 */
class QuietWriter extends StreamMessageWriter {
  /** Settles when everything written so far has been handed to the socket. */
  #written: Promise<unknown> = Promise.resolve();
  /** Requests of the other side without an answer: "kill" is answered when the VM is over and the core about to hang up. */
  readonly #owed = new Set<number | string | null>();
  #ending = false;

  owe(request: number | string | null): void {
    this.#owed.add(request);
  }

  override write(message: Message): Promise<void> {
    const written = super.write(message).catch(() => undefined);
    this.#written = Promise.all([this.#written, written]);
    if (Message.isResponse(message)) this.#owed.delete(message.id);
    if (this.#ending) this.end();
    return written;
  }

  override end(): void {
    this.#ending = true;
    if (this.#owed.size === 0) void this.#written.then(() => super.end());
  }
}
