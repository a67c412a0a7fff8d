import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { inFolder } from '../../../test/support/diskFiles.ts';
import { lockImage } from './imageLock.ts';

const WRITER = { isReadOnly: false };

it('an image that is given up a little later is waited for, and one that is not is refused', () =>
  inFolder((folder) => {
    const file = path.join(folder, 'disk');
    writeFileSync(file, 'data');
    const [first, second] = [openSync(file, 'r+'), openSync(file, 'r+')];
    assert.equal(lockImage(first, WRITER), true);
    let rests = 0;
    assert.equal(
      lockImage(second, WRITER, () => rests++),
      false,
    );
    assert.equal(rests, 24);
    const giveUp = (): void => {
      if (++rests === 27) closeSync(first);
    };
    assert.equal(lockImage(second, WRITER, giveUp), true);
    assert.equal(rests, 27);
    closeSync(second);
  }));
