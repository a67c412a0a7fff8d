import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from '../../test/support/bytes.ts';
import { PackageIndex } from './packageIndex.ts';
import { Section, memorySection } from './section.ts';
import { DW_SECT, DW_SECT_V2 } from './sectionConstants.ts';

interface Recipe {
  readonly version: number;
  readonly littleEndian?: boolean;
  readonly slots?: number;
  readonly columns: readonly number[];
  /** Signature, and the offset and size in each column. */
  readonly units: readonly (readonly [signature: bigint, pieces: readonly (readonly [number, number])[]])[];
}

/** Places each signature by the probing of §7.3.5.3. */
function build({ version, littleEndian = true, slots = 4, columns, units }: Recipe): Uint8Array {
  const signatures = new Array<bigint>(slots).fill(0n);
  const rows = new Array<number>(slots).fill(0);
  units.forEach(([signature], index) => {
    const mask = BigInt(slots - 1);
    let slot = signature & mask;
    while (rows[Number(slot)] !== 0) slot = (slot + (((signature >> 32n) & mask) | 1n)) & mask;
    signatures[Number(slot)] = signature;
    rows[Number(slot)] = index + 1;
  });
  const out = new Bytes(littleEndian);
  if (version === 2) out.u32(2);
  else out.u16(version, 0);
  out.u32(columns.length, units.length, slots).u64(...signatures);
  out.u32(...rows, ...columns);
  for (const [, pieces] of units) out.u32(...pieces.map(([offset]) => offset));
  for (const [, pieces] of units) out.u32(...pieces.map(([, size]) => size));
  return out.done();
}

const open = (bytes: Uint8Array, littleEndian = true): PackageIndex =>
  new PackageIndex(new Section('.debug_cu_index', memorySection(bytes), littleEndian));

const UNITS: Recipe['units'] = [
  [
    0x1111_0000_0000_0001n,
    [
      [0, 0x40],
      [0, 0x10],
    ],
  ],
  // The same slot at first: found by the second probe.
  [
    0x2222_0003_0000_0001n,
    [
      [0x40, 0x50],
      [0, 0x10],
    ],
  ],
  [
    0x2222_0003_0000_0002n,
    [
      [0x90, 0x60],
      [0x10, 0x20],
    ],
  ],
];

for (const version of [2, 5]) {
  for (const littleEndian of [true, false]) {
    test(`version ${version}, ${littleEndian ? 'little' : 'big'} endian: a unit's pieces are found by its signature (§7.3.5.3)`, () => {
      const sections = version === 2 ? DW_SECT_V2 : DW_SECT;
      const recipe = { version, littleEndian, columns: [sections.INFO, sections.ABBREV], units: UNITS };
      const index = open(build(recipe), littleEndian);
      for (const [signature, [info, abbrev]] of UNITS) {
        const found = index.find(signature);
        assert.deepEqual(found?.get('.debug_info'), { offset: info?.[0], sizeBytes: info?.[1] });
        assert.deepEqual(found?.get('.debug_abbrev'), { offset: abbrev?.[0], sizeBytes: abbrev?.[1] });
        assert.equal(found?.has('.debug_line'), false);
      }
      assert.equal(index.find(0x1111_0000_0000_0002n), undefined);
      assert.deepEqual([...index.signatures()].sort(), UNITS.map(([signature]) => signature).sort());
    });
  }
}

test('section kinds have the meaning of their version, unknown ones are passed over', () => {
  const pieces: Recipe['units'] = [
    [
      7n,
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    ],
  ];
  const kinds = (version: number): string[] => [
    ...(open(build({ version, columns: [5, 8, 99], units: pieces }))
      .find(7n)
      ?.keys() ?? []),
  ];
  assert.deepEqual(kinds(2), ['.debug_loc', '.debug_macro']);
  assert.deepEqual(kinds(5), ['.debug_loclists', '.debug_rnglists']);
});

test('a search in a full table ends', () => {
  const units = [0n, 1n, 2n, 3n].map((it) => [it + 8n, [[0, 1]]] as const);
  const index = open(build({ version: 5, columns: [1], units }));
  assert.equal(index.find(99n), undefined);
  assert.ok(index.find(11n));
});

test('an index that cannot be right is refused', () => {
  const bytes = build({ version: 5, columns: [1], units: [[1n, [[0, 1]]]] });
  const patched = (at: number, value: number): Uint8Array => {
    const copy = bytes.slice();
    new DataView(copy.buffer).setUint32(at, value, true);
    return copy;
  };
  assert.throws(() => open(patched(0, 3)), /unsupported package index version: 3 at \.debug_cu_index/);
  assert.throws(() => open(patched(4, 1000)), /package index of 1000 columns/);
  assert.throws(() => open(patched(8, 0x7fff_ffff)), /reaches past its section/);
  assert.throws(() => open(patched(12, 3)), /package index of 3 slots/);
  assert.throws(() => open(bytes.slice(0, 10)), /data ends in the middle of a value/);
  // The row a slot names.
  assert.throws(() => open(patched(16 + 32 + 4, 9)).find(1n), /package index has no row 9/);
});

test('an empty index has nothing', () => {
  assert.equal(open(new Bytes().u16(5, 0).u32(0, 0, 0).done()).find(1n), undefined);
});
