import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes, mutate, seededRandom } from '../../test/support/bytes.ts';
import { DwarfError } from './dwarfError.ts';
import { GDB_INDEX_SYMBOL_KIND, GdbIndex, hashGdb } from './gdbIndex.ts';
import { memorySection, Section } from './section.ts';

const { type, variable, function: func } = GDB_INDEX_SYMBOL_KIND;

const entry = (unit: number, kind: number, isStatic = false): number =>
  (unit | (kind << 28) | (isStatic ? 1 << 31 : 0)) >>> 0;

/**
 * Units at 0x10 and 0x200 and a type unit at 0x400, addresses of both units, and the symbols in a table of
 * `slots`.
 */
function gdbIndex(version: number, slots = 4): Uint8Array {
  const symbols: Readonly<Record<string, readonly number[]>> = {
    main: [entry(0, func)],
    'ns::node': [entry(1, type, true), entry(2, type), entry(0, variable)],
    counter: [entry(1, variable, true)],
  };
  const pool = new Bytes();
  const vectors = new Map(Object.entries(symbols).map(([name, values]) => [name, place(pool, values)]));
  const names = new Map(
    Object.keys(symbols).map((name) => {
      const at = pool.length;
      pool.cstring(name);
      return [name, at];
    }),
  );
  const table: (string | undefined)[] = Array.from({ length: slots }, () => undefined);
  for (const name of names.keys()) {
    const hash = hashGdb(name);
    let slot = hash & (slots - 1);
    while (table[slot] !== undefined) slot = (slot + ((Math.imul(hash, 17) & (slots - 1)) | 1)) & (slots - 1);
    table[slot] = name;
  }
  const units = new Bytes().u64(0x10, 0x1f0, 0x200, 0x200);
  const types = new Bytes().u64(0x400, 0x18, 0x1234);
  const addresses = new Bytes()
    .u64(0xffffffff81000000n, 0xffffffff81000100n)
    .u32(0)
    .u64(0x1000, 0x2000)
    .u32(1);
  const symbolTable = new Bytes();
  for (const name of table) symbolTable.u32(names.get(name ?? '') ?? 0, vectors.get(name ?? '') ?? 0);
  const pieces = [units, types, addresses, symbolTable, ...(version >= 9 ? [new Bytes().u32(0, 0)] : [])];
  const header = new Bytes().u32(version);
  let at = 4 + 4 * (pieces.length + 1);
  for (const piece of pieces) {
    header.u32(at);
    at += piece.length;
  }
  header.u32(at);
  return header.bytes(...pieces.map((it) => it.done()), pool.done()).done();
}

function place(pool: Bytes, values: readonly number[]): number {
  const at = pool.length;
  pool.u32(values.length, ...values);
  return at;
}

const open = (bytes: Uint8Array): GdbIndex =>
  new GdbIndex(new Section('.gdb_index', memorySection(bytes), true));

for (const version of [7, 8, 9]) {
  test(`version ${version}: symbols, units and addresses`, () => {
    const index = open(gdbIndex(version));
    assert.equal(index.version, version);
    assert.deepEqual(index.unitOffsets, [0x10, 0x200, 0x400]);
    assert.equal(index.compUnitCount, 2);
    assert.deepEqual([...index.find('main')], [{ kind: func, isStatic: false, unitOffset: 0x10 }]);
    assert.deepEqual(
      [...index.find('ns::node')],
      [
        { kind: type, isStatic: true, unitOffset: 0x200 },
        { kind: type, isStatic: false, unitOffset: 0x400 },
        { kind: variable, isStatic: false, unitOffset: 0x10 },
      ],
    );
    assert.deepEqual([...index.find('counter')], [{ kind: variable, isStatic: true, unitOffset: 0x200 }]);
    assert.deepEqual([...index.find('node')], []);
    assert.deepEqual(index.ranges(), [
      { start: -0x7f000000, end: -0x7effff00, unitOffset: 0x10 },
      { start: 0x1000, end: 0x2000, unitOffset: 0x200 },
    ]);
  });
}

test('a full or an empty symbol table ends a search', () => {
  assert.deepEqual([...open(gdbIndex(8, 4)).find('nothing')], []);
  const none = new Bytes().u32(8, 24, 24, 24, 24, 24).done();
  assert.deepEqual([...open(none).find('main')], []);
});

test('the hash is that of gdb: times 67, plus the lower-case byte, less 113', () => {
  assert.equal(hashGdb('a'), (0x61 - 113) >>> 0);
  assert.equal(hashGdb('Main'), hashGdb('main'));
});

test('versions that mean something else are refused', () => {
  assert.throws(() => open(gdbIndex(6)), /unsupported version of .gdb_index: 6/);
  assert.throws(() => open(new Uint8Array(3)), DwarfError);
});

test('mutated tables end in entries or in a DwarfError', () => {
  const random = seededRandom(22);
  for (let round = 0; round < 3000; round++) {
    const bytes = mutate(gdbIndex(7 + (round % 3)), random);
    try {
      const index = open(bytes);
      assert.ok(index.ranges().length <= bytes.length);
      for (const name of ['main', 'ns::node', 'counter', 'nothing'])
        assert.ok([...index.find(name)].length <= bytes.length);
    } catch (error) {
      assert.ok(error instanceof DwarfError, String(error));
    }
  }
});
