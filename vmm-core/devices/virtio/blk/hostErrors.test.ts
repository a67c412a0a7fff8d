import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { it } from 'node:test';
import { HostErrors } from './hostErrors.ts';

it('what the host refuses is told on one line, whatever is in the name of the disk', () => {
  const told: string[] = [];
  const errors = new HostErrors((message) => void told.push(message));
  errors.ofCall('read', constants.errno.EIO, '/my disks/a\n"b".img');
  assert.match(told.join(), /^cannot read "\/my disks\/a\\n\\"b\\"\.img": EIO \(i\/o error\); .*$/);
});
