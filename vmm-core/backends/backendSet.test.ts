import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from './backend.ts';
import { BackendSet } from './backendSet.ts';

/** Its I/O takes until `finish` is called. */
class SlowBackend implements Backend {
  readonly told: string[] = [];
  finish: () => void = () => undefined;

  onEvent(event: string): void {
    this.told.push(event);
  }
  quiesce(): Promise<void> {
    this.told.push('quiesce');
    return new Promise((resolve) => (this.finish = resolve));
  }
  resume(): void {
    this.told.push('resume');
  }
  close(): void {
    this.told.push('close');
  }
}

const quick: Backend = { onEvent: () => undefined, close: () => undefined };

test('machines whose back ends never have I/O under way wait for nothing', () => {
  assert.equal(new BackendSet([quick, undefined]).quiesce(), undefined);
});

test('quiet is when the last back end has no I/O under way', async () => {
  const [one, other] = [new SlowBackend(), new SlowBackend()];
  const set = new BackendSet([one, undefined, quick, other]);
  let isQuiet = false;
  const quiet = set.quiesce()?.then(() => (isQuiet = true));
  one.finish();
  await Promise.resolve();
  assert.equal(isQuiet, false);
  other.finish();
  await quiet;
  assert.deepEqual(one.told, ['quiesce']);
  set.resume();
  assert.deepEqual(
    [one.told, other.told],
    [
      ['quiesce', 'resume'],
      ['quiesce', 'resume'],
    ],
  );
});

test('of two who need quiet the first does not end it for the other', () => {
  const backend = new SlowBackend();
  const set = new BackendSet([backend]);
  void set.quiesce();
  void set.quiesce();
  set.resume();
  assert.deepEqual(backend.told, ['quiesce', 'quiesce']);
  set.resume();
  assert.deepEqual(backend.told, ['quiesce', 'quiesce', 'resume']);
});

test('an event reaches the back end of its place in the plan, and a place without one ignores it', () => {
  const backend = new SlowBackend();
  const set = new BackendSet([undefined, backend]);
  set.onEvent(1, 'output', 0);
  set.onEvent(0, 'output', 0);
  set.onEvent(9, 'output', 0);
  assert.deepEqual(backend.told, ['output']);
});
