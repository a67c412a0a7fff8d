import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFollowed, mayFollow, type Phase } from './phase.ts';

const PHASES: readonly Phase[] = [
  'connected',
  'idle',
  'configuring',
  'stopped',
  'running',
  'stepping',
  'restarting',
  'ending',
  'ended',
];

function after(phase: Phase): Phase[] {
  return PHASES.filter((next) => mayFollow(phase, next));
}

test('a session ends from everywhere, and once', () => {
  for (const phase of PHASES) assert.equal(mayFollow(phase, 'ended'), phase !== 'ended', phase);
  assert.deepEqual(after('ended'), []);
  assert.deepEqual(after('ending'), ['ended']);
});

test('nothing about the VM is reported before the editor has configured it', () => {
  assert.deepEqual(after('connected'), ['idle', 'ended']);
  assert.deepEqual(after('idle'), ['configuring', 'ended']);
  assert.deepEqual(PHASES.filter(isFollowed), ['stopped', 'running', 'stepping']);
});

test('a step begins where the VM was shown, and not in the middle of a restart', () => {
  assert.deepEqual(
    PHASES.filter((phase) => mayFollow(phase, 'stepping')),
    ['stopped', 'running', 'stepping'],
  );
});

test('a restart leads back to a stop or a run', () => {
  assert.deepEqual(after('restarting'), ['stopped', 'running', 'ending', 'ended']);
});
