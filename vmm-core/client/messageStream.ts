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
 * both ends see; requests that wait are rejected when their connection is disposed.
 */
class QuietWriter extends StreamMessageWriter {
  override write(message: Message): Promise<void> {
    return super.write(message).catch(() => undefined);
  }
}
