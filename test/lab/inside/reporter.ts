/**
 * The node:test reporter of the lab: tells what happens, as it happens, on file descriptor 3. Loaded in L1 by
 * runner.ts's children. (node's own reporters write a whole top-level test at its end.)
 */
import { writeSync } from 'node:fs';
import { diagnosticEvent } from './attachment.ts';
import { type LabError, type LabOutcome, type LabTestEvent, plainError } from './labProtocol.ts';

const RESULTS_FD = 3;

/** The part of node:test's events that is used here. */
interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name: string;
    readonly nesting: number;
    readonly file?: string;
    readonly message?: string;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly details?: { readonly passed?: boolean; readonly error?: TestFailure };
  };
}

/** node wraps what a test threw, and says in `failureType` why the test failed. */
interface TestFailure extends Error {
  readonly failureType: string;
}

/** A reporter must be an async generator; what it yields would go to stdout. */
export async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const told = translated(event);
    if (told !== undefined) writeSync(RESULTS_FD, `${JSON.stringify(told)}\n`);
  }
  yield '';
}

function translated({ type, data }: TestEvent): LabTestEvent | undefined {
  const { name, nesting } = data;
  switch (type) {
    case 'test:dequeue':
      return { type: 'open', nesting, name };
    case 'test:complete':
      return { type: 'close', nesting, name, outcome: outcomeOf(data) };
    case 'test:diagnostic':
      // The totals at the end belong to no file.
      return data.file === undefined ? undefined : diagnosticEvent(data.message ?? '');
    default:
      return undefined;
  }
}

function outcomeOf({ skip, todo, details }: TestEvent['data']): LabOutcome {
  const failure = details?.error;
  const own = failure !== undefined && failure.failureType !== 'subtestsFailed';
  return {
    passed: details?.passed ?? false,
    ...(own ? { error: describeError(failure.cause ?? failure) } : {}),
    ...(skip === undefined || skip === false ? {} : { skip: reason(skip) }),
    ...(todo === undefined || todo === false ? {} : { todo: reason(todo) }),
  };
}

function describeError(thrown: unknown): LabError {
  if (!(thrown instanceof Error)) return plainError(String(thrown));
  const { name, message, stack = message, cause } = thrown;
  return { name, message, stack, ...(cause === undefined ? {} : { cause: describeError(cause) }) };
}

function reason(value: string | boolean): string {
  return typeof value === 'string' ? value : '';
}
