import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { runNodeTests } from './nodeTests.ts';
import { AGAIN_MARK } from '../../test/support/again.ts';
import { countsText } from './report.ts';
import type { Tally } from './tally.ts';

const HEADER = `import test, { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
`;

/** Runs the files like the suites; no process survives, however the test ends. */
async function run(t: TestContext, files: Record<string, string>, limits = {}): Promise<Tally> {
  const root = await mkdtemp(path.join(tmpdir(), 'tf-nodetests-'));
  t.after(() => rm(root, { recursive: true }));
  await symlink(path.join(import.meta.dirname, '../../node_modules'), path.join(root, 'node_modules'));
  for (const [name, body] of Object.entries(files)) await writeFile(path.join(root, name), HEADER + body);
  return runNodeTests({
    root,
    suite: 'sample',
    files: Object.keys(files).filter((it) => it.endsWith('.test.ts')),
    concurrency: 1,
    fileTimeoutMs: 60_000,
    timeoutMs: 90_000,
    graceMs: 1,
    ...limits,
  });
}

test('counts leaf tests, and names a failure by the titles that lead to it', async (t) => {
  const tally = await run(t, {
    'a.test.ts': `
      test('parent', async (t) => { await t.test('child', () => {}); await t.test('bad child', () => assert.equal(1, 2)); });
      describe('group', () => { it('member', () => {}); it('other', { skip: 'no tape drive' }, () => {}); });
      test('leaf', () => {});`,
  });
  assert.equal(tally.passed, 3);
  assert.deepEqual(
    tally.failures.map((it) => it.titles),
    [['parent', 'bad child']],
  );
  assert.match(tally.failures[0]?.error ?? '', /1 !== 2/);
  assert.deepEqual(tally.skips, [{ title: 'other', reason: 'no tape drive' }]);
});

test('a failure in a test that a helper declared is found, and belongs to the file that has its title', async (t) => {
  const tally = await run(t, {
    'helper.ts': `export const sub = (t, title, body) => t.test(title, body);
      export const top = (title, body) => test(title, body);`,
    'a.test.ts': `import { sub, top } from './helper.ts';
      test('outer', async (t) => { await sub(t, 'good', () => {}); await sub(t, 'bad', () => assert.equal(1, 2)); });
      top('by a helper alone', () => assert.equal(3, 4));`,
  });
  assert.equal(tally.passed, 1);
  assert.deepEqual(
    tally.failures.map(({ titles, file }) => [path.basename(file), ...titles]),
    [
      ['a.test.ts', 'outer', 'bad'],
      ['a.test.ts', 'by a helper alone'],
    ],
  );
});

test('a file that throws while loading, or declares no test, is a failure', async (t) => {
  const tally = await run(t, { 'throws.test.ts': "throw new Error('no such module');", 'empty.test.ts': '' });
  assert.equal(tally.passed, 0);
  const [empty, throws] = [...tally.failures].sort((a, b) => a.file.localeCompare(b.file));
  assert.equal(tally.failures.length, 2);
  assert.match(empty?.error ?? '', /declares no test/);
  assert.match(tally.outputOf(throws?.file ?? ''), /no such module/);
});

test('failures name the right file among those that share a process', async (t) => {
  const tally = await run(
    t,
    {
      'a.test.ts': `console.log('said by a'); test('good', () => {}); test('bad', () => assert.equal(1, 2));`,
      'b.test.ts': `test('fine', () => {});`,
      'c.test.ts': '',
    },
    { filesPerProcess: 3 },
  );
  assert.equal(tally.passed, 2);
  assert.deepEqual(
    tally.failures.map(({ titles, file }) => [path.basename(file), ...titles]),
    [['a.test.ts', 'bad'], ['c.test.ts']],
  );
  assert.match(tally.failures[1]?.error ?? '', /declares no test/);
  assert.match(tally.outputOf(tally.failures[0]?.file ?? ''), /said by a/);
});

test('a file that throws while loading fails those that share its process, and is named', async (t) => {
  const files = { 'a.test.ts': `test('good', () => {});`, 'b.test.ts': "throw new Error('no such module');" };
  const tally = await run(t, files, { filesPerProcess: 2 });
  assert.equal(tally.failures.length, 1);
  const together = tally.filesOf(tally.failures[0]?.file ?? '');
  assert.deepEqual(
    together.map((it) => path.basename(it)),
    ['a.test.ts', 'b.test.ts'],
  );
  assert.match(tally.outputOf(tally.failures[0]?.file ?? ''), /no such module[^]*b\.test\.ts:/);
});

test('a process that outlives its test is ended and counted as a failure', async (t) => {
  const tally = await run(t, {
    'leak.test.ts': `test('leaks', () => { spawn('sleep', ['61'], { detached: true, stdio: 'ignore' }).unref(); });`,
  });
  assert.equal(tally.passed, 1);
  assert.match(tally.failures[0]?.error ?? '', /sleep 61/);
});

test('a suite that hangs is killed with everything it started', async (t) => {
  const tally = await run(
    t,
    {
      'hang.test.ts': `test('hangs', () => new Promise((resolve) => spawn('sleep', ['62']).once('exit', resolve)));`,
    },
    { timeoutMs: 1500 },
  );
  assert.equal(tally.passed, 0);
  assert.match(tally.failures[0]?.error ?? '', /did not end within 1.5 s/);
  assert.equal(tally.failures.length, 1, 'nothing is left to find afterwards');
});

test('what ran a second time is counted and named, and is not a failure', async (t) => {
  const tally = await run(t, {
    'again.test.ts': `test('the lab', async (t) => {
      t.diagnostic('${AGAIN_MARK}a second CPU: its guest was lost');
      await t.test('a second CPU', () => {});
    });`,
  });
  assert.deepEqual(tally.again, ['a second CPU: its guest was lost']);
  assert.equal(countsText(tally), '1 passed (1 run again: lost by the emulator)');
});

test('the processor time of a suite is that of its test processes', async (t) => {
  const tally = await run(t, {
    'busy.test.ts': `test('computes', () => {
      const used = () => { const { user, system } = process.cpuUsage(); return user + system; };
      for (const start = used(); used() - start < 300_000;);
    });`,
  });
  assert.deepEqual(tally.failures, []);
  assert.ok(tally.cpuSeconds >= 0.3, `${tally.cpuSeconds} s`);
});
