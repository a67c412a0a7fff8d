import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes, mutate, seededRandom } from '../../test/support/bytes.ts';
import { DW_FORM, DW_TAG } from './constants.ts';
import { DebugNames, hashFolded, type NameTableEntry } from './debugNames.ts';
import { DwarfError } from './dwarfError.ts';
import { memorySection, Section } from './section.ts';
import { DW_IDX } from './sectionConstants.ts';

const STRINGS = new Bytes().cstring('', 'main', 'Main', 'node', 'other').done();
const OFFSETS: Readonly<Record<string, number>> = { main: 1, Main: 6, node: 11, other: 16 };

interface Recipe {
  readonly is64?: boolean;
  readonly littleEndian?: boolean;
  readonly bucketCount?: number;
  readonly version?: number;
}

/**
 * Units at 0x10 and 0x200, a local type unit at 0x400, a foreign one. `main` is a function at 0x10+0x20;
 * `Main` (same hash) a variable at 0x200+0x30, and a structure at section offset 0x260; `node` is in the type
 * unit, and in the foreign one.
 */
function nameIndex({
  is64 = false,
  littleEndian = true,
  bucketCount = 2,
  version = 5,
}: Recipe = {}): Uint8Array {
  const word = is64 ? 8 : 4;
  const bytes = (): Bytes => new Bytes(littleEndian);
  const abbrevs = bytes();
  const abbrev = (code: number, tag: number, ...attributes: [number, number][]): void => {
    abbrevs.uleb(code, tag);
    for (const [index, form] of attributes) abbrevs.uleb(index, form);
    abbrevs.uleb(0, 0);
  };
  abbrev(1, DW_TAG.subprogram, [DW_IDX.compile_unit, DW_FORM.data1], [DW_IDX.die_offset, DW_FORM.ref4]);
  abbrev(
    2,
    DW_TAG.variable,
    [DW_IDX.parent, DW_FORM.udata],
    [DW_IDX.compile_unit, DW_FORM.udata],
    [DW_IDX.die_offset, DW_FORM.ref_udata],
  );
  abbrev(
    3,
    DW_TAG.structure_type,
    [DW_IDX.compile_unit, DW_FORM.udata],
    [DW_IDX.die_offset, DW_FORM.ref_addr],
  );
  abbrev(
    4,
    DW_TAG.structure_type,
    [DW_IDX.type_unit, DW_FORM.data1],
    [DW_IDX.die_offset, DW_FORM.ref1],
    [DW_IDX.type_hash, DW_FORM.data8],
  );
  abbrev(5, DW_TAG.typedef, [DW_IDX.compile_unit, DW_FORM.data2]);
  abbrevs.u8(0);

  const pool = bytes();
  const entryOffsets: Record<string, number> = {};
  const entries = (name: string, fill: () => void): void => {
    entryOffsets[name] = pool.length;
    fill();
    pool.u8(0);
  };
  entries('main', () => pool.uleb(1).u8(0).u32(0x20));
  entries('Main', () => pool.uleb(2, 7, 1, 0x30).uleb(3, 1).word(word, 0x260));
  entries('node', () => pool.uleb(4).u8(0, 0x18).u64(1).uleb(4).u8(1, 0x18).u64(2));
  entries('other', () => pool.uleb(5).u16(1));

  // Names are grouped by bucket; those of one bucket follow each other.
  const bucketOf = (name: string): number => (bucketCount === 0 ? 0 : hashFolded(name) % bucketCount);
  const names = Object.keys(entryOffsets).sort((a, b) => bucketOf(a) - bucketOf(b));
  const buckets = Array.from(
    { length: bucketCount },
    (_, bucket) => names.findIndex((it) => bucketOf(it) === bucket) + 1,
  );
  const body = bytes().u16(version, 0).u32(2, 1, 1, bucketCount, names.length, abbrevs.length, 6);
  body.bytes(new TextEncoder().encode('LLVM07')).u8(0, 0); // rounded up to 4
  for (const unit of [0x10, 0x200, 0x400]) body.word(word, unit);
  body.u64(0x1234).u32(...buckets);
  if (bucketCount > 0) body.u32(...names.map(hashFolded));
  for (const name of names) body.word(word, OFFSETS[name] ?? 0);
  for (const name of names) body.word(word, entryOffsets[name] ?? 0);
  body.bytes(abbrevs.done(), pool.done());
  const length = bytes();
  if (is64) length.u32(0xffffffff).u64(body.length);
  else length.u32(body.length);
  return length.bytes(body.done()).done();
}

