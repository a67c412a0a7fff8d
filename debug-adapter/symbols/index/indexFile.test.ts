import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../../test/support/bytes.ts';
import { decodeIndex, encodeIndex } from './indexFile.ts';
import { hashName, NAME_FUNCTION, NAME_VARIABLE, SymbolIndex, type SymbolIndexData } from './symbolIndex.ts';

const IDENTITY = 'abcd .debug_info:100';

function sample(): SymbolIndexData {
  const names = ['main', 'counter'].map((it) => hashName(new TextEncoder().encode(it)));
  const [main = 0, counter = 0] = names;
  const paths = new TextEncoder().encode('/src/inc/é.h\0/src/main.c\0');
  return {
    hashes: Uint32Array.from(names).sort(),
    offsets: main < counter ? Float64Array.of(0x20, 2 ** 33) : Float64Array.of(2 ** 33, 0x20),
    kinds:
      main < counter
        ? Uint8Array.of(NAME_FUNCTION, NAME_VARIABLE)
        : Uint8Array.of(NAME_VARIABLE, NAME_FUNCTION),
    paths,
    pathStarts: Uint32Array.of(0, paths.indexOf(0) + 1),
    firstUse: Uint32Array.of(0, 0, 1),
    useUnits: Float64Array.of(11),
    useFiles: Uint32Array.of(1),
    useFirstLines: Uint32Array.of(10),
    useLastLines: Uint32Array.of(13),
  };
}

test('an index comes back from its bytes and answers as before', () => {
  const bytes = encodeIndex(sample(), IDENTITY);
  const data = decodeIndex(bytes, IDENTITY);
  assert.ok(data);
  assert.deepEqual(data, sample());
  const index = new SymbolIndex(data);
  assert.deepEqual([...index.candidates('main', [NAME_FUNCTION])], [0x20]);
  assert.deepEqual([...index.candidates('main', [NAME_VARIABLE])], []);
  assert.deepEqual([...index.candidates('counter', [NAME_VARIABLE])], [2 ** 33]);
  assert.deepEqual([...index.candidates('other', [NAME_FUNCTION, NAME_VARIABLE])], []);
  assert.deepEqual(index.paths, ['/src/inc/é.h', '/src/main.c']);
  assert.deepEqual(index.usesOf(0), []);
  assert.deepEqual(index.usesOf(1), [{ unitOffset: 11, file: 1, firstLine: 10, lastLine: 13 }]);
});

test('an index of another file or version is not used', () => {
  const bytes = encodeIndex(sample(), IDENTITY);
  assert.equal(decodeIndex(bytes, 'abcd .debug_info:101'), undefined);
  const other = bytes.slice();
  new DataView(other.buffer).setUint32(8, 99, true);
  assert.equal(decodeIndex(other, IDENTITY), undefined);
});

test('a changed byte or a missing end is noticed wherever it is', () => {
  const bytes = encodeIndex(sample(), IDENTITY);
  const random = seededRandom(3);
  for (let round = 0; round < 500; round++) {
    const at = Math.floor(random() * bytes.length);
    const damaged = bytes.slice();
    damaged[at] = (damaged[at] ?? 0) ^ (1 + Math.floor(random() * 255));
    assert.equal(decodeIndex(damaged, IDENTITY), undefined, `byte ${at}`);
    assert.equal(decodeIndex(bytes.slice(0, at), IDENTITY), undefined, `${at} bytes`);
  }
});

test('other bytes are not an index', () => {
  const random = seededRandom(4);
  for (let round = 0; round < 200; round++) {
    const bytes = Uint8Array.from({ length: Math.floor(random() * 400) }, () => Math.floor(random() * 256));
    assert.equal(decodeIndex(bytes, IDENTITY), undefined);
  }
});
