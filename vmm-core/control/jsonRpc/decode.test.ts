import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shown } from './decode.ts';
import { readParams } from './memory.ts';
import { cpuParams } from './registers.ts';
import { portParams } from './serial.ts';

/** JSON.parse accepts it, JSON.stringify does not. */
function nested(open: string, close: string): unknown {
  const depth = 100_000;
  return JSON.parse(`${open.repeat(depth)}1${close.repeat(depth)}`);
}

test('a field that is nested deeper than the stack is refused with a sentence', () => {
  const lists = nested('[', ']');
  const objects = nested('{"a":', '}');
  const expect = (message: string) => ({ name: 'UserError', message });
  assert.throws(() => cpuParams(lists), expect('params must be an object, not a list'));
  assert.throws(() => cpuParams({ cpu: objects }), expect('cpu must be a whole number, not an object'));
  assert.throws(() => portParams({ port: lists }), expect('port must be a whole number, not a list'));
  assert.throws(() => readParams({ lengthBytes: objects }), /^UserError: a read of an object bytes/);
  assert.equal(shown(lists), 'a list');
});

test('short values are shown in full, long ones are cut', () => {
  assert.deepEqual(
    [shown(null), shown(NaN), shown('x'), shown(undefined)],
    ['null', 'NaN', '"x"', 'nothing'],
  );
  assert.equal(shown('x'.repeat(1000)).length, 61);
});
