import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { RESET_NOTICE_MS, ResetNotices } from './resetNotices.ts';

function newNotices(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const told: string[] = [];
  return { told, notices: new ResetNotices((message) => told.push(message)) };
}

test('a reset is reported at once', (t) => {
  const { told, notices } = newNotices(t);
  notices.reset('first');
  t.mock.timers.tick(RESET_NOTICE_MS);
  notices.reset('second');
  assert.deepEqual(told, ['first', 'second']);
});

test('a reset loop is reported ten times a second, its last reset too', (t) => {
  const { told, notices } = newNotices(t);
  for (let i = 0; i < 1000; i++) {
    notices.reset(`reset ${i}`);
    t.mock.timers.tick(1);
  }
  t.mock.timers.tick(RESET_NOTICE_MS);
  assert.ok(told.length >= 10 && told.length <= 12, `${told.length} told`);
  assert.equal(told.at(-1), 'reset 999');
  t.mock.timers.tick(10 * RESET_NOTICE_MS);
  assert.equal(told.at(-1), 'reset 999');
});

test('what happens after a reset is reported after it', (t) => {
  const { told, notices } = newNotices(t);
  notices.reset('first');
  notices.reset('second');
  notices.flush();
  told.push('stopped');
  t.mock.timers.tick(10 * RESET_NOTICE_MS);
  assert.deepEqual(told, ['first', 'second', 'stopped']);
});
