/**
 * Reads messages from the control socket for vscode-jsonrpc: cuts the stream (messageCutter.ts), decodes the
 * pieces (codec.ts).
 */
import type { Socket } from 'node:net';
import { AbstractMessageReader, type DataCallback, type Disposable, type Message } from 'vscode-jsonrpc/node';
import { decodeMessage } from '../protocol/codec.ts';
import { MessageCutter } from './messageCutter.ts';

/** The largest read or write of memory that the protocol allows, and what surrounds it. */
export const MAX_FRAME_BYTES = 65 * 1024 * 1024;

export class FrameReader extends AbstractMessageReader {
  readonly #socket: Socket;
  readonly #cutter = new MessageCutter('the control protocol', MAX_FRAME_BYTES);

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
  }

  get maxFrameBytes(): number {
    return this.#cutter.maxBytes;
  }

  set maxFrameBytes(bytes: number) {
    this.#cutter.maxBytes = bytes;
  }

  listen(callback: DataCallback): Disposable {
    const onData = (chunk: Buffer): void => {
      try {
        for (const body of this.#cutter.push(chunk)) callback(decodeMessage(body) as Message);
      } catch (error) {
        this.#socket.off('data', onData);
        this.fireError(error);
      }
    };
    this.#socket.on('data', onData);
    this.#socket.on('error', (error) => this.fireError(error));
    this.#socket.on('close', () => this.fireClose());
    return { dispose: () => void this.#socket.off('data', onData) };
  }
}
