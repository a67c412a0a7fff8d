/** Turns the events of scripts/testing/reporter.mjs into counts of leaf tests. */

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

/** Results of one run. Events of a file come in order, children before their parent (node:test does that). */
export class Tally {
  passed = 0;
  readonly failures: Failure[] = [];
  readonly skips: Skip[] = [];
  /** What each file printed; shown only with its failures. */
  readonly #output = new Map<string, string>();
  /** Per file: how many children each open nesting level has reported. */
  readonly #children = new Map<string, number[]>();
  /** Failures of children whose parents' titles are not known yet, by file. */
  readonly #pending = new Map<string, { nesting: number; titles: string[]; error: string }[]>();

  add(event: TestEvent | OutputEvent): void {
    if (event.type === 'output') {
      this.#output.set(event.file, (this.#output.get(event.file) ?? '') + event.text);
      return;
    }
    const levels = this.#children.get(event.file) ?? [];
    this.#children.set(event.file, levels);
    const children = levels[event.nesting + 1] ?? 0;
    levels[event.nesting + 1] = 0;
    levels[event.nesting] = (levels[event.nesting] ?? 0) + 1;
    if (event.name === event.file) this.#addFile(event);
    else this.#addTest(event, children);
    if (event.nesting === 0) this.#closePending(event.file);
  }

  outputOf(file: string): string {
    return this.#output.get(file) ?? '';
  }

  fail(file: string, title: string, error: string): void {
    this.failures.push({ titles: [title], file, error });
  }

  /** The event of a whole file: reported only when it threw while loading, timed out, or declared no test. */
  #addFile(event: TestEvent): void {
    const error = event.type === 'pass' ? 'the file declares no test' : (event.error ?? 'failed');
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
      const pending = this.#pending.get(event.file) ?? [];
      this.#pending.set(event.file, pending);
      pending.push({ nesting: event.nesting, titles: [event.name], error: event.error ?? 'failed' });
    } else if (children === 0 && !event.isSuite) {
      this.passed++;
    }
  }

  /** Every failure one level below `event` since the last event of its level is its child. */
  #nameParent(event: TestEvent): void {
    for (const it of this.#pending.get(event.file) ?? []) {
      if (it.nesting !== event.nesting + 1) continue;
      it.titles.unshift(event.name);
      it.nesting = event.nesting;
    }
  }

  #closePending(file: string): void {
    for (const { titles, error } of this.#pending.get(file) ?? [])
      this.failures.push({ titles, file, error });
    this.#pending.delete(file);
  }
}
