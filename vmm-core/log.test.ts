import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GUEST_LINES, GUEST_WINDOW_MS, Log } from './log.ts';

function newLog(): { log: Log; lines: string[]; clock: { ms: number } } {
  const lines: string[] = [];
  const clock = { ms: 0 };
  return { log: new Log({ write: (line) => lines.push(line), nowMs: () => clock.ms }), lines, clock };
}

test('a line is one JSON object with time, level, thread, tag and message', () => {
  const { log, lines } = newLog();
  log.setThread('vm/alpine/vcpu0');
  log.warn('uart', 'odd divisor', { divisor: 0 });
  assert.deepEqual(lines, [
    '{"time":"1970-01-01T00:00:00.000Z","level":"warn","thread":"vm/alpine/vcpu0","tag":"uart","message":"odd divisor","values":{"divisor":0}}\n',
  ]);
});

test('levels below the threshold are silent', () => {
  const { log, lines } = newLog();
  log.debug('a', 'hidden');
  log.info('a', 'shown');
  log.setLevel('error');
  log.warn('a', 'hidden');
  log.guest('a', 'hidden');
  log.error('a', 'shown');
  assert.equal(lines.length, 2);
  assert.equal(log.isEnabled('warn'), false);
});

test('a guest gets 10 lines per call site and 5 s, then a count of what was left out', () => {
  const { log, lines, clock } = newLog();
  for (let i = 0; i < 1000; i++) log.guest('i8042', 'unknown command', { i });
  log.guest('i8042', 'another site');
  assert.equal(lines.length, GUEST_LINES + 1);
  clock.ms += GUEST_WINDOW_MS;
  log.guest('i8042', 'unknown command', { i: 1 });
  assert.match(lines.at(-1) ?? '', /"suppressed":990/);
  log.guest('i8042', 'unknown command', { i: 2 });
  assert.doesNotMatch(lines.at(-1) ?? '', /suppressed/);
});

test('messages made of guest data share one budget in the end', () => {
  const { log, lines } = newLog();
  for (let i = 0; i < 5000; i++) log.guest('x', `message ${i}`);
  assert.equal(lines.length, 1000 + GUEST_LINES);
});
