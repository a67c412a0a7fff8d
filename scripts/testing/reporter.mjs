// node:test reporter for scripts/testing/nodeTests.ts: one JSON line per event that counts, nothing else on stdout.
// Plain JavaScript because the test runner loads it before any TypeScript hook.
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';

/**
 * As in test/support/again.ts, which this plain JavaScript cannot load; nodeTests.test.ts keeps the two in
 * step.
 */
const AGAIN_MARK = 'run again: ';

/** proc(5): utime, stime and those of the children waited for, in clock ticks (100 a second on every Linux of x86). */
const TICKS_PER_SECOND = 100;
const UTIME = 14;
const CSTIME = 17;

export default async function* eventLines(source) {
  for await (const { type, data } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      yield line({ type: 'output', file: data.file, text: data.message });
    } else if (type === 'test:diagnostic' && data.message.startsWith(AGAIN_MARK)) {
      yield line({ type: 'again', what: data.message.slice(AGAIN_MARK.length) });
    } else if (type === 'test:diagnostic' && data.message.startsWith('differs: ')) {
      // Reported although the test passes: test/symbols/agreement.ts.
      yield line({ type: 'remark', text: data.message });
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
        // The runner wraps what the test threw in its own error.
        error: error === undefined ? undefined : inspect(error.cause ?? error, { depth: 5, colors: false }),
      });
    }
  }
  yield line({ type: 'cpu', seconds: cpuSeconds() });
}

/** Of this runner and of all the test processes it has reaped so far. */
function cpuSeconds() {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name may hold spaces; field 3 comes next
  const ticks = fields.slice(UTIME - 3, CSTIME - 2).map(Number);
  return ticks.reduce((sum, it) => sum + it, 0) / TICKS_PER_SECOND;
}

function line(value) {
  return `${JSON.stringify(value)}\n`;
}
