import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { IoRecorder, nthFaults } from '../../test/support/ioFaults.ts';
import { allocateRange, FALLOC_FL_KEEP_SIZE, readAt, syncData, truncateTo, writeAt } from './fileIo.ts';
import { injectFaults } from './io/faults.ts';

const { EIO, ENOSPC, EBADF } = constants.errno;

let folder: string;
let file: string;
let fd: number;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'trapframe-io-'));
  file = path.join(folder, 'image');
  fd = openSync(file, 'w+');
});
afterEach(() => {
  injectFaults(undefined);
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

const ABC = Buffer.from('abc');

test('what is written is read back, and results are bytes', () => {
  assert.equal(writeAt(fd, ABC, 5), 3);
  const into = new Uint8Array(8);
  assert.equal(readAt(fd, into, 4), 4);
  assert.deepEqual([...into], [0, ...ABC, 0, 0, 0, 0]);
  assert.equal(syncData(fd), 0);
  assert.equal(truncateTo(fd, 6), 0);
  assert.equal(readFileSync(file).length, 6);
  assert.equal(allocateRange(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 16), 0);
});

test('an error is its negated errno', () => {
  for (const call of [() => writeAt(-1, ABC, 0), () => readAt(-1, new Uint8Array(1), 0), () => syncData(-1)])
    assert.equal(call(), -EBADF);
});

test('the n-th call of a kind fails, and no other', () => {
  injectFaults(nthFaults({ write: { 2: { errno: ENOSPC } }, sync: { 1: { errno: EIO } } }));
  assert.deepEqual(
    [0, 1, 2].map((at) => writeAt(fd, ABC, at * 3)),
    [3, -ENOSPC, 3],
  );
  assert.deepEqual([syncData(fd), syncData(fd)], [-EIO, 0]);
  assert.deepEqual(readFileSync(file), Buffer.concat([ABC, Buffer.alloc(3), ABC]));
});

test('a transfer that is cut short transfers just that much', () => {
  injectFaults(nthFaults({ write: { 1: { shortBytes: 2 } }, read: { 1: { shortBytes: 1 } } }));
  assert.equal(writeAt(fd, ABC, 0), 2);
  assert.equal(readFileSync(file, 'latin1'), 'ab');
  const into = new Uint8Array(2);
  assert.equal(readAt(fd, into, 0), 1);
  assert.deepEqual([...into], [ABC[0], 0]);
});

test('a recorder keeps what has changed the file, in order, and leaves out what failed', () => {
  const recorder = new IoRecorder(nthFaults({ write: { 2: { errno: EIO }, 3: { shortBytes: 1 } } }));
  injectFaults(recorder);
  const bytes = Uint8Array.from(ABC);
  for (const at of [0, 10, 20]) writeAt(fd, bytes, at);
  bytes.fill(0); // what is recorded is a copy
  syncData(fd);
  truncateTo(fd, 2);
  allocateRange(fd, FALLOC_FL_KEEP_SIZE, 0, 4096);
  assert.deepEqual(recorder.log, [
    { kind: 'write', fd, offset: 0, bytes: Uint8Array.from(ABC) },
    { kind: 'write', fd, offset: 20, bytes: Uint8Array.of(ABC[0] ?? 0) },
    { kind: 'sync', fd },
    { kind: 'truncate', fd, lengthBytes: 2 },
    { kind: 'fallocate', fd, mode: FALLOC_FL_KEEP_SIZE, offset: 0, lengthBytes: 4096 },
  ]);
});

test('a sync covers only what was over before it began', () => {
  const recorder = new IoRecorder();
  const sync = { call: 'sync', fd, offset: 0, lengthBytes: 0 } as const;
  const write = { call: 'write', fd, offset: 0, lengthBytes: 3, bytes: () => ABC } as const;
  recorder.before(sync);
  recorder.before(write);
  recorder.after(write, 3);
  recorder.after(sync, 0);
  assert.deepEqual(
    recorder.log.map((it) => it.kind),
    ['sync', 'write'],
  );
});
