/** The text of one file of a configuration, with offsets turned into lines and columns. Pure. */

/** Zero-based, in UTF-16 units, as editors count. */
export interface Position {
  readonly line: number;
  readonly character: number;
}

/** More than can be passed as arguments. */
const MANY_LINES = 1000;

/** In the old text: [start, end) became `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
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

  /** The holders of offsets move them (reparse.ts). */
  replaceText(text: string): void {
    this.#text = text;
    this.#lineStarts = undefined;
  }

  /**
   * The same for a part. Line starts are moved rather than found again: there is one edit for each key press.
   */
  edit({ start, end, text }: Edit): void {
    const starts = this.#lineStarts;
    const added = newlines(text);
    if (starts !== undefined && added.length < MANY_LINES) {
      const first = this.#lineOf(start) + 1;
      starts.splice(first, this.#lineOf(end) + 1 - first, ...added.map((it) => start + it + 1));
      const delta = text.length - (end - start);
      for (let i = first + added.length; i < starts.length; i++) starts[i] = (starts[i] ?? 0) + delta;
    } else this.#lineStarts = undefined;
    this.#text = this.#text.slice(0, start) + text + this.#text.slice(end);
  }

  position(offset: number): Position {
    const line = this.#lineOf(offset);
    return { line, character: Math.max(0, offset - this.lineStart(line)) };
  }

  #lineOf(offset: number): number {
    const starts = this.#starts();
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
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
    return (this.#lineStarts ??= [0, ...newlines(this.text).map((it) => it + 1)]);
  }
}

function newlines(text: string): number[] {
  const found: number[] = [];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) found.push(at);
  return found;
}
