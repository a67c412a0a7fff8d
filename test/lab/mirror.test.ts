import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, describe, it } from 'node:test';

/**
 * Runs the fixture in its own process, because most of its tests fail. Returns its TAP and then node's
 * "spec" report.
 */
async function mirroredOutcomes(fixture: string): Promise<string[]> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const tap = ['--test-reporter=tap', '--test-reporter-destination=stdout'];
  const spec = ['--test-reporter=spec', '--test-reporter-destination=stderr'];
  const args = ['--import', 'tsx', ...tap, ...spec, `fixtures/${fixture}`];
  const output = await new Promise<string>((resolve) => {
    const options = { cwd: import.meta.dirname, env, timeout: 60_000 };
    execFile(process.execPath, args, options, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
  return output.split('\n').map((it) => it.trim());
}

describe('the mirror of tests that run elsewhere', () => {
  let report: string[] = [];
  before(async () => {
    report = await mirroredOutcomes('mirrorEveryOutcome.ts');
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
    has(/everyOutcome\.ts:12:\d+/);
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

  it('passes on diagnostics', () => {
    has(/^# a remark$/);
  });

  it('has what is attached looked at', () => {
    has(/^ok \d+ - attached\.txt has its text$/);
  });

  it('fails what was running when the other side is gone', () => {
    has(/^not ok \d+ - was running$/);
    has(/L1 is gone/);
  });
});

describe('the mirror of a file that ran a second time', () => {
  let report: string[] = [];
  before(async () => {
    report = await mirroredOutcomes('mirrorSecondRun.ts');
  });

  /** How often, so that nothing is reported twice. */
  const count = (line: RegExp): number => report.filter((it) => line.test(it)).length;

  it('keeps what ended in the first run, failures too', () => {
    assert.equal(count(/^ok \d+ - passes once$/), 1);
    assert.equal(count(/^not ok \d+ - fails once$/), 1);
    assert.equal(count(/^(not )?ok \d+ - (passes|fails) once$/), 2);
  });

  it('names the lost tests, and reports the results of the second run for them', () => {
    assert.equal(count(/^# lost: is lost once \(lost by the emulator: vCPU 1\), is lost twice \(.*\)$/), 1);
    assert.equal(count(/^ok \d+ - is lost once$/), 1);
    assert.equal(count(/^not ok \d+ - is lost twice$/), 1);
  });

  it('continues a test during which L1 died', () => {
    for (const name of ['had passed', 'was cut off', 'had not begun'])
      assert.equal(count(new RegExp(`^ok \\d+ - ${name}$`)), 1, name);
    assert.equal(count(/^ok \d+ - a file whose L1 died$/), 1);
  });
});
