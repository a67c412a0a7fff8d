import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBytes } from '../../dwarf/byteOrder.ts';
import {
  baseType,
  type BuiltDie,
  type BuiltFormat,
  DwarfBuilder,
  die,
} from '../../../test/support/dwarfBuilder.ts';
import { DW_AT, DW_ATE, DW_END, DW_FORM, DW_LANG, DW_TAG } from '../../dwarf/constants.ts';
import { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { DW_OP } from '../../dwarf/operators.ts';
import { flatMembers } from '../types/flatMembers.ts';
import type { Type } from '../types/type.ts';
import { describe } from '../types/typeDescription.ts';
import { TypeReader } from '../types/typeReader.ts';
import { findMember } from './classMembers.ts';
import { DisplayedValue } from './displayedValue.ts';
import { TargetValue } from './targetValue.ts';

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

function displayed(value: TargetValue | undefined): DisplayedValue {
  assert.ok(value !== undefined);
  return new DisplayedValue(value);
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
      assert.equal(await displayed(value).display(), '{a = 5, b = 291, c = -2}');
      const field = value.member('b');
      assert.ok(field !== undefined);
      assert.equal(field.expression, 'object.b');
      assert.deepEqual(await displayed(field).assign('0x1ff'), {
        kind: 'memory',
        address: BASE,
        bytes: Uint8Array.from(littleEndian ? [0xfd, 0xef] : [0xbf, 0xfe]),
      });
      await assert.rejects(displayed(field).assign('512'), /does not fit 9 bits/);
    }
  });
}

const FIELD_BITS: BuiltDie['attributes'] = [
  at(0),
  [DW_AT.byte_size, DW_FORM.data1, 1],
  [DW_AT.bit_size, DW_FORM.data1, 4],
];

for (const [form, offset] of [
  [DW_FORM.data8, 0xffff_ffff_ffff_fffdn],
  [DW_FORM.data4, 0xffff_fffd],
  [DW_FORM.sdata, -3],
] as const) {
  test(`a bit-field may begin after its storage unit: an offset of -3 in form ${form}`, async () => {
    // unsigned char a : 7, b : 4, packed: b reaches into the next byte.
    const first = member('a', 'u8', [
      at(0),
      [DW_AT.bit_size, DW_FORM.data1, 7],
      [DW_AT.bit_offset, DW_FORM.data1, 1],
    ]);
    const second = member('b', 'u8', [...FIELD_BITS, [DW_AT.bit_offset, form, offset]]);
    const type = typeOf([struct('tight', 2, [first, second])], 'tight', { version: 4 });
    const value = valueOf(type, [0x01, 0x01]);
    assert.equal(await displayed(value).display(), '{a = 1, b = 2}');
    assert.match(describe(type, true), /0: 7 \*\/ u8 b : 4;/);
    assert.deepEqual(await displayed(value.member('b')).assign('15'), {
      kind: 'memory',
      address: BASE,
      bytes: Uint8Array.of(0x81, 0x07),
    });
  });
}

for (const littleEndian of [true, false]) {
  const order = littleEndian ? 'little' : 'big';
  test(`a bit-field in a register of a ${order}-endian machine is set and its neighbours are kept`, async () => {
    const type = typeOf([bitFields(littleEndian).recent], 'recent', { littleEndian });
    // a = 5, b = 0x123, c = -2: the number a load of the four bytes gives.
    const number = littleEndian ? 0xe91dn : 0xb23e_0000n;
    const value = 0xaaaa_bbbb_0000_0000n | number;
    const bytes = toBytes(number, 4, littleEndian);
    const register = { name: 'r3', value, offsetBytes: 0, wholeBytes: 4 };
    const world = valueOf(type, [], littleEndian).world;
    const object = new TargetValue(type, { kind: 'bytes', bytes, register }, world, 'object');
    assert.equal(await displayed(object).display(), '{a = 5, b = 291, c = -2}');
    assert.deepEqual(await displayed(object.member('b')).assign('0'), {
      kind: 'register',
      register: 'r3',
      value: 0xaaaa_bbbb_0000_0000n | (littleEndian ? 0xe005n : 0xa00e_0000n),
    });
    assert.deepEqual(await displayed(object.member('c')).assign('1'), {
      kind: 'register',
      register: 'r3',
      value: 0xaaaa_bbbb_0000_0000n | (littleEndian ? 0x191dn : 0xb231_0000n),
    });
  });
}

