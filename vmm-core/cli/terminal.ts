/**
 * The user's terminal as COM1's other end: raw keys, as in tip(1) and ssh(1), with `~.` at the start of a
 * line to leave. Keys that come through a pipe are passed on as they are.
 */
const TILDE = 0x7e;
const DOT = 0x2e;
const CR = 0x0d;
const LF = 0x0a;

export interface AttachedTerminal {
  /** Gives the terminal back as it was. */
  restore(): void;
}

export interface TerminalUse {
  onKeys(bytes: Uint8Array): void;
  onLeave(): void;
  /** At first and at each change; not where the output is no terminal. */
  onResize(columns: number, rows: number): void;
}

export function attachTerminal(use: TerminalUse): AttachedTerminal {
  const { stdin, stdout } = process;
  const raw = stdin.isTTY === true;
  if (raw) stdin.setRawMode(true);
  const filter = raw ? new EscapeFilter() : undefined;
  const onData = (chunk: Buffer): void => {
    const keys = filter === undefined ? chunk : filter.take(chunk);
    if (keys.length > 0) use.onKeys(keys);
    if (filter?.left === true) use.onLeave();
  };
  stdin.on('data', onData);
  stdin.on('error', () => undefined); // a closed stdin: no keys
  const tellSize = (): void => {
    if (stdout.isTTY && stdout.columns > 0 && stdout.rows > 0) use.onResize(stdout.columns, stdout.rows);
  };
  stdout.on('resize', tellSize); // SIGWINCH
  tellSize();
  return {
    restore() {
      stdin.off('data', onData);
      stdout.off('resize', tellSize);
      stdin.pause();
      if (raw) stdin.setRawMode(false);
    },
  };
}

/** Takes `~.` out of the keys; `~~` sends one tilde; a tilde before anything else is sent with it. */
export class EscapeFilter {
  left = false;
  #atLineStart = true;
  #tilde = false;

  take(keys: Uint8Array): Uint8Array {
    const out: number[] = [];
    for (const key of keys) {
      if (this.#tilde) {
        this.#tilde = false;
        if (key === DOT) {
          this.left = true;
          break;
        }
        out.push(TILDE);
        if (key === TILDE) continue;
      } else if (key === TILDE && this.#atLineStart) {
        this.#tilde = true;
        this.#atLineStart = false;
        continue;
      }
      out.push(key);
      this.#atLineStart = key === CR || key === LF;
    }
    return Uint8Array.from(out);
  }
}
