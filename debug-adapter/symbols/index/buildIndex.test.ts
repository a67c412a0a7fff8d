import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes, mutate, seededRandom } from '../../../test/support/bytes.ts';
import {
  type BuiltAttribute,
  type BuiltDie,
  buildLineProgram,
  die,
  DwarfBuilder,
  loaderOf,
} from '../../../test/support/dwarfBuilder.ts';
import { DW_AT, DW_FORM, DW_TAG, DW_UT } from '../../dwarf/constants.ts';
import { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { DW_LNE, DW_LNS } from '../../dwarf/sectionConstants.ts';
import { finish } from '../base/steps.ts';
import { buildIndex } from './buildIndex.ts';
import {
  NAME_ENUMERATION,
  NAME_ENUMERATOR,
  NAME_FUNCTION,
  NAME_STRUCTURE,
  NAME_TYPE,
  NAME_UNION,
  NAME_VARIABLE,
  SymbolIndex,
} from './symbolIndex.ts';

const named = (tag: number, name: string, ...rest: readonly BuiltAttribute[]): BuiltDie =>
  die(tag, [[DW_AT.name, DW_FORM.strp, name], ...rest], undefined, name);

function unitOf(name: string, children: readonly BuiltDie[], lineOffset?: number): BuiltDie {
  const stmtList: readonly BuiltAttribute[] =
    lineOffset === undefined ? [] : [[DW_AT.stmt_list, DW_FORM.sec_offset, lineOffset]];
  const root: readonly BuiltAttribute[] = [
    [DW_AT.name, DW_FORM.string, name],
    [DW_AT.comp_dir, DW_FORM.string, '/src'],
    ...stmtList,
  ];
  return die(DW_TAG.compile_unit, root, children);
}

/** Lines 10, 12 and 11 of the first file, line 5 of the second. */
function lines(files: readonly string[]): Uint8Array {
  return buildLineProgram({
    directories: ['/src', 'inc'],
    files: files.map((name, index) => ({ name, directory: Math.min(index, 1) })),
    program: (bytes) => {
      let line = 1;
      bytes.u8(0).uleb(9).u8(DW_LNE.set_address).u64(0x1000);
      for (const [file, next] of [[0, 10] as const, [0, 12] as const, [1, 5] as const, [0, 11] as const]) {
        bytes.u8(DW_LNS.set_file).uleb(file).u8(DW_LNS.advance_pc).uleb(4);
        bytes
          .u8(DW_LNS.advance_line)
          .sleb(next - line)
          .u8(DW_LNS.copy);
        line = next;
      }
      bytes.u8(DW_LNS.advance_pc).uleb(4).u8(0).uleb(1).u8(DW_LNE.end_sequence);
    },
  });
}

function build(dwarf: DwarfBuilder): SymbolIndex {
  const file = new DwarfFile(dwarf.loader(), {
    littleEndian: dwarf.littleEndian,
    onProblem: (problem) => assert.fail(problem.message),
  });
  return new SymbolIndex(finish(buildIndex(file)));
}

const offsets = (index: SymbolIndex, name: string, ...kinds: number[]): number[] => [
  ...index.candidates(name, kinds),
];

const DECLARATION: BuiltAttribute = [DW_AT.declaration, DW_FORM.flag_present, true];

test('names at file scope and in namespaces are listed by kind; those in functions or only declared are not', () => {
  const dwarf = new DwarfBuilder();
  const local = named(DW_TAG.variable, 'local');
  const inner = die(
    DW_TAG.namespace,
    [[DW_AT.name, DW_FORM.string, 'ns']],
    [named(DW_TAG.structure_type, 'inside')],
  );
  const colour = die(
    DW_TAG.enumeration_type,
    [[DW_AT.name, DW_FORM.string, 'colour']],
    [die(DW_TAG.enumerator, [[DW_AT.name, DW_FORM.string, 'RED']])],
    'colour',
  );
  const main = die(DW_TAG.subprogram, [[DW_AT.name, DW_FORM.strp, 'main']], [local], 'main');
  const completed = die(
    DW_TAG.variable,
    [[DW_AT.specification, DW_FORM.ref4, { label: 'shared' }]],
    undefined,
    'completed',
  );
  dwarf.unit(
    unitOf('a.c', [
      main,
      named(DW_TAG.variable, 'counter'),
      named(DW_TAG.variable, 'shared', DECLARATION),
      completed,
      named(DW_TAG.structure_type, 'opaque', DECLARATION),
      named(DW_TAG.typedef, 'word_t'),
      named(DW_TAG.union_type, 'number'),
      colour,
      inner,
    ]),
  );
  const index = build(dwarf);
  const at = (label: string): number[] => [dwarf.offsetOf(label)];
  assert.deepEqual(offsets(index, 'main', NAME_FUNCTION), at('main'));
  assert.deepEqual(offsets(index, 'counter', NAME_VARIABLE), at('counter'));
  // A definition has the name of what it completes; a variable's first declaration gives the type of what no
  // unit defines.
  assert.deepEqual(offsets(index, 'shared', NAME_VARIABLE), [...at('shared'), ...at('completed')]);
  assert.deepEqual(offsets(index, 'opaque', NAME_STRUCTURE), []);
  assert.deepEqual(offsets(index, 'word_t', NAME_TYPE), at('word_t'));
  assert.deepEqual(offsets(index, 'number', NAME_UNION), at('number'));
  assert.deepEqual(offsets(index, 'colour', NAME_ENUMERATION), at('colour'));
  assert.deepEqual(offsets(index, 'RED', NAME_ENUMERATOR), at('colour'));
  assert.deepEqual(offsets(index, 'inside', NAME_STRUCTURE), at('inside'));
  assert.deepEqual(offsets(index, 'local', NAME_VARIABLE), []);
  assert.deepEqual(offsets(index, 'main', NAME_VARIABLE, NAME_TYPE), []);
});

test('a structure that is in every unit is kept a few times, leaving room for others of its name; functions are all kept', () => {
  const dwarf = new DwarfBuilder();
  const UNITS = 300;
  for (let unit = 0; unit < UNITS; unit++) {
    const names = ['structure', 'function'] as const;
    dwarf.unit(
      unitOf(`${unit}.c`, [
        die(DW_TAG.structure_type, [[DW_AT.name, DW_FORM.string, names[0]]]),
        die(DW_TAG.subprogram, [[DW_AT.name, DW_FORM.string, names[1]]]),
        ...(unit === UNITS - 1 ? [named(DW_TAG.typedef, names[0])] : []),
      ]),
    );
  }
  const index = build(dwarf);
  assert.equal(offsets(index, 'structure', NAME_STRUCTURE).length, 4);
  assert.deepEqual(offsets(index, 'structure', NAME_TYPE), [dwarf.offsetOf('structure')]);
  assert.equal(offsets(index, 'function', NAME_FUNCTION).length, UNITS);
});

test('each file is listed once, with the units that have statements of it and between which lines', () => {
  const dwarf = new DwarfBuilder();
  const first = lines(['a.c', 'help.h', 'types.h']);
  const second = lines(['b.c', 'help.h']);
  const a = dwarf.unit(unitOf('a.c', [], 0));
  const b = dwarf.unit(unitOf('b.c', [], first.length));
  dwarf.unit(unitOf('shared.c', [], 0)); // the line table of a.c again
  dwarf.section('.debug_line', new Bytes().bytes(first, second).done());
  const index = build(dwarf);
  assert.deepEqual(index.paths, ['/src/a.c', '/src/b.c', '/src/inc/help.h', '/src/inc/types.h']);
  assert.deepEqual(index.usesOf(0), [{ unitOffset: a, file: 0, firstLine: 10, lastLine: 12 }]);
  assert.deepEqual(index.usesOf(2), [
    { unitOffset: a, file: 1, firstLine: 5, lastLine: 5 },
    { unitOffset: b, file: 1, firstLine: 5, lastLine: 5 },
  ]);
  assert.deepEqual(index.usesOf(3), [], 'named, but without code');
});

test('a line table is that of the unit with the code, not of a type unit that was taken out of it', () => {
  const dwarf = new DwarfBuilder();
  const header = new Bytes().u64(0x1234).u32(0).done();
  const type: readonly BuiltAttribute[] = [[DW_AT.stmt_list, DW_FORM.sec_offset, 0]];
  dwarf.unit(die(DW_TAG.type_unit, type, [named(DW_TAG.structure_type, 'taken')]), DW_UT.type, header);
  const a = dwarf.unit(unitOf('a.c', [], 0));
  dwarf.section('.debug_line', lines(['a.c', 'help.h']));
  const index = build(dwarf);
  assert.deepEqual(
    index.usesOf(0).map((it) => it.unitOffset),
    [a],
  );
  assert.deepEqual(offsets(index, 'taken', NAME_STRUCTURE), [dwarf.offsetOf('taken')]);
});

test('mutated units and line tables end in an index and in problems', () => {
  const dwarf = new DwarfBuilder();
  const main = die(
    DW_TAG.subprogram,
    [[DW_AT.name, DW_FORM.strp, 'main']],
    [named(DW_TAG.variable, 'local')],
  );
  dwarf.unit(
    unitOf('a.c', [main, named(DW_TAG.variable, 'counter'), named(DW_TAG.structure_type, 'node')], 0),
  );
  dwarf.section('.debug_line', lines(['a.c', 'help.h']));
  const sections = dwarf.sections();
  const random = seededRandom(31);
  for (let round = 0; round < 2000; round++) {
    const names = [...sections.keys()];
    const broken = names[Math.floor(random() * names.length)];
    const copies = new Map(
      [...sections].map(([name, bytes]) => [name, name === broken ? mutate(bytes, random) : bytes]),
    );
    const file = new DwarfFile(loaderOf(copies), { littleEndian: true });
    const { paths, data } = new SymbolIndex(finish(buildIndex(file)));
    assert.ok(paths.length < 1000 && data.hashes.length < 1000);
  }
});
