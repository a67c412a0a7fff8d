import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../errors.ts';
import { BACKLOG_BYTES, SerialPort } from './serialPort.ts';

const ignore = (): void => undefined;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const bytes = (value: string): Uint8Array => Buffer.from(value, 'latin1');

test('a client that comes late gets what came so far, then what comes', () => {
  const port = new SerialPort({ kind: 'client' });
  assert.equal(text(port.attach(ignore)), '');
  port.write(bytes('boot'));
  port.write(bytes('ing'));
  let heard = '';
  assert.equal(text(port.attach((more) => (heard += text(more)))), 'booting');
  port.write(bytes('!'));
  assert.equal(heard, '!');
});

test('every client hears everything, one that left hears nothing more', () => {
  const port = new SerialPort({ kind: 'null' });
  const heard = ['', ''];
  const first = (more: Uint8Array): void => void (heard[0] += text(more));
  const second = (more: Uint8Array): void => void (heard[1] += text(more));
  port.attach(first);
  port.attach(second);
  port.write(bytes('a'));
  port.detach(first);
  port.write(bytes('b'));
  assert.deepEqual(heard, ['a', 'ab']);
});

test('the backlog is the last 64 KiB, whatever sizes it came in', () => {
  for (const sizes of [
    [1],
    [7],
    [1000],
    [BACKLOG_BYTES - 1, 1, 1],
    [BACKLOG_BYTES],
    [BACKLOG_BYTES + 3],
    [3 * BACKLOG_BYTES],
  ]) {
    const port = new SerialPort({ kind: 'client' });
    let all = '';
    for (let i = 0; all.length < 2.5 * BACKLOG_BYTES; i++) {
      const size = sizes[i % sizes.length] ?? 1;
      const piece = Array.from({ length: size }, (_, at) =>
        String.fromCharCode(33 + ((all.length + at) % 90)),
      ).join('');
      port.write(bytes(piece));
      all += piece;
      if (size < 1000 && i % 4999 !== 0) continue; // every look compares 64 KiB
      assert.equal(
        text(port.attach(ignore)),
        all.slice(-BACKLOG_BYTES),
        `after ${all.length} bytes in pieces of ${size}`,
      );
    }
    assert.equal(text(port.attach(ignore)), all.slice(-BACKLOG_BYTES));
  }
});

test('the backlog is a copy: later output does not change it', () => {
  const port = new SerialPort({ kind: 'client' });
  port.write(bytes('x'.repeat(BACKLOG_BYTES)));
  const before = port.attach(ignore);
  port.write(bytes('y'.repeat(BACKLOG_BYTES)));
  assert.equal(text(before), 'x'.repeat(BACKLOG_BYTES));
});

test('a file gets all bytes, is made anew and belongs to its user alone', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const log = path.join(folder, 'com1.log');
  for (const output of ['first run', 'second']) {
    const port = new SerialPort({ kind: 'file', path: log });
    port.write(bytes(output.slice(0, 3)));
    port.write(bytes(output.slice(3)));
    port.close();
    assert.equal(readFileSync(log, 'latin1'), output);
  }
  assert.equal(statSync(log).mode & 0o777, 0o600);
});

test('a file that cannot be made is an error for the user', () => {
  assert.throws(
    () => new SerialPort({ kind: 'file', path: '/proc/no/such/file' }),
    (error: Error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /^cannot write the serial log \/proc\/no\/such\/file: /);
      return true;
    },
  );
});
