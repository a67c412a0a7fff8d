/** JSON-RPC over a socket with the protocol's codec: both ends of the control socket are made here. */
import type { Socket } from 'node:net';
import {
  createMessageConnection,
  type Message,
  type MessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { decodeMessage, encodeMessage } from '../protocol/codec.ts';

export function messageStream(socket: Socket): MessageConnection {
  const reader = new StreamMessageReader(socket, {
    charset: 'utf-8',
    contentTypeDecoder: {
      name: 'trapframe',
      decode: (body) => Promise.resolve().then(() => decodeMessage(body) as Message),
    },
  });
  const writer = new QuietWriter(socket, {
    charset: 'utf-8',
    contentTypeEncoder: {
      name: 'trapframe',
      encode: (message) => Promise.resolve(encodeMessage(message)),
    },
  });
  return createMessageConnection(reader, writer);
}

/**
 * vscode-jsonrpc turns a failed write into an unhandled rejection besides the one of the request. The socket closes after it, which
 * both ends see; requests that wait are rejected when their connection is disposed. And `end` lets out what was written before:
 * encoding is asynchronous, so without that the last words of a VM are lost.
 */
class QuietWriter extends StreamMessageWriter {
  /** Settles when everything written so far has been handed to the socket. */
  #written: Promise<unknown> = Promise.resolve();

  override write(message: Message): Promise<void> {
    const written = super.write(message).catch(() => undefined);
    this.#written = Promise.all([this.#written, written]);
    return written;
  }

  override end(): void {
    void this.#written.then(() => super.end());
  }
}