function sectionOf(bytes: Uint8Array, littleEndian = true): Section {
  return new Section('.debug_names', memorySection(bytes), littleEndian);
}

function open(bytes: Uint8Array, littleEndian = true): DebugNames {
  const [index] = DebugNames.readAll(sectionOf(bytes, littleEndian), (problem) =>
    assert.fail(problem.message),
  );
  assert.ok(index);
  return index;
}

function stringAt(offset: number): string {
  const end = STRINGS.indexOf(0, offset);
  if (offset >= STRINGS.length) throw new DwarfError('.debug_str', offset, 'string outside its section');
  return new TextDecoder().decode(STRINGS.subarray(offset, end));
}

const find = (index: DebugNames, name: string): NameTableEntry[] => [...index.find(name, stringAt)];

for (const recipe of [{}, { is64: true }, { littleEndian: false }, { bucketCount: 0 }, { bucketCount: 1 }]) {
  test(`entries of a name are found, however the table is laid out (§6.1.1.4): ${JSON.stringify(recipe)}`, () => {
    const index = open(nameIndex(recipe), recipe.littleEndian);
    assert.deepEqual(index.unitOffsets, [0x10, 0x200, 0x400]);
    assert.equal(index.nameCount, 4);
    assert.equal(index.augmentation, 'LLVM07');
    assert.deepEqual(find(index, 'main'), [{ tag: DW_TAG.subprogram, unitOffset: 0x10, dieOffset: 0x30 }]);
    assert.deepEqual(find(index, 'nothing'), []);
    assert.deepEqual(find(index, ''), []);
  });
}

test('names that differ in case share a hash and are distinguished by their text (§7.33)', () => {
  assert.equal(hashFolded('main'), hashFolded('Main'));
  assert.deepEqual(find(open(nameIndex()), 'Main'), [
    { tag: DW_TAG.variable, unitOffset: 0x200, dieOffset: 0x230 },
    { tag: DW_TAG.structure_type, unitOffset: 0x200, dieOffset: 0x260 },
  ]);
  assert.deepEqual(find(open(nameIndex()), 'MAIN'), []);
});

test('the hash is that of the standard: 5381, times 33, plus each byte (§7.33)', () => {
  assert.equal(hashFolded(''), 5381);
  assert.equal(hashFolded('a'), 5381 * 33 + 0x61);
  assert.equal(hashFolded('main'), 2090499946);
});

test('entries of type units count from theirs; one in another file has no place here (§6.1.1.4.3)', () => {
  assert.deepEqual(find(open(nameIndex()), 'node'), [
    { tag: DW_TAG.structure_type, unitOffset: 0x400, dieOffset: 0x418 },
    { tag: DW_TAG.structure_type, unitOffset: undefined, dieOffset: undefined },
  ]);
});

test('an entry without a place still tells its unit', () => {
  assert.deepEqual(find(open(nameIndex()), 'other'), [
    { tag: DW_TAG.typedef, unitOffset: 0x200, dieOffset: undefined },
  ]);
});

test('a section may hold an index for each unit; a broken one ends the list', () => {
  const one = nameIndex();
  const problems: string[] = [];
  const bytes = new Bytes().bytes(one, one, nameIndex({ version: 9 }), one).done();
  const found = DebugNames.readAll(sectionOf(bytes), (problem) => problems.push(problem.message));
  assert.equal(found.length, 2);
  assert.match(problems.join(), /unsupported version of a name index: 9/);
  assert.deepEqual(found[1] && find(found[1], 'main').length, 1);
});

test('mutated tables end in entries or in a DwarfError', () => {
  const random = seededRandom(21);
  for (let round = 0; round < 3000; round++) {
    const bytes = mutate(nameIndex({ bucketCount: round % 3 }), random);
    const indexes = DebugNames.readAll(sectionOf(bytes), () => undefined);
    for (const index of indexes) {
      for (const name of ['main', 'Main', 'node', 'other', 'nothing']) {
        try {
          assert.ok(find(index, name).length <= bytes.length);
        } catch (error) {
          assert.ok(error instanceof DwarfError, String(error));
        }
      }
    }
  }
});
