import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  baseType,
  type BuiltDie,
  type BuiltFormat,
  DwarfBuilder,
  die,
} from '../../test/support/dwarfBuilder.ts';
import { DW_AT, DW_ATE, DW_FORM, DW_LANG, DW_TAG } from '../dwarf/constants.ts';
import { DwarfFile } from '../dwarf/dwarfFile.ts';
import { DW_OP } from '../dwarf/operators.ts';
import { findMember } from './classMembers.ts';
import { describe } from './typeDescription.ts';
import { TypeReader } from './typeReader.ts';
import type { Type } from './types.ts';
import { TargetValue, flatMembers } from './value.ts';

const BASE = 0x1000n;

const BASES = [
  baseType('int', DW_ATE.signed, 4),
  baseType('unsigned', DW_ATE.unsigned, 4),
  baseType('u8', DW_ATE.unsigned, 1),
  baseType('long', DW_ATE.signed, 8),
];

/** `extra` are attributes beside the name and the type. */
function member(name: string | undefined, type: string, extra: BuiltDie['attributes']): BuiltDie {
  return die(DW_TAG.member, [
    ...(name === undefined ? [] : [[DW_AT.name, DW_FORM.string, name] as const]),
    [DW_AT.type, DW_FORM.ref4, { label: type }],
    ...extra,
  ]);
}

function at(offset: number): BuiltDie['attributes'][number] {
  return [DW_AT.data_member_location, DW_FORM.udata, offset];
}

function struct(
  name: string,
  sizeBytes: number,
  children: readonly BuiltDie[],
  tag: number = DW_TAG.structure_type,
): BuiltDie {
  return die(
    tag,
    [
      [DW_AT.name, DW_FORM.string, name],
      [DW_AT.byte_size, DW_FORM.udata, sizeBytes],
    ],
    children,
    name,
  );
}

/** The type of that name, of a unit of these entries. */
function typeOf(
  entries: readonly BuiltDie[],
  name: string,
  format: BuiltFormat & { language?: number } = {},
): Type {
  const builder = new DwarfBuilder(format);
  const language: number = format.language ?? DW_LANG.C11;
  builder.unit(die(DW_TAG.compile_unit, [[DW_AT.language, DW_FORM.data2, language]], [...BASES, ...entries]));
  const file = new DwarfFile(builder.loader(), {
    littleEndian: builder.littleEndian,
    onProblem: () => undefined,
  });
  const reader = new TypeReader(
    () => undefined,
    () => undefined,
  );
  const found = file.dieAt(builder.offsetOf(name));
  assert.ok(found !== undefined);
  return reader.read(found);
}

function valueOf(type: Type, bytes: readonly number[], littleEndian = true): TargetValue {
  const memory = Uint8Array.from(bytes);
  return new TargetValue(
    type,
    { kind: 'memory', address: BASE },
    {
      littleEndian,
      addressSize: 8,
      read: async (address, lengthBytes) => {
        const start = Number(address - BASE);
        const isInside = start >= 0 && start + lengthBytes <= memory.length;
        return isInside ? memory.slice(start, start + lengthBytes) : undefined;
      },
      symbolize: () => undefined,
    },
    'object',
  );
}

/** `unsigned a : 3; unsigned b : 9; int c : 4`, as version 3 and as version 4 and later place them. */
function bitFields(littleEndian: boolean): Record<'old' | 'recent', BuiltDie> {
  const fields = [
    { name: 'a', type: 'unsigned', size: 3, from: 0 },
    { name: 'b', type: 'unsigned', size: 9, from: 3 },
    { name: 'c', type: 'int', size: 4, from: 12 },
  ];
  const size = (bits: number): BuiltDie['attributes'][number] => [DW_AT.bit_size, DW_FORM.data1, bits];
  return {
    recent: struct(
      'recent',
      4,
      fields.map((it) =>
        member(it.name, it.type, [size(it.size), [DW_AT.data_bit_offset, DW_FORM.data1, it.from]]),
      ),
    ),
    old: struct(
      'old',
      4,
      fields.map((it) => {
        // From the most significant bit of the storage unit.
        const fromTop = littleEndian ? 32 - it.from - it.size : it.from;
        return member(it.name, it.type, [
          at(0),
          size(it.size),
          [DW_AT.byte_size, DW_FORM.data1, 4],
          [DW_AT.bit_offset, DW_FORM.data1, fromTop],
        ]);
      }),
    ),
  };
}

for (const littleEndian of [true, false]) {
  const order = littleEndian ? 'little' : 'big';
  test(`bit-fields of a ${order}-endian machine are found, shown and set, however they are placed`, async () => {
    // a = 5, b = 0x123, c = -2
    const bytes = littleEndian ? [0x1d, 0xe9, 0, 0] : [0xb2, 0x3e, 0, 0];
    const layouts = bitFields(littleEndian);
    for (const name of ['old', 'recent'] as const) {
      const type = typeOf([layouts[name]], name, { littleEndian });
      const value = valueOf(type, bytes, littleEndian);
      assert.equal(await value.display(), '{a = 5, b = 291, c = -2}');
      const field = value.member('b');
      assert.ok(field !== undefined);
      assert.equal(field.expression, 'object.b');
      assert.deepEqual(await field.assign('0x1ff'), {
        kind: 'memory',
        address: BASE,
        bytes: Uint8Array.from(littleEndian ? [0xfd, 0xef] : [0xbf, 0xfe]),
      });
      await assert.rejects(field.assign('512'), /does not fit 9 bits/);
    }
  });
}

