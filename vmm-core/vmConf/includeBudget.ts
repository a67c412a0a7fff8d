/**
 * How much one reading of a configuration may still include: files that include each other many times make
 * any text out of a few lines.
 */
import { MAX_INCLUDE_DEPTH, MAX_INCLUDED_CHARACTERS, MAX_INCLUDES } from '../config/limits.ts';

export class IncludeBudget {
  #includes = 0;
  #characters = 0;
  #isSpent = false;

  /** Something was asked for beyond it. */
  get isSpent(): boolean {
    return this.#isSpent;
  }

  /**
   * Takes one more file; what is too much, in words, when it is. `depth`: how many files are open already.
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
