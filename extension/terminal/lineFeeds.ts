/** A guest's line feeds as a terminal needs them. Pure. */

/**
 * A guest without a terminal driver ends its lines with LF alone, at which a terminal goes down but not back
 * to the first column: each line would begin where the previous one ended. So such an LF gets its CR. On the
 * alternate screen (xterm's ctlseqs, private modes 47, 1047, 1049) nothing is changed: full-screen programs
 * use LF to go down one line and mean exactly that.
 */
export class LineFeeds {
  #afterReturn = false;
  #onAlternateScreen = false;
  /** The beginning of an escape sequence whose rest has not come yet; the terminal would wait for it too. */
  #pending = '';

  /** Text of the guest, in chunks cut anywhere. `addsReturns` may change between any two. */
  translate(chunk: string, addsReturns = true): string {
    const text = this.#pending + chunk;
    this.#pending = UNFINISHED_MODE.exec(text)?.[0] ?? '';
    const whole = text.slice(0, text.length - this.#pending.length);
    const translated = whole.replace(LINE_FEED_OR_MODE, (match, mode: string | undefined, at: number) => {
      if (mode !== undefined) this.#onAlternateScreen = mode === 'h';
      if (match !== '\n' || this.#onAlternateScreen || !addsReturns) return match;
      const isAfterReturn = at === 0 ? this.#afterReturn : whole[at - 1] === '\r';
      return isAfterReturn ? match : '\r\n';
    });
    if (whole !== '') this.#afterReturn = whole.endsWith('\r');
    return translated;
  }

  /** What is still held back when the guest ends. */
  end(): string {
    const rest = this.#pending;
    this.#pending = '';
    return rest;
  }
}

const LINE_FEED_OR_MODE = /\n|\x1b\[\?(?:47|1047|1049)([hl])/g;
const UNFINISHED_MODE = /\x1b(?:\[(?:\?\d{0,4})?)?$/;
