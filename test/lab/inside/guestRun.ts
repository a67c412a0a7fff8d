/** A guest in L1, in the foreground, its COM1 on pipes: type, wait for what it prints, get the exit code. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { EmulatorLostError } from './emulatorLoss.ts';
import { LAB_ROOT } from './labProtocol.ts';
import { shutdownLoss, shutdowns, shutdownText } from './shutdowns.ts';

const SHOWN = 3000;
/** No page table is above it. */
const UNKNOWN_END = 1n << 52n;
/** After these there is nothing to wait for. */
const HOPELESS = /Kernel panic - not syncing: .*|end Kernel panic/;

export class GuestRun {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #exited: Promise<number | null>;
  #output = '';
  #errors = '';
  /** How much of the output `expect` has consumed. */
  #consumed = 0;
  #over = false;
  #changed: () => void = () => undefined;
  #lastHeardMs = performance.now();
  /** Of guests before this one. */
  readonly #shutdownsBefore = shutdowns().length;
  /** The first address above its RAM, as far as that is known. */
  readonly #memoryEnd: bigint;

  constructor(program: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.#memoryEnd = memoryEnd(args);
    this.#child = spawn(program, args, { cwd: LAB_ROOT, env: { ...process.env, ...environment } });
    this.#child.stdout.setEncoding('latin1').on('data', (text: string) => {
      this.#output += text;
      this.#lastHeardMs = performance.now();
      this.#changed();
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-SHOWN);
    });
    this.#child.stdin.on('error', () => undefined); // it ended before it read: the wait for its answer fails
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        this.#over = true;
        this.#changed();
        resolve(code);
      });
    });
  }

  type(text: string): void {
    this.#child.stdin.write(text);
  }

  /**
   * Resolves with the match of `pattern` in what the guest printed after the previous match; rejects when it
   * cannot come any more, or when the guest is silent for `silenceMs`: one that still prints is only slow, as
   * on a busy machine.
   */
  async expect(pattern: RegExp, silenceMs: number): Promise<RegExpExecArray> {
    this.#lastHeardMs = performance.now();
    for (;;) {
      const fresh = this.#output.slice(this.#consumed);
      const match = pattern.exec(fresh);
      if (match !== null) {
        this.#consumed += match.index + match[0].length;
        return match;
      }
      const hopeless = HOPELESS.exec(fresh);
      if (hopeless !== null)
        throw this.error(`the guest said "${hopeless[0]}" instead of ${String(pattern)}`);
      if (this.#over) throw this.error(`it ended before the guest said ${String(pattern)}`);
      const left = this.#lastHeardMs + silenceMs - performance.now();
      if (left <= 0)
        throw await this.#late(`the guest was silent for ${silenceMs / 1000} s, before ${String(pattern)}`);
      await this.#change(left);
    }
  }

  async exitCode(timeoutMs: number): Promise<number | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), timeoutMs);
    });
    const code = await Promise.race([this.#exited, late]);
    clearTimeout(timer);
    if (code === 'late') throw await this.#late(`it did not end in ${timeoutMs / 1000} s`);
    return code;
  }

  /** The end of what the program has said on stderr. */
  get errors(): string {
    return this.#errors;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async #late(message: string): Promise<Error> {
    return this.#over ? this.error(message) : this.explainLate(message);
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#changed = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Something took too long. */
  protected explainLate(message: string): Promise<Error> {
    return Promise.resolve(this.error(message));
  }

  protected error(message: string): Error {
    const shown = this.#output.slice(-SHOWN).replaceAll('\r', '');
    const text = `${message}\n--- the guest's last output ---\n${shown}\n--- its stderr ---\n${this.#errors}`;
    const seen = shutdowns().slice(this.#shutdownsBefore);
    if (seen.length === 0) return new Error(text);
    const loss = shutdownLoss(seen, this.#memoryEnd);
    const whole = `${text}\n--- what L1's KVM saw ---\n${seen.map(shutdownText).join('\n')}`;
    return loss === undefined ? new Error(whole) : new EmulatorLostError(`${loss}\n${whole}`);
  }
}

/** Of a command line of `vmm run` or QEMU, for guests that end below the hole under 4 GiB. */
function memoryEnd(args: readonly string[]): bigint {
  const at = args.findIndex((it) => it === '--memory' || it === '-m');
  const [, mib] = /^(\d+)M?$/.exec(args[at + 1] ?? '') ?? [];
  return at < 0 || mib === undefined ? UNKNOWN_END : BigInt(mib) << 20n;
}
