/** The built `vmm` command in its own process, with its exit code and everything it prints. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { PATIENCE_MS, within } from './deadline.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
export const VMM = path.join(ROOT, 'dist', 'vmm.js');

/** A sentence when guests cannot run here. */
export function kvmUnavailable(): string | undefined {
  if (!existsSync(VMM)) return 'dist/vmm.js is not built: npm run build';
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    closeSync(openSync('/dev/kvm', constants.O_RDWR));
    return undefined;
  } catch (error) {
    return `/dev/kvm cannot be opened (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`;
  }
}

/**
 * KVM whose guests' kernel code is interpreted by the host's kernel: what it cannot do is not our fault.
 */
export function hostEmulatesKernels(): boolean {
  return existsSync('/sys/module/kvm_pvm');
}

/** A folder for control sockets, short enough for their 108 bytes, removed after the test. */
export function temporaryFolder(t: Pick<TestContext, 'after'>): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** Instead of dist/vmm.js. */
  readonly vmmPath?: string;
}

export class VmmProcess {
  readonly finished: Promise<Finished>;
  readonly #child: ChildProcessWithoutNullStreams;
  #stdout = '';
  #stderr = '';
  #over = false;
  #changed: () => void = () => undefined;

  constructor(args: readonly string[], options: ProcessOptions = {}) {
    this.#child = spawn(process.execPath, [options.vmmPath ?? VMM, ...args], {
      ...options,
      env: { ...process.env, ...options.env },
    });
    this.#child.stdout.setEncoding('latin1').on('data', (text: string) => {
      this.#stdout += text;
      this.#changed();
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#changed();
    });
    this.#child.stdin.on('error', () => undefined); // it ended before it read
    this.finished = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => {
        this.#over = true;
        this.#changed();
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  type(text: string): void {
    this.#child.stdin.write(text, 'latin1');
  }

  /** Closes its stdin. */
  hangUp(): void {
    this.#child.stdin.end();
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal);
  }

  /** Resolves once the guest has printed `text`. */
  async printed(text: string, timeoutMs = PATIENCE_MS): Promise<void> {
    const seen = (): boolean => this.#stdout.includes(text);
    await within(this.#until(seen), () => `"${text}" on stdout; ${this.#soFar()}`, timeoutMs);
    if (!seen()) throw new Error(`the process ended without "${text}"; ${this.#soFar()}`);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition() && !this.#over) await new Promise<void>((resolve) => (this.#changed = resolve));
  }

  #soFar(): string {
    return `so far: ${JSON.stringify(this.#stdout.slice(-500))}, stderr: ${this.#stderr.slice(-1000)}`;
  }
}

/** Runs `vmm` to its end; it is killed when it takes too long, and with the test. */
export async function vmm(
  t: Pick<TestContext, 'after'>,
  args: readonly string[],
  options: ProcessOptions & { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<Finished> {
  const child = startVmm(t, args, options);
  if (options.input !== undefined) child.type(options.input);
  child.hangUp();
  return within(child.finished, `the end of vmm ${args.join(' ')}`, options.timeoutMs);
}

/** Starts `vmm`, which does not outlive the test, even if the test fails. */
export function startVmm(
  t: Pick<TestContext, 'after'>,
  args: readonly string[],
  options: ProcessOptions = {},
): VmmProcess {
  const child = new VmmProcess(args, options);
  t.after(async () => {
    child.kill('SIGKILL');
    await child.finished.catch(() => undefined);
  });
  return child;
}
