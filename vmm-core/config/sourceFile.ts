/** The text of one file of a configuration, with offsets turned into lines and columns. Pure. */

/** Zero-based, in UTF-16 units, as editors count. */
export interface Position {
  readonly line: number;
  readonly character: number;
}

export class SourceFile {
  readonly path: string;
  #text: string;
  #lineStarts: number[] | undefined;

  constructor(path: string, text: string) {
    this.path = path;
    this.#text = text;
  }

  get text(): string {
    return this.#text;
  }

  /** After an edit; whoever holds offsets moves them (reparse.ts). */
  replaceText(text: string): void {
    this.#text = text;
    this.#lineStarts = undefined;
  }

  position(offset: number): Position {
    const starts = this.#starts();
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low, character: Math.max(0, offset - (starts[low] ?? 0)) };
  }

  offset({ line, character }: Position): number {
    if (line >= this.lineCount) return this.text.length;
    return Math.min(this.lineStart(line) + character, this.lineEnd(line));
  }

  get lineCount(): number {
    return this.#starts().length;
  }

  lineStart(line: number): number {
    return this.#starts()[line] ?? this.text.length;
  }

  /** Before the newline. */
  lineEnd(line: number): number {
    const next = this.#starts()[line + 1];
    return next === undefined ? this.text.length : next - 1;
  }

  #starts(): number[] {
    if (this.#lineStarts === undefined) {
      this.#lineStarts = [0];
      for (let at = this.text.indexOf('\n'); at >= 0; at = this.text.indexOf('\n', at + 1)) {
        this.#lineStarts.push(at + 1);
      }
    }
    return this.#lineStarts;
  }
}

/** How many bytes a text takes in a C program, which is what vmd's limits count. */
export function byteLength(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const isSurrogate = code >= 0xd800 && code <= 0xdfff; // a pair is four bytes
    bytes += code < 0x80 ? 1 : code < 0x800 || isSurrogate ? 2 : 3;
  }
  return bytes;
}
