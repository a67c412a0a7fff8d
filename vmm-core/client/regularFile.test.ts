import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  constants,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  fileErrorText,
  FileTooLargeError,
  openRegularFile,
  readRegularFile,
  readRegularFileAsync,
} from './regularFile.ts';

function folder(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'regular-'));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

const LIMITS = { maxBytes: 1000 };

/** Both ways of reading must agree. */
async function refusal(file: string): Promise<string> {
  let message = '';
  assert.throws(
    () => readRegularFile(file, LIMITS),
    (error: Error) => ((message = fileErrorText(error)), true),
  );
  await assert.rejects(readRegularFileAsync(file, LIMITS), (error) => fileErrorText(error) === message);
  return message;
}

test('a file is read whole, even one whose size the system does not tell', async (t) => {
  const file = path.join(folder(t), 'f');
  writeFileSync(file, 'text');
  assert.equal(readRegularFile(file, LIMITS).toString(), 'text');
  assert.equal((await readRegularFileAsync(file, LIMITS)).toString(), 'text');
  const here = readFileSync('/proc/self/cmdline');
  assert.deepEqual(readRegularFile('/proc/self/cmdline', { maxBytes: 2 ** 20 }), here);
  assert.deepEqual(await readRegularFileAsync('/proc/self/cmdline', { maxBytes: 2 ** 20 }), here);
});

test('a FIFO is refused at once and by name, whether it is opened to read or to write', async (t) => {
  const fifo = path.join(folder(t), 'f');
  execFileSync('mkfifo', [fifo]);
  assert.equal(await refusal(fifo), `"${fifo}" is a FIFO, not a file`);
  assert.throws(() => openRegularFile(fifo, constants.O_WRONLY), {
    message: `"${fifo}" is a FIFO, not a file`,
  });
});

test('a link is what it leads to', async (t) => {
  const link = path.join(folder(t), 'l');
  symlinkSync('/dev/zero', link);
  assert.equal(await refusal(link), `"${link}" is a device, not a file`);
});

test('directories, devices and sockets are refused by name', async (t) => {
  const dir = folder(t);
  assert.equal(await refusal(dir), `"${dir}" is a directory, not a file`);
  assert.equal(await refusal('/dev/zero'), '"/dev/zero" is a device, not a file');
  const socket = path.join(dir, 's');
  const server = createServer().listen(socket);
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => server.close());
  assert.equal(await refusal(socket), `"${socket}" is a socket, not a file`);
});

test('a file beyond the limit is refused before it is read', async (t) => {
  const file = path.join(folder(t), 'f');
  writeFileSync(file, 'x'.repeat(1000));
  assert.equal(readRegularFile(file, LIMITS).length, 1000);
  truncateSync(file, 2 ** 40);
  assert.equal(await refusal(file), `"${file}" is larger than 1000 bytes, the most that is read here`);
  assert.throws(() => readRegularFile('/proc/self/maps', { maxBytes: 10 }), FileTooLargeError);
});

test('what the system refuses is reported in its words, without the call or a stack', async (t) => {
  const dir = folder(t);
  assert.equal(await refusal(path.join(dir, 'none')), 'no such file or directory (ENOENT)');
  symlinkSync('loop', path.join(dir, 'loop'));
  assert.equal(await refusal(path.join(dir, 'loop')), 'too many symbolic links encountered (ELOOP)');
  assert.equal(await refusal(path.join(dir, 'n'.repeat(300))), 'name too long (ENAMETOOLONG)');
  assert.equal(await refusal('a\0b'), 'a name with a NUL character is not a file name');
});
