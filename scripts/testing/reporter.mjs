// node:test reporter for scripts/testing/nodeTests.ts: one JSON line per event that counts, nothing else on stdout.
// Plain JavaScript because the test runner loads it before any TypeScript hook.
import { inspect } from 'node:util';

export default async function* eventLines(source) {
  for await (const { type, data } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      yield line({ type: 'output', file: data.file, text: data.message });
    } else if (type === 'test:pass' || type === 'test:fail') {
      const error = data.details.error;
      yield line({
        type: type === 'test:pass' ? 'pass' : 'fail',
        name: data.name,
        file: data.file,
        nesting: data.nesting,
        isSuite: data.details.type === 'suite',
        skip: data.skip ?? false,
        todo: data.todo ?? false,
        failureType: error?.failureType,
        // The runner wraps what the test threw in an error of its own.
        error: error === undefined ? undefined : inspect(error.cause ?? error, { depth: 5, colors: false }),
      });
    }
  }
}

function line(value) {
  return `${JSON.stringify(value)}\n`;
}
