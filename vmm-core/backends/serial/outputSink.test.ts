import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { within } from '../../../test/support/deadline.ts';
import { fileSink, OutputSink } from './outputSink.ts';

const NOWHERE = 1; // never written: `write` is the test's
const text = (value: string): Uint8Array => Buffer.from(value);

function failure(code: string): never {
  throw Object.assign(new Error(code), { code });
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test('a reader that is slow gets everything in order, and it is told when it has', async () => {
  let room = 5;
  let taken = '';
  const sink = new OutputSink(NOWHERE, (_fd, bytes) => {
    if (room === 0) failure('EAGAIN');
    const count = Math.min(room, bytes.length);
    taken += Buffer.from(bytes.subarray(0, count)).toString();
    room -= count;
    return count;
  });
  const caughtUp = new Promise<void>((resolve) => (sink.onDrained = resolve));
  sink.write(text('abc'));
  assert.equal(sink.isBehind, false);
  sink.write(text('defg'));
  sink.write(text('hij'));
  assert.deepEqual(
    { taken, behind: sink.isBehind, pending: sink.pendingBytes },
    { taken: 'abcde', behind: true, pending: 5 },
  );
  room = 100;
  await within(Promise.all([caughtUp, sink.drained()]), 'the reader');
  assert.deepEqual(
    { taken, behind: sink.isBehind, pending: sink.pendingBytes },
    { taken: 'abcdefghij', behind: false, pending: 0 },
  );
});

test('an error is told once, and what follows is swallowed', async () => {
  const told: (string | undefined)[] = [];
  const sink = new OutputSink(NOWHERE, () => failure('ENOSPC'));
  sink.onBroken = ({ code }) => told.push(code);
  sink.write(text('abc'));
  sink.write(text('def'));
  await sink.drained();
  assert.deepEqual({ told, pending: sink.pendingBytes }, { told: ['ENOSPC'], pending: 0 });
});

test('who waits for a sink that is closed or breaks is not left waiting', async () => {
  const stuck = new OutputSink(NOWHERE, () => failure('EAGAIN'));
  stuck.write(text('abc'));
  const waiting = stuck.drained();
  stuck.close();
  await within(waiting, 'the end of a closed sink');
  let code = 'EAGAIN';
  const breaking = new OutputSink(NOWHERE, () => failure(code));
  breaking.write(text('abc'));
  code = 'EPIPE';
  await within(breaking.drained(), 'the end of a broken sink');
});

test('a FIFO without a reader, a folder and a device that stores are refused at once', (t) => {
  const folder = temporaryFolder(t);
  const fifo = path.join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const message = (name: string): string => {
    try {
      fileSink(name).close();
      return 'opened';
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.equal(
    message(fifo),
    `cannot write the serial log ${fifo}: nobody reads this FIFO: start the program that does first`,
  );
  assert.equal(message(folder), `cannot write the serial log ${folder}: it is a directory, not a file`);
  assert.equal(message('/dev/null'), 'opened');
});

test('two ports that share a file, and a file emptied meanwhile, lose nothing of what comes after', (t) => {
  const file = path.join(temporaryFolder(t), 'log');
  const [one, two] = [fileSink(file), fileSink(file)];
  t.after(() => [one, two].forEach((it) => it.close()));
  one.write(text('one '));
  two.write(text('two '));
  one.write(text('three '));
  assert.equal(readFileSync(file, 'latin1'), 'one two three ');
  truncateSync(file);
  two.write(text('four'));
  assert.equal(readFileSync(file, 'latin1'), 'four');
});

test('a FIFO with a reader holds back what does not fit, and delivers it when there is room', async (t) => {
  const fifo = path.join(temporaryFolder(t), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => closeSync(reader));
  const sink = fileSink(fifo);
  const all = Buffer.alloc(200_000, 'abcdefg');
  sink.write(all);
  assert.equal(sink.isBehind, true);
  const parts: Buffer[] = [];
  const drained = sink.drained();
  const part = Buffer.alloc(1 << 16);
  for (let left = all.length; left > 0;) {
    const count = readOnce(reader, part);
    parts.push(Buffer.from(part.subarray(0, count)));
    left -= count;
    if (count === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await within(drained, 'the FIFO');
  assert.deepEqual(Buffer.concat(parts), all);
  sink.close();
});

function readOnce(fd: number, into: Buffer): number {
  try {
    return readSync(fd, into);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    return 0;
  }
}