test('members may have their bytes in the other order (DW_AT_endianity)', async () => {
  const big = die(
    DW_TAG.base_type,
    [
      [DW_AT.name, DW_FORM.string, 'int'],
      [DW_AT.byte_size, DW_FORM.data1, 4],
      [DW_AT.encoding, DW_FORM.data1, DW_ATE.signed],
      [DW_AT.endianity, DW_FORM.data1, DW_END.big],
    ],
    undefined,
    'big int',
  );
  const alias = die(
    DW_TAG.typedef,
    [
      [DW_AT.name, DW_FORM.string, 'word'],
      [DW_AT.type, DW_FORM.ref4, { label: 'big int' }],
    ],
    undefined,
    'word',
  );
  const bits = (from: number, size: number): BuiltDie['attributes'] => [
    [DW_AT.data_bit_offset, DW_FORM.data1, from],
    [DW_AT.bit_size, DW_FORM.data1, size],
  ];
  const entries = [
    big,
    alias,
    struct('net', 12, [
      member('x', 'word', [at(0)]),
      member('a', 'big int', bits(32, 4)),
      member('b', 'big int', bits(36, 12)),
      member('own', 'int', [at(8)]),
    ]),
  ];
  const value = valueOf(typeOf(entries, 'net'), [0xff, 0xff, 0xff, 0xfe, 0x57, 0x89, 0, 0, 1, 0, 0, 0]);
  assert.equal(await displayed(value).display(), '{x = -2, a = 5, b = 1929, own = 1}');
  assert.deepEqual(await displayed(value.member('x')).assign('1'), {
    kind: 'memory',
    address: BASE,
    bytes: Uint8Array.of(0, 0, 0, 1),
  });
  assert.deepEqual(await displayed(value.member('b')).assign('1'), {
    kind: 'memory',
    address: BASE + 4n,
    bytes: Uint8Array.of(0x50, 0x01),
  });
  // The other way around on a machine that stores high bytes first.
  const little = die(
    DW_TAG.base_type,
    [...big.attributes.slice(0, 3), [DW_AT.endianity, DW_FORM.data1, DW_END.little]],
    undefined,
    'little',
  );
  const type = typeOf([little], 'little', { littleEndian: false });
  assert.equal(await displayed(valueOf(type, [2, 0, 0, 0], false)).display(), '2');
});

test('where a lower bound is absent it depends on the language (§5.13, table 7.17)', async () => {
  const entry = die(
    DW_TAG.array_type,
    [[DW_AT.type, DW_FORM.ref4, { label: 'int' }]],
    [
      die(DW_TAG.subrange_type, [
        [DW_AT.type, DW_FORM.ref4, { label: 'int' }],
        [DW_AT.upper_bound, DW_FORM.data1, 2],
      ]),
    ],
    'array',
  );
  const memory = [11, 0, 0, 0, 12, 0, 0, 0, 13, 0, 0, 0];
  const { Ada83, Ada95, Cobol74, Cobol85, Fortran77, Fortran90, Fortran95, Fortran03, Fortran08 } = DW_LANG;
  const { Pascal83, Modula2, Modula3, PLI, Julia, C11, C_plus_plus_14, Rust, Go, D, Swift } = DW_LANG;
  const ones = [Ada83, Ada95, Cobol74, Cobol85, Fortran77, Fortran90, Fortran95, Fortran03, Fortran08];
  for (const language of [...ones, Pascal83, Modula2, Modula3, PLI, Julia]) {
    const value = valueOf(typeOf([entry], 'array', { language }), memory);
    assert.equal(value.sizeBytes, 8, `language ${language}`);
    assert.equal(await displayed(value).display(), '{11, 12}');
    assert.equal(await displayed(value.element(1)).display(), '11');
    assert.deepEqual(
      (await displayed(value).children()).map(({ name, expression }) => name + expression),
      ['[1]object[1]', '[2]object[2]'],
    );
    assert.deepEqual(
      (await displayed(value).children(1, 1)).map(({ name }) => name),
      ['[2]'],
    );
  }
  for (const language of [C11, C_plus_plus_14, Rust, Go, D, Swift])
    assert.equal(
      valueOf(typeOf([entry], 'array', { language }), memory).sizeBytes,
      12,
      `language ${language}`,
    );
});

