/** Turns the events of scripts/testing/reporter.mjs into counts of leaf tests. */
import { readFileSync } from 'node:fs';

export interface TestEvent {
  readonly type: 'pass' | 'fail';
  readonly name: string;
  readonly file: string;
  readonly nesting: number;
  readonly isSuite: boolean;
  /** The reason, or true when the test gave none. */
  readonly skip: string | boolean;
  readonly todo: string | boolean;
  readonly failureType?: string;
  readonly error?: string;
}

export interface OutputEvent {
  readonly type: 'output';
  readonly file: string;
  readonly text: string;
}

/** Of the runner with every process it reaped; the last event. */
export interface CpuEvent {
  readonly type: 'cpu';
  readonly seconds: number;
}

/** Something ran a second time, and why. The outcome is an event of its own. */
export interface AgainEvent {
  readonly type: 'again';
  readonly what: string;
}

/** What a test reports although it passes. */
export interface RemarkEvent {
  readonly type: 'remark';
  readonly text: string;
}

export interface Failure {
  /** Titles from the outermost test inwards; empty when the file itself failed. */
  readonly titles: readonly string[];
  readonly file: string;
  readonly error: string;
}

export interface Skip {
  readonly title: string;
  readonly reason: string;
}

const NO_TEST = 'the file declares no test';

/**
 * Results of one run. Children come before their parent, and a file's events before those of the next one
 * (node:test does that, also with several files at once). An event's `file` is where the test was declared: a
 * helper's, where a helper called test().
 */
export class Tally {
  passed = 0;
  /** User and system time of all test processes: what a suite costs, however busy the machine is. */
  cpuSeconds = 0;
  /** What ran a second time because the emulator under it failed. */
  readonly again: string[] = [];
  readonly failures: Failure[] = [];
  readonly remarks: string[] = [];
  readonly skips: Skip[] = [];
  /** What the runner was given, and the test files that means. */
  readonly #entries: ReadonlyMap<string, readonly string[]>;
  /** Whose tests were reported. */
  readonly #seen = new Set<string>();
  /** What each entry printed; shown only with its files' failures. */
  readonly #output = new Map<string, string>();
  /** How many children each open nesting level has reported. */
  readonly #children: number[] = [];
  /** Failures of children whose parents' titles are not known yet. */
  #pending: { nesting: number; titles: string[]; error: string }[] = [];

  constructor(entries: ReadonlyMap<string, readonly string[]> = new Map()) {
    this.#entries = entries;
  }

  add(event: TestEvent | OutputEvent | CpuEvent | AgainEvent | RemarkEvent): void {
    if (event.type === 'remark') {
      this.remarks.push(event.text);
      return;
    }
    if (event.type === 'again') {
      this.again.push(event.what);
      return;
    }
    if (event.type === 'cpu') {
      this.cpuSeconds = event.seconds;
      return;
    }
    if (event.type === 'output') {
      this.#output.set(event.file, (this.#output.get(event.file) ?? '') + event.text);
      return;
    }
    this.#seen.add(event.file);
    const levels = this.#children;
    const children = levels[event.nesting + 1] ?? 0;
    levels[event.nesting + 1] = 0;
    levels[event.nesting] = (levels[event.nesting] ?? 0) + 1;
    if (event.name === event.file) this.#addFile(event);
    else this.#addTest(event, children);
    if (event.nesting === 0) this.#closePending(event.file);
  }

  /** The output of its whole process. */
  outputOf(file: string): string {
    const [entry = file] = [...this.#entries].find(([, files]) => files.includes(file)) ?? [];
    return this.#output.get(entry) ?? '';
  }

  /** The test files that an entry means, or that file itself. */
  filesOf(file: string): readonly string[] {
    return this.#entries.get(file) ?? [file];
  }

  fail(file: string, title: string, error: string): void {
    this.failures.push({ titles: [title], file, error });
  }

  /** A failure in a test that a helper declared belongs to the file that has its title. */
  locateFailures(): void {
    const files = [...this.#entries.values()].flat();
    for (const [at, failure] of this.failures.entries()) {
      const { file, titles } = failure;
      if (file === '' || files.includes(file)) continue;
      const owner = files.find((it) => titles.some((title) => readFileSync(it, 'utf8').includes(title)));
      if (owner !== undefined) this.failures[at] = { ...failure, file: owner };
    }
  }

  /**
   * The runner only knows entries: a file in a shared process that ended well, and from which no test came,
   * declares none.
   */
  failSilentFiles(): void {
    for (const [entry, files] of this.#entries) {
      if (files.length === 1 || this.failures.some(({ file }) => file === entry)) continue;
      for (const file of files) {
        if (!this.#seen.has(file)) this.failures.push({ titles: [], file, error: NO_TEST });
      }
    }
  }

  /** The event of a whole file: reported only when it threw while loading, timed out, or declared no test. */
  #addFile(event: TestEvent): void {
    const error = event.type === 'pass' ? NO_TEST : (event.error ?? 'failed');
    this.failures.push({ titles: [], file: event.file, error });
  }

  #addTest(event: TestEvent, children: number): void {
    this.#nameParent(event);
    if (event.skip !== false || event.todo !== false) {
      const reason = event.skip !== false ? event.skip : event.todo;
      this.skips.push({ title: event.name, reason: typeof reason === 'string' ? reason : 'no reason given' });
    } else if (event.type === 'fail') {
      // A parent that failed only because a child did is not another failure.
      if (event.failureType === 'subtestsFailed' && children > 0) return;
      this.#pending.push({ nesting: event.nesting, titles: [event.name], error: event.error ?? 'failed' });
    } else if (children === 0 && !event.isSuite) {
      this.passed++;
    }
  }

  /** Every failure one level below `event` since the last event of its level is its child. */
  #nameParent(event: TestEvent): void {
    for (const it of this.#pending) {
      if (it.nesting !== event.nesting + 1) continue;
      it.titles.unshift(event.name);
      it.nesting = event.nesting;
    }
  }

  #closePending(file: string): void {
    for (const { titles, error } of this.#pending) this.failures.push({ titles, file, error });
    this.#pending = [];
  }
}
