/** Turns the tests that run inside L1 into subtests of the host's own test run, while they run. */
import type { TestContext } from 'node:test';
import { toHostPaths } from './image.ts';
import { EmulatorLostError } from './inside/emulatorLoss.ts';
import { type LabError, type LabOutcome, type LabTestEvent, plainError } from './inside/labProtocol.ts';
import type { FileMirror } from './secondChance.ts';

/**
 * A test seen to begin inside. Its host-side subtest ends when `end` is called and all its own subtests have
 * ended.
 */
class MirroredTest {
  readonly name: string;
  readonly #children: Promise<void>[] = [];
  readonly #begun = deferred<TestContext>();
  readonly #ended = deferred<LabOutcome>();

  constructor(name: string) {
    this.name = name;
  }

  /** node:test starts a subtest when it gets to it, so its context exists later than the test itself. */
  get context(): Promise<TestContext> {
    return this.#begun.promise;
  }

  add(child: MirroredTest): void {
    this.#children.push(child.run(this.context));
  }

  hasEnded = false;

  end(outcome: LabOutcome): void {
    this.hasEnded = true;
    this.#ended.resolve(outcome);
  }

  async run(parent: Promise<TestContext>): Promise<void> {
    await (
      await parent
    ).test(this.name, async (t) => {
      this.#begun.resolve(t);
      const { passed, skip, todo, error } = await this.#ended.promise;
      await Promise.all(this.#children);
      if (skip !== undefined) t.skip(skip);
      if (todo !== undefined) t.todo(todo);
      if (error !== undefined) throw hostError(error);
      if (!passed && this.#children.length === 0) throw new Error('failed inside L1, without an error');
    });
  }
}

/** Looks at a file that a test has attached, in subtests of the file's. `data`: gzip, in base64. */
export type Inspection = (t: TestContext, file: string, data: string) => Promise<void>;

/**
 * The tests of one file, or of anything else that happens in sequence. Tests inside are expected to run one
 * after another (node:test's default): with concurrent ones a subtest may be shown under its parent's
 * sibling.
 */
export class Mirror implements FileMirror {
  readonly #root: MirroredTest;
  readonly #finished: Promise<void>;
  /** The tests that are open, outermost first. */
  readonly #open: MirroredTest[] = [];
  /** All that were seen, by the path of titles to them, to recognise those of a second run. */
  readonly #tests = new Map<string, MirroredTest>();
  /** How often each title occurred in the current run: a file may use one twice. */
  readonly #met = new Map<string, number>();
  readonly #lost: { readonly test: MirroredTest; readonly outcome: LabOutcome }[] = [];
  readonly #inspect: Inspection;
  readonly #inspections: Promise<void>[] = [];
  #isSecondRun = false;
  #diagnostics: Promise<void> = Promise.resolve();

  /** `inspect`: not for files that attach nothing. */
  constructor(parent: TestContext, name: string, inspect: Inspection = () => Promise.resolve()) {
    this.#inspect = inspect;
    this.#root = new MirroredTest(name);
    this.#finished = this.#root.run(Promise.resolve(parent));
  }

  get lost(): readonly { readonly title: string; readonly reason: string }[] {
    return this.#lost.map(({ test, outcome }) => ({
      title: test.name,
      reason: outcome.error?.message.split('\n')[0] ?? '',
    }));
  }

  beginAgain(): void {
    this.#isSecondRun = true;
    this.#open.length = 0;
    this.#met.clear();
  }

  handle(event: LabTestEvent): void {
    switch (event.type) {
      case 'open':
        this.#begin(event.nesting, event.name);
        break;
      case 'close':
        this.#end(event.nesting, event.name, event.outcome);
        break;
      case 'diagnostic':
        this.#diagnostics = this.#root.context.then((t) => t.diagnostic(event.message));
        break;
      case 'attachment': {
        const { file, data } = event;
        this.#inspections.push(this.#root.context.then((t) => this.#inspect(t, file, data)));
      }
    }
  }

  /**
   * Ends what is still open, with `problem` if there is one. Resolves when the host's subtests have ended
   * too.
   */
  async finish(problem?: string): Promise<void> {
    const outcome = problem === undefined ? { passed: true } : failure(problem);
    for (const { test, outcome: lost } of this.#lost) if (!test.hasEnded) test.end(lost);
    for (const test of [...this.#tests.values()].reverse())
      if (!test.hasEnded) test.end(failure(problem ?? 'did not end'));
    await this.#diagnostics;
    await Promise.all(this.#inspections);
    this.#root.end(outcome);
    await this.#finished;
  }

  #begin(nesting: number, name: string): MirroredTest {
    const before = this.#open[nesting];
    if (before !== undefined && !before.hasEnded)
      before.end(failure('did not end before the next test began'));
    this.#open.length = nesting;
    const path = [...this.#open.map((it) => it.name), name].join('\0');
    const met = this.#met.get(path) ?? 0;
    this.#met.set(path, met + 1);
    const test = this.#tests.get(`${path}\0${met}`) ?? new MirroredTest(name);
    this.#open[nesting] = test;
    if (!this.#tests.has(`${path}\0${met}`)) this.#parentAt(nesting).add(test);
    this.#tests.set(`${path}\0${met}`, test);
    return test;
  }

  /** A test seen only in the second run cannot be under a parent that ended in the first. */
  #parentAt(nesting: number): MirroredTest {
    const parent = this.#open[nesting - 1];
    return parent === undefined || parent.hasEnded ? this.#root : parent;
  }

  #end(nesting: number, name: string, outcome: LabOutcome): void {
    const open = this.#open[nesting];
    // A test cancelled with its parent ends without having begun.
    const test = open?.name === name ? open : this.#begin(nesting, name);
    this.#open.length = nesting;
    if (test.hasEnded) return; // in the first run
    if (!this.#isSecondRun && outcome.error?.name === EmulatorLostError.name)
      this.#lost.push({ test, outcome });
    else test.end(outcome);
  }
}

function failure(message: string): LabOutcome {
  return { passed: false, error: plainError(message) };
}

function hostError(inner: LabError): Error {
  const options = inner.cause === undefined ? {} : { cause: hostError(inner.cause) };
  const error = new Error(inner.message, options);
  error.name = inner.name;
  error.stack = toHostPaths(inner.stack);
  return error;
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((it) => (resolve = it));
  return { promise, resolve };
}
