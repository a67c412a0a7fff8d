import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flagNamed } from './settingFlags.ts';

test('a problem names the flag that was given, not the key of launch.json', () => {
  assert.equal(flagNamed('memory'), '--memory');
  assert.equal(flagNamed('shares'), '--share');
  assert.equal(flagNamed('networks[1]'), '--net number 2');
  assert.equal(flagNamed('vsock.cid'), '--vsock: cid');
  assert.equal(flagNamed(''), '--');
});
