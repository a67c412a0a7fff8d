/** Bytes of a UART as text for a terminal. Pure. */

/**
 * UTF-8 to text, over chunks that may end in the middle of a character. A byte that is not UTF-8 shows as
 * `\xNN`, so that a wrong baud rate or a binary protocol is recognisable. Everything else, CR, LF and escape
 * sequences included, is left as it is.
 */
export class SerialText {
  /** The beginning of a character whose rest has not come yet: at most three bytes. */
  #pending: number[] = [];

  decode(bytes: Uint8Array): string {
    let text = '';
    for (const byte of bytes) text += this.#next(byte);
    return text;
  }

  /** What is left of a character when the stream ends. */
  end(): string {
    const rest = this.#pending.map(escaped).join('');
    this.#pending = [];
    return rest;
  }

  #next(byte: number): string {
    if (this.#pending.length === 0 && byte < 0x80) return String.fromCharCode(byte);
    if (this.#pending.length > 0 && !continues(this.#pending, byte)) return this.end() + this.#next(byte);
    this.#pending.push(byte);
    const lead = this.#pending[0] ?? 0;
    const length = sequenceLength(lead);
    if (length === 0) return this.end();
    if (this.#pending.length < length) return '';
    const character = Buffer.from(this.#pending).toString('utf8');
    this.#pending = [];
    return character;
  }
}

/** Bytes of the character that `lead` begins (RFC 3629 §4); 0 when it begins none. */
function sequenceLength(lead: number): number {
  if (0xc2 <= lead && lead <= 0xdf) return 2;
  if (0xe0 <= lead && lead <= 0xef) return 3;
  return 0xf0 <= lead && lead <= 0xf4 ? 4 : 0;
}

/**
 * Whether `byte` can follow: the second byte's range depends on the first, so that no overlong form or
 * surrogate passes.
 */
function continues(pending: readonly number[], byte: number): boolean {
  const lead = pending[0] ?? 0;
  if (pending.length > 1) return 0x80 <= byte && byte <= 0xbf;
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  return low <= byte && byte <= high;
}

function escaped(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}
