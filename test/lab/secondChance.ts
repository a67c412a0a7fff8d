/**
 * Runs lab files in one L1 after another. A test whose guest the emulator lost, and a file during which the
 * emulator killed L1 itself, run once more in a fresh L1; no other failure is ever repeated. Repetitions are
 * counted (`onAgain`).
 */
import path from 'node:path';
import type { LabMessage, LabTestEvent } from './inside/labProtocol.ts';

const BOOT = 'L1 boots to node';

/**
 * The emulator killed L1 itself: by a triple fault, which Linux never causes. The message has its registers.
 */
export class L1LostError extends Error {
  override readonly name = 'L1LostError';
}

/** Shows a file's tests (mirror.ts). */
export interface FileMirror {
  handle(event: LabTestEvent): void;
  /** Tests whose guest was lost in the first run: they are open until `finish`. */
  readonly lost: readonly { readonly title: string; readonly reason: string }[];
  /** The second run begins: only tests that did not end in the first count. */
  beginAgain(): void;
  finish(problem?: string): Promise<void>;
}

export interface LabFiles {
  /** Bundles, as L1 names them. */
  readonly bundles: readonly string[];
  /**
   * Boots one L1 that runs these. Rejects when L1 fails; with an L1LostError if it was the emulator's fault.
   */
  readonly runInL1: (
    bundles: readonly string[],
    onMessage: (message: LabMessage) => void,
  ) => Promise<unknown>;
  readonly mirror: (title: string) => FileMirror;
  /** Of the first L1. */
  readonly onReady: (message: LabMessage & { readonly type: 'ready' }) => void;
  readonly onAgain: (what: string, reason: string) => void;
}

/** Resolves when every test of every file has ended. */
export async function runWithSecondChance(lab: LabFiles): Promise<void> {
  const state: State = { lab, boot: lab.mirror(BOOT), ended: [] };
  let files = lab.bundles.map((bundle): LabFile => ({ bundle, mirror: undefined, isSecondRun: false }));
  while (files.length > 0) {
    const run = new L1Run(state, files);
    try {
      await lab.runInL1(
        files.map((it) => it.bundle),
        (message) => run.onMessage(message),
      );
    } catch (error) {
      run.fail(error as Error);
    }
    files = run.again;
  }
  await Promise.all(state.ended);
}

interface State {
  readonly lab: LabFiles;
  /** Until the first L1 is up. */
  boot: FileMirror | undefined;
  readonly ended: Promise<void>[];
}

interface LabFile {
  readonly bundle: string;
  /** From its first start onwards. */
  mirror: FileMirror | undefined;
  isSecondRun: boolean;
}

class L1Run {
  /** What the next L1 runs. */
  readonly again: LabFile[] = [];
  readonly #state: State;
  readonly #notStarted: LabFile[];
  #current: LabFile | undefined;

  constructor(state: State, files: readonly LabFile[]) {
    this.#state = state;
    this.#notStarted = [...files];
  }

  onMessage(message: LabMessage): void {
    switch (message.type) {
      case 'ready':
        if (this.#state.boot === undefined) break;
        this.#state.lab.onReady(message);
        this.#end(this.#state.boot);
        this.#state.boot = undefined;
        break;
      case 'fileStart':
        this.#start();
        break;
      case 'test':
        this.#current?.mirror?.handle(message.event);
        break;
      case 'fileEnd':
        this.#endFile(message.problem);
        break;
      case 'pulse':
        break;
      case 'done': // runInL1 resolves when L1 is off
    }
  }

  /** L1 is gone before it had run everything. */
  fail(error: Error): void {
    const file = this.#current;
    if (error instanceof L1LostError && file !== undefined && !file.isSecondRun) {
      this.#runAgain(file, `the file ${titleOf(file)}`, error.message);
      this.again.push(...this.#notStarted);
      return;
    }
    const mirror = file?.mirror ?? this.#state.boot ?? this.#state.lab.mirror('L1 powers off');
    this.#state.boot = undefined;
    this.#end(mirror, error.message);
    for (const it of [...this.#notStarted, ...this.again.splice(0)])
      this.#end(it.mirror ?? this.#state.lab.mirror(titleOf(it)), 'did not run: L1 had failed');
  }

  #start(): void {
    const file = this.#notStarted.shift();
    if (file === undefined) throw new Error('L1 runs a file it was not given');
    if (file.mirror === undefined) file.mirror = this.#state.lab.mirror(titleOf(file));
    else file.mirror.beginAgain();
    this.#current = file;
  }

  #endFile(problem: string | undefined): void {
    const file = this.#current;
    this.#current = undefined;
    if (file?.mirror === undefined) return;
    const { lost } = file.mirror;
    if (problem === undefined && !file.isSecondRun && lost.length > 0)
      for (const { title, reason } of lost) this.#runAgain(file, title, reason);
    else this.#end(file.mirror, problem);
  }

  #runAgain(file: LabFile, what: string, reason: string): void {
    if (!file.isSecondRun) this.again.push(file);
    file.isSecondRun = true;
    this.#state.lab.onAgain(what, reason);
  }

  #end(mirror: FileMirror, problem?: string): void {
    this.#state.ended.push(mirror.finish(problem));
  }
}

function titleOf({ bundle }: LabFile): string {
  return path.basename(bundle, '.js');
}
