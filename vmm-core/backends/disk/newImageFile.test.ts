import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { inFolder } from '../../../test/support/diskFiles.ts';
import { giveName, NewImageFile } from './newImageFile.ts';

it('a new image has its name when it is complete, and never replaces a file', () => {
  inFolder((folder) => {
    const name = path.join(folder, 'disk');
    const made = new NewImageFile(name);
    assert.equal(existsSync(name), false);
    writeFileSync(name, 'made meanwhile');
    assert.throws(() => made.keep(), /disk" exists already: remove it first/);
    made.drop();
    made.close();
    assert.deepEqual(readdirSync(folder), ['disk']);
    assert.equal(readFileSync(name, 'utf8'), 'made meanwhile');
  });
});

it('where it cannot be made is said in one line, with what to do', () => {
  inFolder((folder) => {
    writeFileSync(path.join(folder, 'file'), '');
    const cases = [
      ['none/disk', /^cannot make ".*": no such file or directory \(ENOENT\); make its folder first$/],
      ['file/disk', /^cannot make ".*": not a directory \(ENOTDIR\); choose another folder$/],
      ['x'.repeat(300), /^cannot make ".*": name too long \(ENAMETOOLONG\); choose another name$/],
    ] as const;
    for (const [name, message] of cases)
      assert.throws(() => new NewImageFile(path.join(folder, name)), { name: 'UserError', message });
    assert.deepEqual(readdirSync(folder), ['file']);
  });
});

it('so it is on a file system without hard links', () => {
  const link = (): never => {
    throw Object.assign(new Error('operation not permitted'), { code: 'EPERM' });
  };
  inFolder((folder) => {
    const [from, to] = [path.join(folder, 'from'), path.join(folder, 'to')];
    writeFileSync(from, 'image');
    giveName(from, to, link);
    assert.deepEqual(readdirSync(folder), ['to']);
    writeFileSync(from, 'other');
    assert.throws(() => giveName(from, to, link), /to" exists already/);
    assert.equal(readFileSync(to, 'utf8'), 'image');
  });
});
