import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CorruptError, ioError } from '../../../backends/disk/diskError.ts';
import { EIO, ENOSPC } from '../../../kvm/errno.ts';
import { HostErrors } from './hostErrors.ts';

describe('what a host refuses a disk', () => {
  it('is told once, whether it met the data of the guest or the metadata of the image', () => {
    const told: string[] = [];
    const errors = new HostErrors((message) => told.push(message));
    errors.ofCall('write', ENOSPC, '/disk');
    errors.ofImage(ioError('/disk', 'write', ENOSPC));
    errors.ofImage(ioError('/disk', 'read', EIO));
    errors.ofCall('read', EIO, '/disk');
    assert.deepEqual(
      told.map((it) => /ENOSPC|EIO/.exec(it)?.[0]),
      ['ENOSPC', 'EIO'],
    );
  });

  it('is told for each kind, as is all that is broken in an image', () => {
    const told: string[] = [];
    const errors = new HostErrors((message) => told.push(message));
    for (const call of ['read', 'write']) errors.ofCall(call, EIO, '/disk');
    for (const what of ['one table is not aligned', 'another is beyond the end'])
      errors.ofImage(new CorruptError('/disk', what));
    assert.equal(told.length, 4);
  });
});
