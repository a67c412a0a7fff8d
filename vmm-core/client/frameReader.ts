/** Frames of the control socket, `Content-Length: N`, an empty line and N bytes (codec.ts), as vscode-jsonrpc wants them. */
import type { Socket } from 'node:net';
import { AbstractMessageReader, type DataCallback, type Disposable, type Message } from 'vscode-jsonrpc/node';
import { decodeMessage } from '../protocol/codec.ts';

/** The largest read or write of memory that the protocol allows, and what stands around it. */
export const MAX_FRAME_BYTES = 65 * 1024 * 1024;
const MAX_HEADER_BYTES = 4096;
const HEADER_END = '\r\n\r\n';

export class FrameReader extends AbstractMessageReader {
  maxFrameBytes = MAX_FRAME_BYTES;
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Set once its header has been read. */
  #frameBytes: number | undefined;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
  }

  listen(callback: DataCallback): Disposable {
    const onData = (chunk: Buffer): void => {
      try {
        this.#take(chunk, callback);
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

  #take(chunk: Buffer, callback: DataCallback): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      this.#frameBytes ??= this.#readHeader();
      if (this.#frameBytes === undefined || this.#bytes < this.#frameBytes) return;
      const body = this.#shift(this.#frameBytes);
      this.#frameBytes = undefined;
      callback(decodeMessage(body) as Message);
    }
  }

  /** The size of the frame, its header taken. Undefined: not all of it is there. */
  #readHeader(): number | undefined {
    const received = this.#join();
    const end = received.subarray(0, MAX_HEADER_BYTES).indexOf(HEADER_END);
    if (end < 0 && received.length < MAX_HEADER_BYTES) return undefined;
    const header = this.#shift(Math.max(end, 0) + HEADER_END.length).toString('latin1');
    const digits = /^content-length:[ \t]*(\d{1,15})[ \t]*$/im.exec(header)?.[1];
    if (digits === undefined) throw new Error('a frame without a Content-Length');
    const frameBytes = Number(digits);
    if (frameBytes > this.maxFrameBytes)
      throw new Error(`a frame of ${frameBytes} bytes: at most ${this.maxFrameBytes} are taken here`);
    return frameBytes;
  }

  #shift(length: number): Buffer {
    const received = this.#join();
    const rest = received.subarray(length);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    return received.subarray(0, length);
  }

  #join(): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && this.#chunks.length === 1) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}
