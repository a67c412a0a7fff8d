import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { UserError } from '../../errors.ts';
import { closeShare, openShare } from './openShare.ts';

describe('opening a folder that is to be shared', () => {
  it('is refused in a sentence for whatever cannot be one', (t) => {
    const above = mkdtempSync(path.join(tmpdir(), 'trapframe-share-'));
    t.after(() => rmSync(above, { recursive: true }));
    writeFileSync(path.join(above, 'file'), '');
    symlinkSync('loop', path.join(above, 'loop'));
    for (const [name, reason] of [
      ['absent', /is not there: make the folder/],
      ['file', /is no folder/],
      ['loop', /cannot look at .*too many symbolic links/],
      ['a'.repeat(300), /cannot look at .*name too long/],
    ] as const)
      assert.throws(
        () => openShare({ path: path.join(above, name) }),
        (error) => error instanceof UserError && reason.test(error.message),
        name,
      );
    const share = openShare({ path: above });
    assert.equal(share.isReadOnly, true);
    closeShare(share);
  });
});
