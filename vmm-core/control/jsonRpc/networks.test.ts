import assert from 'node:assert/strict';
import { it } from 'node:test';
import { UserError } from '../../errors.ts';
import { captureParams, forwardParams, linkParams } from './networks.ts';

const network = 'net0';

it('a link is put up or down, and neither by leaving it out', () => {
  assert.deepEqual(linkParams({ network, isUp: false }), { network, isUp: false });
  for (const wrong of [{}, { network }, { network, isUp: 1 }, { network: 0, isUp: true }])
    assert.throws(() => linkParams(wrong), UserError);
});

it('a capture has an absolute path, and bounds', () => {
  const path = '/tmp/a.pcapng';
  const full = { network, path, snapBytes: 64, rotateBytes: 2 ** 20, files: 3, comment: 'why' };
  assert.deepEqual(captureParams(full), full);
  assert.deepEqual(captureParams({ network, path }), { network, path });
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ path: 'a.pcapng' }, /^UserError: path must be an absolute path, not "a\.pcapng"$/],
    [{ path, snapBytes: 1 }, /^UserError: snapBytes must be a whole number from 34 to 262144, not 1$/],
    [{ path, rotateBytes: 1000 }, /^UserError: rotateBytes must be a whole number from 65536 /],
    [{ path, files: 3 }, /^UserError: files needs rotateBytes/],
    [{ path, files: 0, rotateBytes: 2 ** 20 }, /^UserError: files must be a whole number from 1 to 1000/],
    [{ path, comment: 'x'.repeat(1001) }, /^UserError: comment must be a text of at most 1000 characters/],
  ];
  for (const [it, message] of wrong) assert.throws(() => captureParams({ network, ...it }), message);
});

it('a forward is checked as the configuration is', () => {
  const forward = { protocol: 'tcp', hostPort: 2222, guestPort: 22 };
  assert.deepEqual(forwardParams({ network, forward }), { network, forward });
  const of = (it: unknown) => () => forwardParams({ network, forward: it });
  assert.throws(of('tcp:2222:22'), /^UserError: forward must be an object, not "tcp:2222:22"$/);
  assert.throws(of({ ...forward, hostPort: 0 }), /^UserError: forward has ports from 1 to 65535, not 0$/);
  assert.throws(of({ ...forward, port: 1 }), /^UserError: forward\.port is not a known setting/);
  assert.throws(
    of({ protocol: 'tcp', hostPath: 's', guestPort: 22 }),
    /^UserError: hostPath must be an absolute path, not "s"$/,
  );
});