test('bounds are as signed as the index type', async () => {
  const entry = die(
    DW_TAG.array_type,
    [[DW_AT.type, DW_FORM.ref4, { label: 'u8' }]],
    [
      die(DW_TAG.subrange_type, [
        [DW_AT.type, DW_FORM.ref4, { label: 'int' }],
        [DW_AT.lower_bound, DW_FORM.data4, 0xffff_fffd],
        [DW_AT.upper_bound, DW_FORM.sdata, -2],
      ]),
    ],
    'array',
  );
  const value = valueOf(typeOf([entry], 'array', { language: DW_LANG.Ada95 }), [7, 8]);
  assert.equal(value.sizeBytes, 2);
  assert.deepEqual(
    (await displayed(value).children()).map(({ name }) => name),
    ['[-3]', '[-2]'],
  );
  assert.equal(await displayed(value.element(-2)).display(), '8');
});

/** A record of Ada: `kind` says what it has besides `kind` and `id`. */
function record(kind: string): BuiltDie {
  const variant = (attributes: BuiltDie['attributes'], children: readonly BuiltDie[]): BuiltDie =>
    die(DW_TAG.variant, attributes, children);
  const list = (...bytes: number[]): BuiltDie['attributes'] => [
    [DW_AT.discr_list, DW_FORM.block1, Uint8Array.from(bytes)],
  ];
  const discriminant = { ...member('kind', kind, [at(0)]), label: 'kind' };
  const part = die(
    DW_TAG.variant_part,
    [[DW_AT.discr, DW_FORM.ref4, { label: 'kind' }]],
    [
      variant([[DW_AT.discr_value, DW_FORM.data1, 1]], [member('one', 'int', [at(8)])]),
      // -3 to -1 of a signed discriminant, 125 to 127 of an unsigned one; and 9.
      variant(list(1, 0x7d, 0x7f, 0, 9), [member('low', 'int', [at(8)]), member('high', 'int', [at(12)])]),
      variant([[DW_AT.discr_value, DW_FORM.data1, 2]], []),
      variant([], [member('rest', 'long', [at(8)])]),
    ],
  );
  return struct('record', 16, [discriminant, member('id', 'int', [at(4)]), part]);
}

test('a record has the members of its variant: by a value, a list with ranges, or no value of any', async () => {
  const entries = [baseType('i8', DW_ATE.signed, 1), record('i8')];
  const type = typeOf(entries, 'record', { language: DW_LANG.Ada95 });
  const shown = (kind: number): Promise<string> =>
    displayed(valueOf(type, [kind, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0])).display();
  assert.equal(await shown(1), '{kind = 1, id = 5, one = 6}');
  for (const kind of [0xfd, 0xff])
    assert.match(await shown(kind), /^\{kind = -\d, id = 5, low = 6, high = 7\}$/);
  assert.equal(await shown(9), '{kind = 9, id = 5, low = 6, high = 7}');
  assert.equal(await shown(2), '{kind = 2, id = 5}');
  assert.equal(await shown(3), '{kind = 3, id = 5, rest = 30064771078}');
  assert.equal(await shown(0x7d), '{kind = 125, id = 5, rest = 30064771078}');
  const value = valueOf(type, [9, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0]);
  assert.deepEqual(
    (await displayed(value).children()).map(({ name }) => name),
    ['kind', 'id', 'low', 'high'],
  );
  assert.deepEqual(await displayed(value).childCounts(), { named: 4, indexed: 0 });
  assert.equal(await displayed(await findMember(value, 'high')).display(), '7');
  assert.equal(await findMember(value, 'one'), undefined, 'of another variant');
  assert.match(
    describe(type, true),
    /int high; \/\* when kind = -3 \.\. -1, 9 \*\/\n.*rest; \/\* otherwise \*\//,
  );
});

