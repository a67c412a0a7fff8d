import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { seededRandom } from '../../../test/support/bytes.ts';
import { encodeIndex } from './indexFile.ts';
import {
  defaultStoreDirectory,
  type IndexKey,
  indexKey,
  IndexStore,
  type StoreLimits,
} from './indexStore.ts';
import type { SymbolIndexData } from './symbolIndex.ts';

const FILE = { path: '/boot/vmlinux', version: '1:2:3' };

function storeIn(t: TestContext, limits?: StoreLimits): IndexStore {
  const folder = mkdtempSync(path.join(tmpdir(), 'indexStore-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return new IndexStore(path.join(folder, 'symbols'), limits);
}

function keyOf(buildId: string): IndexKey {
  return indexKey({ buildId, sections: '.debug_info:100' }, FILE);
}

/** Told apart by `mark`. */
function indexOf(mark: number): SymbolIndexData {
  return {
    hashes: Uint32Array.of(mark),
    offsets: Float64Array.of(mark),
    kinds: Uint8Array.of(1),
    paths: new Uint8Array(0),
    pathStarts: new Uint32Array(0),
    firstUse: Uint32Array.of(0),
    useUnits: new Float64Array(0),
    useFiles: new Uint32Array(0),
    useFirstLines: new Uint32Array(0),
    useLastLines: new Uint32Array(0),
  };
}

const sizeOf = (key: IndexKey): number => encodeIndex(indexOf(0), key.identity).length;

test('what was written is read again, by this user only', async (t) => {
  const store = storeIn(t);
  assert.equal(await store.read(keyOf('aa')), undefined);
  store.write(keyOf('aa'), indexOf(7));
  assert.deepEqual(await store.read(keyOf('aa')), indexOf(7));
  assert.equal(await store.read(keyOf('bb')), undefined);
  assert.equal(statSync(store.directory).mode & 0o777, 0o700);
  assert.equal(statSync(path.join(store.directory, keyOf('aa').fileName)).mode & 0o777, 0o600);
});

test('an index is found by build-id wherever the file is, and without one by path and state', () => {
  const elsewhere = { path: '/home/me/vmlinux', version: '4:5:6' };
  const image = { buildId: 'aa', sections: '.debug_info:100' };
  assert.deepEqual(indexKey(image, FILE), indexKey(image, elsewhere));
  assert.notDeepEqual(indexKey(image, FILE), indexKey({ ...image, sections: '.debug_info:90' }, FILE));
  const nameless = { buildId: undefined, sections: '.debug_info:100' };
  assert.deepEqual(indexKey(nameless, FILE), indexKey(nameless, FILE));
  assert.notDeepEqual(indexKey(nameless, FILE), indexKey(nameless, { ...FILE, version: '1:2:4' }));
  assert.notDeepEqual(indexKey(nameless, FILE), indexKey(nameless, elsewhere));
});

test('damaged and foreign files are ignored and rewritten', async (t) => {
  const store = storeIn(t);
  const key = keyOf('aa');
  store.write(key, indexOf(7));
  const file = path.join(store.directory, key.fileName);
  const random = seededRandom(5);
  for (let round = 0; round < 50; round++) {
    const bytes = readFileSync(file);
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ 0x40;
    writeFileSync(file, round % 2 === 0 ? bytes : bytes.subarray(0, at));
    assert.equal(await store.read(key), undefined);
    store.write(key, indexOf(round));
    assert.deepEqual(await store.read(key), indexOf(round));
  }
  rmSync(file);
  mkdirSync(file);
  assert.equal(await store.read(key), undefined, 'a directory of that name');
});

test('writers at the same time leave one complete file and nothing else', async (t) => {
  const store = storeIn(t);
  const others = Array.from({ length: 8 }, () => new IndexStore(store.directory));
  const key = keyOf('aa');
  await Promise.all(
    others.map(async (other, mark) => {
      for (let round = 0; round < 20; round++) {
        other.write(key, indexOf(mark));
        assert.ok((await other.read(key)) !== undefined);
      }
    }),
  );
  assert.deepEqual(readdirSync(store.directory), [key.fileName]);
});

test('the least recently used files go when there are too many', async (t) => {
  const sizeBytes = sizeOf(keyOf('aa'));
  const store = storeIn(t, { maxFileBytes: sizeBytes, maxTotalBytes: 2 * sizeBytes });
  const [old, used, fresh] = [keyOf('aa'), keyOf('bb'), keyOf('cc')] as const;
  store.write(used, indexOf(1));
  store.write(old, indexOf(2));
  utimesSync(path.join(store.directory, used.fileName), 100, 100);
  utimesSync(path.join(store.directory, old.fileName), 200, 200);
  assert.ok((await store.read(used)) !== undefined, 'now used after the other');
  store.write(fresh, indexOf(3));
  assert.equal(await store.read(old), undefined);
  assert.deepEqual(await store.read(used), indexOf(1));
  assert.deepEqual(await store.read(fresh), indexOf(3));
});

test('an index that is too large is not kept, and one that grew too large is not read', async (t) => {
  const sizeBytes = sizeOf(keyOf('aa'));
  const store = storeIn(t, { maxFileBytes: sizeBytes - 1, maxTotalBytes: 1 << 20 });
  store.write(keyOf('aa'), indexOf(1));
  assert.equal(await store.read(keyOf('aa')), undefined);
  new IndexStore(store.directory).write(keyOf('aa'), indexOf(1));
  assert.equal(await store.read(keyOf('aa')), undefined);
});

test('what a killed writer left is removed once it is old', (t) => {
  const store = storeIn(t);
  store.write(keyOf('aa'), indexOf(1));
  const [old, young] = ['old.tmp', 'young.tmp'].map((it) => path.join(store.directory, it)) as [
    string,
    string,
  ];
  for (const it of [old, young]) writeFileSync(it, '');
  utimesSync(old, 100, 100);
  store.write(keyOf('bb'), indexOf(1));
  assert.deepEqual(
    readdirSync(store.directory).filter((it) => it.endsWith('.tmp')),
    ['young.tmp'],
  );
});

test('the directory is in XDG_CACHE_HOME when that is absolute', (t) => {
  const before = process.env['XDG_CACHE_HOME'];
  t.after(() => {
    if (before === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = before;
  });
  process.env['XDG_CACHE_HOME'] = '/var/cache/me';
  assert.equal(defaultStoreDirectory(), '/var/cache/me/trapframe/symbols');
  process.env['XDG_CACHE_HOME'] = 'relative';
  assert.match(defaultStoreDirectory(), /^\/.*\/\.cache\/trapframe\/symbols$/);
});
