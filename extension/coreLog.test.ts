import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLogLine } from './coreLog.ts';

test('a log line of vmm-core keeps its level, and names thread and tag', () => {
  const line =
    '{"time":"2026-11-23T01:42:25Z","level":"error","thread":"vm/hello","tag":"main","message":"gone"}';
  assert.deepEqual(parseLogLine(line), { level: 'error', text: 'vm/hello main: gone' });
});

test('values follow the message', () => {
  const line =
    '{"level":"info","thread":"vm","tag":"bus","message":"unknown port","values":{"port":"0x80","write":true}}';
  assert.equal(parseLogLine(line).text, 'vm bus: unknown port port=0x80 write=true');
});

test('what is not a log line of ours is shown as it is', () => {
  for (const line of ['Segmentation fault', '', '{', 'null', '[]', '{"level":"info"}']) {
    assert.deepEqual(parseLogLine(line), { level: 'warn', text: line });
  }
});

test('an unknown level is info', () => {
  assert.equal(parseLogLine('{"level":"fatal","message":"m"}').level, 'info');
});