test('a structure that contains, or is derived from, itself has an end', async () => {
  const inside = struct('inside', 8, [
    ...Array.from({ length: 8 }, (_, index) => member(undefined, 'inside', [at(index)])),
    member('x', 'int', [at(0)]),
  ]);
  const type = typeOf([inside], 'inside');
  assert.equal(type.kind, 'struct');
  assert.ok(flatMembers(type).length <= 100_000);
  assert.ok((await valueOf(type, new Array<number>(64).fill(0)).display()).length < 2000);
  assert.ok(describe(type, true).length > 0);

  const inherits = die(DW_TAG.inheritance, [[DW_AT.type, DW_FORM.ref4, { label: 'derived' }], at(0)]);
  const derived = typeOf([struct('derived', 4, [inherits, member('y', 'int', [at(0)])])], 'derived', {
    language: DW_LANG.C_plus_plus_14,
  });
  const object = valueOf(derived, [7, 0, 0, 0]);
  assert.equal(await (await findMember(object, 'y'))?.display(), '7');
  assert.equal(await findMember(object, 'nothing'), undefined);
  assert.ok((await object.display()).length < 2000);
});

test('typedefs and arrays that lead to themselves have an end', async () => {
  const loop = die(
    DW_TAG.typedef,
    [
      [DW_AT.name, DW_FORM.string, 'loop'],
      [DW_AT.type, DW_FORM.ref4, { label: 'loop' }],
    ],
    undefined,
    'loop',
  );
  assert.equal(await valueOf(typeOf([loop], 'loop'), [1, 2, 3, 4]).display(), '<<endless typedef>>');
  const range = die(DW_TAG.subrange_type, [[DW_AT.count, DW_FORM.data1, 3]]);
  const array = die(DW_TAG.array_type, [[DW_AT.type, DW_FORM.ref4, { label: 'array' }]], [range], 'array');
  const shown = await valueOf(typeOf([array], 'array'), [1]).display();
  assert.ok(shown.length < 2000, shown);
});

test('a virtual base is where the object says (§5.7.3); without the object it is said to be lost', async () => {
  const location = Uint8Array.of(DW_OP.dup, DW_OP.deref, DW_OP.plus);
  const inherits = die(DW_TAG.inheritance, [
    [DW_AT.type, DW_FORM.ref4, { label: 'Root' }],
    [DW_AT.data_member_location, DW_FORM.exprloc, location],
    [DW_AT.virtuality, DW_FORM.data1, 1],
  ]);
  const type = typeOf(
    [
      struct('Root', 4, [member('root', 'int', [at(0)])]),
      struct('Left', 16, [inherits, member('vptr', 'long', [at(0)]), member('left', 'int', [at(8)])]),
    ],
    'Left',
    { language: DW_LANG.C_plus_plus_14 },
  );
  // The first word is the distance; the base follows the object.
  const bytes = [16, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0];
  assert.equal(await valueOf(type, bytes).display(), '{<Root> = {root = 9}, vptr = 16, left = 2}');
  assert.equal(describe(type, false).split('\n')[0], 'struct Left : virtual Root {');
  const copy = new TargetValue(
    type,
    { kind: 'bytes', bytes: Uint8Array.from(bytes.slice(0, 16)) },
    valueOf(type, bytes).world,
    'copy',
  );
  assert.match(await copy.display(), /^\{<Root> = <virtual base of an object not in memory>, vptr = 16/);
});

test('a Rust enum is the case its discriminant, or the niche of another field, says (§5.7.10)', async () => {
  const variant = (value: number | undefined, name: string): BuiltDie =>
    die(DW_TAG.variant, value === undefined ? [] : [[DW_AT.discr_value, DW_FORM.data1, value]], [
      member(name, name, [at(0)]),
    ]);
  const option = die(
    DW_TAG.structure_type,
    [
      [DW_AT.name, DW_FORM.string, 'Option<NonZero>'],
      [DW_AT.byte_size, DW_FORM.data1, 1],
    ],
    [
      die(
        DW_TAG.variant_part,
        [[DW_AT.discr, DW_FORM.ref4, { label: 'discriminant' }]],
        [
          die(
            DW_TAG.member,
            [
              [DW_AT.type, DW_FORM.ref4, { label: 'u8' }],
              at(0),
              [DW_AT.artificial, DW_FORM.flag_present, true],
            ],
            undefined,
            'discriminant',
          ),
          variant(0, 'None'),
          variant(undefined, 'Some'),
        ],
      ),
      struct('None', 1, []),
      struct('Some', 1, [member('__0', 'u8', [at(0)])]),
    ],
    'option',
  );
  const type = typeOf([option], 'option', { language: DW_LANG.Rust });
  assert.equal(await valueOf(type, [0]).display(), 'None');
  assert.deepEqual(await valueOf(type, [0]).childCounts(), { named: 0, indexed: 0 });
  const some = valueOf(type, [7]);
  assert.equal(await some.display(), 'Some(7)');
  assert.deepEqual(
    (await some.children()).map(({ name, expression }) => [name, expression]),
    [['0', 'object.0']],
  );
  assert.equal(await (await findMember(some, '0'))?.display(), '7');
  assert.match(describe(type, false), /^enum Option<NonZero> \{\n.*\n.*None.* \/\* when 0 \*\/\n.*Some/);
});

test('what cannot be read says so, in its place', async () => {
  const type = typeOf(
    [struct('pair', 16, [member('a', 'int', [at(0)]), member('b', 'long', [at(8)])])],
    'pair',
  );
  assert.equal(await valueOf(type, [1, 0, 0, 0]).display(), '{a = 1, b = <cannot read memory at 0x1008>}');
  const lost = new TargetValue(
    type,
    { kind: 'missing', reason: 'optimized out' },
    valueOf(type, []).world,
    'x',
  );
  assert.equal(await lost.display(), '<optimized out>');
  assert.deepEqual(await lost.childCounts(), { named: 0, indexed: 0 });
});
