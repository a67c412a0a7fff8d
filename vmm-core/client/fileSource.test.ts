import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { NotAFileError, openFileSource, openOccasionalSource } from './fileSource.ts';

function fileWith(t: TestContext, text: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'fileSource-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'image');
  writeFileSync(file, text);
  return file;
}

function textAt(source: ReturnType<typeof openFileSource>, offset: number, lengthBytes: number): string {
  const bytes = new Uint8Array(lengthBytes);
  source.readInto(offset, bytes);
  return new TextDecoder().decode(bytes);
}

test('a file is read at the offset asked for, and not past its end', (t) => {
  const source = openFileSource(fileWith(t, 'kernel image'));
  t.after(() => source.close());
  assert.equal(source.sizeBytes, 12);
  assert.equal(textAt(source, 7, 5), 'image');
  assert.throws(() => textAt(source, 10, 5), RangeError);
});

test('a small file that was read whole stays as it was when it is rebuilt in place', (t) => {
  const file = fileWith(t, 'before');
  const source = openFileSource(file, { wholeUpToBytes: 6 });
  writeFileSync(file, 'after.');
  assert.equal(textAt(source, 0, 6), 'before');
  assert.notEqual(source.version, '');
});

test('a closed file is not read: its descriptor may belong to another file by then', (t) => {
  const source = openFileSource(fileWith(t, 'kernel'));
  source.close();
  source.close();
  assert.throws(() => textAt(source, 0, 1), RangeError);
});

test('a directory is not a file, and a missing file says so', (t) => {
  const file = fileWith(t, '');
  assert.throws(() => openFileSource(path.dirname(file)), NotAFileError);
  assert.throws(() => openFileSource(`${file}.none`), { code: 'ENOENT' });
});

test('one file of thousands is open only while it is read, and no longer read once it was rebuilt', (t) => {
  const file = fileWith(t, 'kernel image');
  const source = openOccasionalSource(file);
  assert.equal(source.sizeBytes, 12);
  assert.equal(textAt(source, 7, 5), 'image');
  assert.equal(isOpen(file), false);
  assert.throws(() => textAt(source, 10, 5), RangeError);
  writeFileSync(file, 'another image');
  assert.throws(() => textAt(source, 7, 5), /image was rebuilt/);
  rmSync(file);
  assert.throws(() => textAt(source, 7, 5), /ENOENT/);
  assert.throws(() => openOccasionalSource(file), /ENOENT/);
});

function isOpen(file: string): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false; // the descriptor that listed them
    }
  });
}
