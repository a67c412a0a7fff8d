import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../errors.ts';
import { decideIoEngine, IO_ENGINES } from './openIoEngine.ts';

test('the best engine that works is taken, and those before it have said why not', () => {
  const { kind, refused } = decideIoEngine(undefined);
  assert.deepEqual(
    refused.map((it) => it.kind),
    IO_ENGINES.slice(0, IO_ENGINES.indexOf(kind)),
  );
});

test('TRAPFRAME_IO names the engine', () => {
  assert.deepEqual(decideIoEngine('poll'), { kind: 'poll', refused: [] });
  assert.equal(decideIoEngine('').kind, decideIoEngine(undefined).kind);
});

test('a name that no engine has is an error that says which there are', () => {
  assert.throws(
    () => decideIoEngine('aio'),
    new UserError('TRAPFRAME_IO: "aio" is not an engine: give uring, uring-mapped, poll, or unset it'),
  );
});
