import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, describe, it } from 'node:test';

/** Runs the fixture in a process of its own, for most of its tests fail. Returns its TAP and then node's "spec" report. */
async function mirroredOutcomes(): Promise<string[]> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const tap = ['--test-reporter=tap', '--test-reporter-destination=stdout'];
  const spec = ['--test-reporter=spec', '--test-reporter-destination=stderr'];
  const args = ['--import', 'tsx', ...tap, ...spec, 'fixtures/mirrorEveryOutcome.ts'];
  const output = await new Promise<string>((resolve) => {
    const options = { cwd: import.meta.dirname, env, timeout: 60_000 };
    execFile(process.execPath, args, options, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
  return output.split('\n').map((it) => it.trim());
}

describe('the mirror of tests that run elsewhere', () => {
  let report: string[] = [];
  before(async () => {
    report = await mirroredOutcomes();
  });

  const has = (pattern: RegExp): void => {
    assert.ok(
      report.some((it) => pattern.test(it)),
      `nothing matches ${String(pattern)} in:\n${report.join('\n')}`,
    );
  };

  it('reports a pass, a failure, a skip and a to-do as what they are', () => {
    has(/^ok \d+ - passes$/);
    has(/^not ok \d+ - fails by an assertion$/);
    has(/^ok \d+ - is skipped # SKIP no such hardware$/);
    has(/^ok \d+ - is to be done # TODO not written$/);
    has(/^ok \d+ - a skipped suite # SKIP not here$/);
  });

  it('keeps the message, the stack with the source line, and the cause of a failure', () => {
    has(/one is not two/);
    has(/everyOutcome\.ts:6:\d+/);
    has(/\[cause\]: Error: inner trouble/);
  });

  it('keeps subtests under their parents, which fail with them', () => {
    has(/^ok \d+ - passes in the suite$/);
    has(/^not ok \d+ - is deep down$/);
    has(/^not ok \d+ - has a failing subtest$/);
    has(/^not ok \d+ - a suite$/);
  });

  it('reports a test that was cancelled by a failing hook', () => {
    has(/^not ok \d+ - never runs$/);
    has(/hook trouble/);
  });

  it('hands on diagnostics', () => {
    has(/^# a remark$/);
  });

  it('fails what was running when the other side is gone', () => {
    has(/^not ok \d+ - was running$/);
    has(/L1 is gone/);
  });
});
