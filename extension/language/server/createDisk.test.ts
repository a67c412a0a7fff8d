import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, it } from 'node:test';
import { localConfigHost } from '../../../vmm-core/client/localConfigHost.ts';
import { createDisk } from './createDisk.ts';

const SIZE = 10 * 2 ** 30;
const folder = mkdtempSync(path.join(tmpdir(), 'tf-disk-'));
after(() => rmSync(folder, { recursive: true }));

it('a raw disk is a hole of its size, and is not made twice', () => {
  const file = path.join(folder, 'a.raw');
  createDisk(file, 'raw', SIZE);
  assert.deepEqual([statSync(file).size, statSync(file).blocks], [SIZE, 0]);
  assert.equal(localConfigHost().diskFormat(file), 'raw');
  assert.throws(() => createDisk(file, 'raw', SIZE), /EEXIST/);
});

it('a disk that cannot be made leaves no file behind', () => {
  for (const format of ['raw', 'qcow2'] as const) {
    const file = path.join(folder, `no.${format}`);
    assert.throws(() => createDisk(file, format, 1.5), RangeError);
    assert.equal(existsSync(file), false);
  }
});

it('a qcow2 disk is one to its signature', () => {
  const file = path.join(folder, 'a.qcow2');
  createDisk(file, 'qcow2', SIZE);
  assert.equal(localConfigHost().diskFormat(file), 'qcow2');
});

it('qemu-img finds no errors in a qcow2 disk', (t) => {
  const file = path.join(folder, 'b.qcow2');
  createDisk(file, 'qcow2', SIZE);
  let output: string;
  try {
    output = execFileSync('qemu-img', ['check', file], { encoding: 'utf8' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return t.skip('qemu-img is not installed (qemu-utils)');
    throw error;
  }
  assert.match(output, /No errors were found/);
  assert.match(execFileSync('qemu-img', ['info', file], { encoding: 'utf8' }), /virtual size: 10 GiB/);
});
