import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { withLock } from './cache.ts';

describe('the lock of the cache', () => {
  const previous = process.env['TRAPFRAME_CACHE'];
  let directory = '';
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'trapframe-cache-'));
    process.env['TRAPFRAME_CACHE'] = directory;
  });
  after(async () => {
    if (previous === undefined) delete process.env['TRAPFRAME_CACHE'];
    else process.env['TRAPFRAME_CACHE'] = previous;
    await rm(directory, { recursive: true });
  });

  it('lets one caller in at a time', async () => {
    let inside = 0;
    let most = 0;
    const visit = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      inside--;
    };
    await Promise.all([1, 2, 3].map(() => withLock('test', visit)));
    assert.equal(most, 1);
  });

  it('is free again after its holder failed', async () => {
    await assert.rejects(
      withLock('test', () => Promise.reject(new Error('trouble'))),
      /trouble/,
    );
    assert.equal(await withLock('test', () => Promise.resolve('in')), 'in');
  });
});
