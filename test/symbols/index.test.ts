/**
 * The index of a large image, as `vmm sym` gets it: built by the worker of the bundle, kept in the user's
 * cache.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { largeImage } from '../support/largeImage.ts';
import { scratchDirectory } from './compile.ts';

const SYMBOLS = path.join(import.meta.dirname, '..', '..', 'dist', 'symbols.js');
const BUILD_ID = '00112233445566778899aabbccddeeff00112233';

interface Scratch {
  readonly image: string;
  readonly cache: string;
  readonly store: string;
}

function scratch(bytes: Uint8Array = largeImage({ buildId: BUILD_ID })): Scratch {
  const directory = scratchDirectory();
  const image = path.join(directory, 'vmlinux');
  writeFileSync(image, bytes);
  const cache = path.join(directory, 'cache');
  return { image, cache, store: path.join(cache, 'trapframe', 'symbols') };
}

function sym({ image, cache }: Scratch, ...queries: string[]): Promise<{ out: string; err: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, XDG_CACHE_HOME: cache };
    execFile(process.execPath, [SYMBOLS, image, ...queries], { env, timeout: 60_000 }, (_error, out, err) =>
      resolve({ out, err }),
    );
  });
}

const FAR = 'expr sizeof(struct far_away) + FAR_RED';
const ANSWER = { out: '(unsigned long) 11\n', err: '' };

test('a name of a unit far away is found by the worker, and next time in what it kept', async () => {
  const files = scratch();
  assert.deepEqual(await sym(files, FAR), ANSWER);
  const [kept = '', ...more] = readdirSync(files.store);
  assert.deepEqual(more, []);
  assert.ok(kept.startsWith(BUILD_ID), kept);
  const file = path.join(files.store, kept);
  const bytes = readFileSync(file);
  assert.deepEqual(await sym(files, FAR), ANSWER);
  assert.deepEqual(readFileSync(file), bytes, 'not written again');
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(file, bytes);
  assert.deepEqual(await sym(files, FAR), ANSWER);
  assert.notDeepEqual(readFileSync(file), bytes, 'built anew');
});

test('an image without a build-id has its index by path and state', async () => {
  const files = scratch(largeImage());
  assert.deepEqual(await sym(files, FAR), ANSWER);
  assert.equal(readdirSync(files.store).length, 1);
  writeFileSync(files.image, largeImage({ paddingBytes: 10 << 20 }));
  assert.deepEqual(await sym(files, FAR), ANSWER);
  assert.equal(readdirSync(files.store).length, 2);
});

test('several at once agree, and leave one file', async () => {
  const files = scratch();
  const answers = await Promise.all([sym(files, FAR), sym(files, FAR), sym(files, FAR)]);
  assert.deepEqual(answers, [ANSWER, ANSWER, ANSWER]);
  assert.equal(readdirSync(files.store).length, 1);
});

test('when nothing can be kept, the answer comes with one line that says so', async (t: TestContext) => {
  const files = scratch();
  writeFileSync(files.cache, 'a file where the directory should be');
  const { out, err } = await sym(files, FAR);
  assert.equal(out, ANSWER.out);
  assert.match(err, /^vmm sym: cannot keep the index of symbols in .*\n$/);
  t.diagnostic(err.trim());
});

test('addresses, symbols and lines need no index', async () => {
  const files = scratch();
  const { out, err } = await sym(files, '0x100004', 'far.c:11', '/src/far.c:12');
  assert.equal(err, '');
  assert.match(out, /far_main at \/src\/far\.c:11/);
  assert.match(out, /0x100004 \/src\/far\.c:11 in far_main\n0x100008 \/src\/far\.c:12 in far_main/);
  assert.throws(() => readdirSync(files.store));
});
