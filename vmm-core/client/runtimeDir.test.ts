import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ownRuntimeDir } from '../../test/support/ownRuntimeDir.ts';
import { RuntimeDirError, runtimeDir, socketNames, socketPath } from './runtimeDir.ts';

function refusal(): string {
  try {
    runtimeDir();
  } catch (error) {
    assert.ok(error instanceof RuntimeDirError);
    return error.message;
  }
  return assert.fail('accepted');
}

test('the directory is made for its user alone, and made once', (t) => {
  const base = ownRuntimeDir(t);
  const dir = runtimeDir();
  assert.equal(dir, path.join(base, 'trapframe'));
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.equal(runtimeDir(), dir);
  assert.equal(socketPath('vm'), path.join(dir, 'vm.sock'));
});

test('without XDG_RUNTIME_DIR it is the user’s own below the temporary directory', (t) => {
  ownRuntimeDir(t);
  delete process.env['XDG_RUNTIME_DIR'];
  const expected = path.join(tmpdir(), `trapframe-${process.getuid?.()}`);
  const existed = existsSync(expected);
  assert.equal(runtimeDir(), expected);
  if (!existed) rmSync(expected, { recursive: true });
});

test('a directory that others may enter, list or change is refused', (t) => {
  const dir = path.join(ownRuntimeDir(t), 'trapframe');
  mkdirSync(dir);
  for (const mode of [0o701, 0o710, 0o740, 0o770, 0o755, 0o777]) {
    chmodSync(dir, mode);
    assert.equal(
      refusal(),
      `${dir} must be a directory that only you can enter: chmod 700 it, or set XDG_RUNTIME_DIR`,
    );
  }
  chmodSync(dir, 0o700);
  assert.equal(runtimeDir(), dir);
});

test('a directory of another user is refused, one reached through a link too', (t) => {
  const dir = path.join(ownRuntimeDir(t), 'trapframe');
  symlinkSync(process.getuid?.() === 0 ? '/proc' : '/', dir); // a directory that is certainly not ours alone
  assert.match(refusal(), /must be a directory that only you can enter/);
});

test('a link is refused, even one to a directory of ours alone', (t) => {
  const base = ownRuntimeDir(t);
  mkdirSync(path.join(base, 'elsewhere'), { mode: 0o700 });
  symlinkSync(path.join(base, 'elsewhere'), path.join(base, 'trapframe'));
  assert.match(refusal(), /trapframe must be a directory that only you can enter/);
});

test('what is not a directory, or cannot be made, is refused with the reason', (t) => {
  const base = ownRuntimeDir(t);
  const file = path.join(base, 'trapframe');
  writeFileSync(file, '');
  assert.equal(
    refusal(),
    `cannot make the directory ${file} for control sockets (EEXIST): set XDG_RUNTIME_DIR to one that you can write`,
  );
  process.env['XDG_RUNTIME_DIR'] = file;
  assert.match(refusal(), /\(ENOTDIR\): set XDG_RUNTIME_DIR to one that you can write$/);
});

test('socket names are those of all .sock files, sorted', (t) => {
  ownRuntimeDir(t);
  for (const file of ['b.sock', 'a.sock', 'notes.txt', 'a.b.sock', '.sock'])
    writeFileSync(path.join(runtimeDir(), file), '');
  assert.deepEqual(socketNames(), ['', 'a', 'a.b', 'b']);
});
