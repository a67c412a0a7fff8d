import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { LivePages } from './livePages.ts';

/** A page `a`, read as often as its number says. */
function pages(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const seen = { isVisible: true, changes: 0, reads: 0, problem: undefined as string | undefined };
  const live = new LivePages({
    read: () => {
      if (seen.problem !== undefined) return Promise.reject(new Error(seen.problem));
      return Promise.resolve(`read ${++seen.reads}`);
    },
    isVisible: () => seen.isVisible,
    changed: () => void seen.changes++,
  });
  const pass = (): void => t.mock.timers.tick(1000);
  return { live, seen, pass };
}

test('a page that is visible is renewed every second, and not twice', async (t) => {
  const { live, seen, pass } = pages(t);
  assert.equal(await live.text('a'), 'read 1');
  pass();
  assert.equal(seen.changes, 1);
  pass();
  assert.equal(seen.changes, 1, 'it has not been read yet');
  assert.equal(await live.text('a'), 'read 2');
  pass();
  assert.equal(seen.changes, 2);
});

test('a page that is asked for twice at once is renewed as often as any', async (t) => {
  const { live, seen, pass } = pages(t);
  await Promise.all([live.text('a'), live.text('a')]);
  pass();
  assert.equal(seen.changes, 1);
});

test('a page that is hidden costs nothing until somebody looks again', async (t) => {
  const { live, seen, pass } = pages(t);
  await live.text('a');
  seen.isVisible = false;
  for (let second = 0; second < 10; second++) pass();
  live.looked();
  assert.equal(seen.changes, 0);
  seen.isVisible = true;
  live.looked();
  assert.equal(seen.changes, 1);
});

test('what cannot be read is told above the text that was read last, and tried again by who looks', async (t) => {
  const { live, seen, pass } = pages(t);
  await live.text('a');
  seen.problem = 'The VM is gone.';
  assert.equal(await live.text('a'), 'The VM is gone.\n\nread 1');
  pass();
  assert.equal(seen.changes, 0);
  live.looked();
  assert.equal(seen.changes, 1);
});

test('a page that is closed is forgotten, even while it is read', async (t) => {
  const { live, seen, pass } = pages(t);
  const reading = live.text('a');
  live.close('a');
  await reading;
  pass();
  live.looked();
  assert.equal(seen.changes, 0);
});
