/**
 * How much more one reading of a configuration may include: a few lines in files that include each other
 * many times expand to any length.
 */
import { MAX_INCLUDE_DEPTH, MAX_INCLUDED_CHARACTERS, MAX_INCLUDES } from '../config/limits.ts';

export class IncludeBudget {
  #includes = 0;
  #characters = 0;
  #isSpent = false;

  /** More than it was asked for. */
  get isSpent(): boolean {
    return this.#isSpent;
  }

  /**
   * Takes one more file; returns what is too much, in words, if it is. `depth`: how many files are open
   * already.
   */
  refusal(length: number, depth: number): string | undefined {
    this.#includes++;
    this.#characters += length;
    const found = this.#excess(depth);
    this.#isSpent ||= found !== undefined;
    return found;
  }

  #excess(depth: number): string | undefined {
    if (depth > MAX_INCLUDE_DEPTH) return `files that include each other more than ${MAX_INCLUDE_DEPTH} deep`;
    if (this.#includes > MAX_INCLUDES) return `more than ${MAX_INCLUDES} files`;
    if (this.#characters > MAX_INCLUDED_CHARACTERS)
      return `more than ${MAX_INCLUDED_CHARACTERS / 2 ** 20} MiB`;
    return undefined;
  }
}