test('ranges of an unsigned discriminant are unsigned', async () => {
  const type = typeOf([record('u8')], 'record', { language: DW_LANG.Ada95 });
  const value = valueOf(type, [0x7e, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0]);
  assert.equal(await displayed(value).display(), '{kind = 126, id = 5, low = 6, high = 7}');
});

test('a structure that contains, or is derived from, itself has an end', async () => {
  const inside = struct('inside', 8, [
    ...Array.from({ length: 8 }, (_, index) => member(undefined, 'inside', [at(index)])),
    member('x', 'int', [at(0)]),
  ]);
  const type = typeOf([inside], 'inside');
  assert.equal(type.kind, 'struct');
  assert.ok(flatMembers(type).length <= 100_000);
  assert.ok((await displayed(valueOf(type, new Array<number>(64).fill(0))).display()).length < 2000);
  assert.ok(describe(type, true).length > 0);

  const inherits = die(DW_TAG.inheritance, [[DW_AT.type, DW_FORM.ref4, { label: 'derived' }], at(0)]);
  const derived = typeOf([struct('derived', 4, [inherits, member('y', 'int', [at(0)])])], 'derived', {
    language: DW_LANG.C_plus_plus_14,
  });
  const object = valueOf(derived, [7, 0, 0, 0]);
  assert.equal(await displayed(await findMember(object, 'y')).display(), '7');
  assert.equal(await findMember(object, 'nothing'), undefined);
  assert.ok((await displayed(object).display()).length < 2000);
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
  assert.equal(
    await displayed(valueOf(typeOf([loop], 'loop'), [1, 2, 3, 4])).display(),
    '<<endless typedef>>',
  );
  const range = die(DW_TAG.subrange_type, [[DW_AT.count, DW_FORM.data1, 3]]);
  const array = die(DW_TAG.array_type, [[DW_AT.type, DW_FORM.ref4, { label: 'array' }]], [range], 'array');
  const shown = await displayed(valueOf(typeOf([array], 'array'), [1])).display();
  assert.ok(shown.length < 2000, shown);
});

test('a virtual base is where the object says (§5.7.3); without the object the value says that it is lost', async () => {
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
  assert.equal(await displayed(valueOf(type, bytes)).display(), '{<Root> = {root = 9}, vptr = 16, left = 2}');
  assert.equal(describe(type, false).split('\n')[0], 'struct Left : virtual Root {');
  const copy = new TargetValue(
    type,
    { kind: 'bytes', bytes: Uint8Array.from(bytes.slice(0, 16)) },
    valueOf(type, bytes).world,
    'copy',
  );
  assert.match(
    await displayed(copy).display(),
    /^\{<Root> = <virtual base of an object not in memory>, vptr = 16/,
  );
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
  assert.equal(await displayed(valueOf(type, [0])).display(), 'None');
  assert.deepEqual(await displayed(valueOf(type, [0])).childCounts(), { named: 0, indexed: 0 });
  const some = valueOf(type, [7]);
  assert.equal(await displayed(some).display(), 'Some(7)');
  assert.deepEqual(
    (await displayed(some).children()).map(({ name, expression }) => [name, expression]),
    [['0', 'object.0']],
  );
  assert.equal(await displayed(await findMember(some, '0')).display(), '7');
  assert.match(describe(type, false), /^enum Option<NonZero> \{\n.*\n.*None.* \/\* when 0 \*\/\n.*Some/);
});

test('what cannot be read says so, in its place', async () => {
  const type = typeOf(
    [struct('pair', 16, [member('a', 'int', [at(0)]), member('b', 'long', [at(8)])])],
    'pair',
  );
  assert.equal(
    await displayed(valueOf(type, [1, 0, 0, 0])).display(),
    '{a = 1, b = <cannot read memory at 0x1008>}',
  );
  const lost = new TargetValue(
    type,
    { kind: 'missing', reason: 'optimized out' },
    valueOf(type, []).world,
    'x',
  );
  assert.equal(await displayed(lost).display(), '<optimized out>');
  assert.deepEqual(await displayed(lost).childCounts(), { named: 0, indexed: 0 });
});
