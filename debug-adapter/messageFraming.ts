/**
 * DAP's base protocol: header lines of which one is `Content-Length: N`, an empty line, N bytes of JSON. What a peer can make us keep
 * in memory has a bound.
 */

/** More than any client sends: a `writeMemory` of 48 MiB. */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const MAX_HEADER_BYTES = 4096;
const HEADER_END = '\r\n\r\n';
/** RFC 9110 §5.1: names of header fields are case-insensitive. */
const CONTENT_LENGTH = /^content-length:[ \t]*(\d+)[ \t]*$/im;

/** The stream cannot be followed any further. `message` is a sentence for the user. */
export class FramingError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FramingError';
  }
}

export class MessageFraming {
  #chunks: Buffer[] = [];
  #bufferedBytes = 0;
  /** Of the body that comes next; `undefined` while its header is not complete. */
  #bodyBytes: number | undefined;

  /** The bodies that `chunk` completes, each as soon as it is found. Throws FramingError at what follows no rule. */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
    for (;;) {
      this.#bodyBytes ??= this.#takeHeader();
      if (this.#bodyBytes === undefined || this.#bufferedBytes < this.#bodyBytes) return;
      const body = this.#take(this.#bodyBytes);
      this.#bodyBytes = undefined;
      yield body;
    }
  }

  #takeHeader(): number | undefined {
    const end = this.#joined().indexOf(HEADER_END);
    if (end > MAX_HEADER_BYTES || (end < 0 && this.#bufferedBytes > MAX_HEADER_BYTES))
      throw new FramingError(`a message header of more than ${MAX_HEADER_BYTES} bytes: this is not DAP`);
    if (end < 0) return undefined;
    const header = this.#take(end + HEADER_END.length).toString('latin1');
    const length = Number(CONTENT_LENGTH.exec(header)?.[1] ?? NaN);
    if (Number.isNaN(length)) throw new FramingError('a message without Content-Length: this is not DAP');
    if (length > MAX_MESSAGE_BYTES)
      throw new FramingError(`a message of ${length} bytes: at most ${MAX_MESSAGE_BYTES} are accepted`);
    return length;
  }

  #take(lengthBytes: number): Buffer {
    const all = this.#joined();
    this.#chunks = [all.subarray(lengthBytes)];
    this.#bufferedBytes -= lengthBytes;
    return all.subarray(0, lengthBytes);
  }

  /** One buffer of what has come: joined once a message, not once a chunk. */
  #joined(): Buffer {
    const [first] = this.#chunks;
    if (this.#chunks.length === 1 && first !== undefined) return first;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}
