import assert from 'node:assert/strict';
import { it } from 'node:test';
import { UserError } from '../../errors.ts';
import { changeParams, resizeParams } from './disks.ts';

it('a disk and its size are whole numbers', () => {
  assert.deepEqual(resizeParams({ disk: 1, sizeBytes: 2 ** 40 }), { disk: 1, sizeBytes: 2 ** 40 });
  for (const wrong of [undefined, {}, { disk: '0', sizeBytes: 512 }, { disk: 0, sizeBytes: 0.5 }])
    assert.throws(() => resizeParams(wrong), UserError);
});

it('a file has an absolute path', () => {
  assert.deepEqual(changeParams({ disk: 0, path: '/srv/a.iso' }), { disk: 0, path: '/srv/a.iso' });
  for (const path of [undefined, 7, '', 'a.iso', '/a\0b'])
    assert.throws(() => changeParams({ disk: 0, path }), /^UserError: path must be an absolute path, not /);
});
