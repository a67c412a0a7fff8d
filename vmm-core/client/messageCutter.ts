/**
 * Cuts a stream into messages: header lines, one of them `Content-Length: N`, an empty line, N bytes: the
 * framing of DAP, LSP and the control protocol. What a peer can make us keep in memory is bounded, however
 * small the pieces it sends.
 */

/** More than an editor sends: a `writeMemory` of 48 MiB, a vm.conf of the largest size. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/** Including its end. */
const MAX_HEADER_BYTES = 4096;
const HEADER_END = '\r\n\r\n';
/** RFC 9110 §5.1: names of header fields are case-insensitive. */
const CONTENT_LENGTH = /^content-length:[ \t]*(\d+)[ \t]*$/im;
const NOTHING = Buffer.alloc(0);

/** The stream cannot be parsed any further. `message` is a sentence for the user. */
export class FramingError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FramingError';
  }
}

export class MessageCutter {
  /** A larger body is refused before any of it is kept. */
  maxBytes: number;
  readonly #protocol: string;
  /** A header whose end has not arrived. */
  #header: Buffer = NOTHING;
  /**
   * A body that has not fully arrived. Allocated at once, so that its pieces need not be kept until they are
   * joined.
   */
  #body: Buffer | undefined;
  #bodyBytes = 0;

  /** `protocol`: named in the error when the stream breaks the rules. */
  constructor(protocol: string, maxBytes: number = MAX_MESSAGE_BYTES) {
    this.#protocol = protocol;
    this.maxBytes = maxBytes;
  }

  /**
   * The bodies that `chunk` completes, each as soon as it is found. Throws FramingError when the stream
   * breaks the rules.
   */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    let rest = chunk;
    if (this.#body !== undefined) {
      const taken = rest.copy(this.#body, this.#bodyBytes);
      this.#bodyBytes += taken;
      if (this.#bodyBytes < this.#body.length) return;
      const body = this.#body;
      this.#body = undefined;
      rest = rest.subarray(taken);
      yield body;
    }
    for (;;) {
      const received = this.#header.length === 0 ? rest : Buffer.concat([this.#header, rest]);
      const end = this.#headerEnd(received);
      this.#header = end === undefined ? received : NOTHING;
      if (end === undefined) return;
      const length = this.#contentLength(received.toString('latin1', 0, end));
      rest = received.subarray(end + HEADER_END.length);
      if (rest.length < length) {
        this.#body = Buffer.allocUnsafeSlow(length);
        this.#bodyBytes = rest.copy(this.#body);
        return;
      }
      const body = rest.subarray(0, length);
      rest = rest.subarray(length);
      yield body;
    }
  }

  #headerEnd(received: Buffer): number | undefined {
    const end = received.subarray(0, MAX_HEADER_BYTES).indexOf(HEADER_END);
    if (end >= 0) return end;
    if (received.length < MAX_HEADER_BYTES) return undefined;
    throw new FramingError(
      `a message header of more than ${MAX_HEADER_BYTES} bytes: this is not ${this.#protocol}`,
    );
  }

  #contentLength(header: string): number {
    const digits = CONTENT_LENGTH.exec(header)?.[1];
    if (digits === undefined)
      throw new FramingError(`a message without Content-Length: this is not ${this.#protocol}`);
    const length = Number(digits);
    if (length > this.maxBytes)
      throw new FramingError(`a message of ${length} bytes: at most ${this.maxBytes} are accepted`);
    return length;
  }
}
