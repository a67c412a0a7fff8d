import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EACCES, EMFILE, ENODEV, ENOENT, EOPNOTSUPP } from '../../../kvm/errno.ts';
import { createEventFd } from '../../../kvm/libc.ts';
import { openVhost, whyNoVhost } from './openVhost.ts';

test('one for each pair', () => {
  const troubles: string[] = [];
  let next = 5;
  const fds = openVhost(3, { name: 'net0', trouble: (it) => troubles.push(it) }, () => next++);
  assert.deepEqual([fds, troubles], [[5, 6, 7], []]);
});

test('none when one of them cannot be had: that is told once, and the interface works without', () => {
  const troubles: string[] = [];
  const opened = createEventFd();
  const answers = [opened, -EMFILE];
  const host = { name: 'net1', trouble: (it: string) => troubles.push(it) };
  assert.deepEqual(
    openVhost(2, host, () => answers.shift() ?? assert.fail()),
    [],
  );
  assert.equal(troubles.length, 1);
  assert.match(troubles[0] ?? '', /^\/dev\/vhost-net cannot be used: .*; net1 runs without it, and the VMM /);
  assert.equal(createEventFd(), opened, 'it was closed');
});

test('each reason says what to do', () => {
  for (const errno of [ENOENT, ENODEV]) assert.match(whyNoVhost(errno), /no \/dev\/vhost-net: .*modprobe/);
  assert.match(whyNoVhost(EACCES), /may not be opened: "sudo setfacl/);
  assert.match(whyNoVhost(EOPNOTSUPP), /too old/);
});
