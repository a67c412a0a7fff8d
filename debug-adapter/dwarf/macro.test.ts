import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from '../../test/support/bytes.ts';
import { type BuiltAttribute, DwarfBuilder, die } from '../../test/support/dwarfBuilder.ts';
import { DW_AT, DW_FORM, DW_TAG } from './constants.ts';
import { DwarfFile } from './dwarfFile.ts';
import { type MacroPlace, findMacro, hasMacros, macroLineOffset } from './macro.ts';
import { DW_MACINFO, DW_MACRO } from './sectionConstants.ts';
import type { Unit } from './unit.ts';

const FLAG_64 = 1;
const FLAG_LINE = 2;
const FLAG_OPERANDS = 4;

function unitWith(
  section: string,
  bytes: Uint8Array,
  attribute: BuiltAttribute,
  builder = new DwarfBuilder(),
): Unit {
  builder.unit(die(DW_TAG.compile_unit, [attribute, [DW_AT.stmt_list, DW_FORM.sec_offset, 0x99]]));
  builder.section(section, bytes);
  return new DwarfFile(builder.loader(), { littleEndian: builder.littleEndian }).unitAt(0);
}

/** Version 5 unless given; macros at offset 0. */
function macros(fill: (bytes: Bytes) => Bytes, version = 5): Unit {
  const name = version === 5 ? DW_AT.macros : DW_AT.GNU_macros;
  const bytes = fill(new Bytes().u16(version).u8(FLAG_LINE).u32(0x40)).u8(0).done();
  return unitWith('.debug_macro', bytes, [name, DW_FORM.sec_offset, 0]);
}

const define = (b: Bytes, line: number, text: string): Bytes =>
  b.u8(DW_MACRO.define).uleb(line).cstring(text);
const undef = (b: Bytes, line: number, text: string): Bytes => b.u8(DW_MACRO.undef).uleb(line).cstring(text);
const enter = (b: Bytes, line: number, file: number): Bytes => b.u8(DW_MACRO.start_file).uleb(line, file);
const leave = (b: Bytes): Bytes => b.u8(DW_MACRO.end_file);
const at = (file: number, line: number): MacroPlace => ({ line, isFile: (it) => it === file });

/**
 * File 1 defines A, includes file 2 (which redefines it) on line 10, undefines it on 20; the command line has
 * B.
 */
function story(b: Bytes): Bytes {
  define(b, 0, 'B 7');
  enter(b, 0, 1);
  define(b, 5, 'A 1');
  enter(b, 10, 2);
  undef(b, 1, 'A');
  define(b, 2, 'A(x,y) (x + y)');
  leave(b);
  undef(b, 20, 'A');
  return leave(b);
}

for (const version of [4, 5]) {
  test(`version ${version}: a name means what the preprocessor last made of it (§6.3.3)`, () => {
    const unit = macros(story, version);
    const body = (place: MacroPlace): string | undefined => findMacro(unit, 'A', place)?.body;
    assert.equal(hasMacros(unit), true);
    assert.equal(body(at(1, 4)), undefined);
    assert.equal(body(at(1, 5)), '1', 'on its own line');
    assert.equal(body(at(1, 9)), '1');
    assert.equal(body(at(1, 10)), '(x + y)', 'after the include of that line');
    assert.equal(body(at(2, 1)), undefined);
    assert.equal(body(at(2, 3)), '(x + y)');
    assert.equal(body(at(1, 20)), undefined);
    assert.deepEqual(findMacro(unit, 'A', at(1, 15)), {
      name: 'A',
      parameters: '(x,y)',
      body: '(x + y)',
      line: 2,
      file: 2,
    });
    assert.deepEqual(findMacro(unit, 'B', at(1, 1)), {
      name: 'B',
      parameters: undefined,
      body: '7',
      line: 0,
      file: undefined,
    });
    assert.equal(findMacro(unit, 'B', at(9, 1))?.body, '7', 'a file the unit never enters: the end');
    assert.equal(findMacro(unit, 'AB'), undefined);
    assert.equal(macroLineOffset(unit), 0x40);
  });
}

test('.debug_macinfo says the same in its own encoding (DWARF 4 §7.22)', () => {
  const bytes = new Bytes().u8(DW_MACINFO.vendor_ext).uleb(3).cstring('note');
  const unit = unitWith('.debug_macinfo', story(bytes).u8(0).done(), [
    DW_AT.macro_info,
    DW_FORM.sec_offset,
    0,
  ]);
  assert.equal(findMacro(unit, 'A', at(1, 9))?.body, '1');
  assert.equal(findMacro(unit, 'A', at(2, 2))?.parameters, '(x,y)');
  assert.equal(macroLineOffset(unit), 0x99, "the unit's own");
});

test("clang lists the compiler's own macros after the files; they hold from the beginning", () => {
  const unit = macros((b) => define(leave(define(enter(b, 0, 1), 3, 'LATER 1')), 0, '__clang__ 1'));
  assert.equal(findMacro(unit, '__clang__', at(1, 1))?.body, '1');
  assert.equal(findMacro(unit, 'LATER', at(1, 2)), undefined);
});

test('strings are in place, in .debug_str or behind an index; those of supplementary files are skipped (§6.3.2.1)', () => {
  const builder = new DwarfBuilder();
  const direct = builder.string('STRP 1');
  const indexed = builder.string('STRX 2');
  builder.section('.debug_str_offsets', new Bytes().u32(12).u16(5, 0).u32(0, indexed).done());
  const bytes = new Bytes().u16(5).u8(0);
  bytes.u8(DW_MACRO.define_sup).uleb(1).u32(0x1234);
  bytes.u8(DW_MACRO.import_sup).u32(0x1234);
  bytes.u8(DW_MACRO.undef_sup).uleb(1).u32(0x1234);
  bytes.u8(DW_MACRO.define_strp).uleb(1).u32(direct);
  bytes.u8(DW_MACRO.define_strx).uleb(1).uleb(1).u8(0);
  const unit = unitWith('.debug_macro', bytes.done(), [DW_AT.macros, DW_FORM.sec_offset, 0], builder);
  assert.equal(findMacro(unit, 'STRP')?.body, '1');
  assert.equal(findMacro(unit, 'STRX')?.body, '2');
});

test('an imported unit counts where it is imported; one that imports itself ends (§6.3.2.3)', () => {
  const bytes = new Bytes().u16(5).u8(0);
  enter(bytes, 0, 1).u8(DW_MACRO.import);
  const patch = bytes.length;
  undef(bytes.u32(0), 9, 'IN_IMPORT');
  leave(bytes).u8(0);
  const imported = bytes.length;
  define(bytes.u16(5).u8(0), 4, 'IN_IMPORT 1')
    .u8(DW_MACRO.import)
    .u32(imported)
    .u8(DW_MACRO.import)
    .u32(0)
    .u8(0);
  const unit = unitWith('.debug_macro', bytes.patch32(patch, imported).done(), [
    DW_AT.macros,
    DW_FORM.sec_offset,
    0,
  ]);
  assert.equal(findMacro(unit, 'IN_IMPORT', at(1, 8))?.body, '1');
  assert.equal(findMacro(unit, 'IN_IMPORT', at(1, 9)), undefined);
});

test('units that import each other endlessly are given up on', () => {
  const bytes = new Bytes();
  const unitBytes = 2 + 1 + 40 * 5 + 1;
  for (let index = 0; index < 30; index++) {
    bytes.u16(5).u8(0);
    for (let times = 0; times < 40; times++) bytes.u8(DW_MACRO.import).u32((index + 1) * unitBytes);
    bytes.u8(0);
  }
  bytes.u16(5).u8(0, 0);
  const unit = unitWith('.debug_macro', bytes.done(), [DW_AT.macros, DW_FORM.sec_offset, 0]);
  assert.throws(() => findMacro(unit, 'NOTHING'), /macros do not end/);
});

test("vendors' entries are skipped by the forms the header gives, others are an error with their place (§6.3.1)", () => {
  const header = new Bytes()
    .u16(5)
    .u8(FLAG_OPERANDS | FLAG_64)
    .u8(1)
    .u8(0xe5)
    .uleb(2)
    .u8(DW_FORM.udata, DW_FORM.string);
  const known = define(header.u8(0xe5).uleb(1000).cstring('vendor'), 1, 'AFTER 1').u8(0);
  const unit = unitWith('.debug_macro', known.done(), [DW_AT.macros, DW_FORM.sec_offset, 0]);
  assert.equal(findMacro(unit, 'AFTER')?.body, '1');
  assert.throws(
    () =>
      findMacro(
        macros((b) => b.u8(0xe6)),
        'X',
      ),
    /unsupported macro entry: DW_MACRO_<0xe6> at \.debug_macro\+0x8/,
  );
  const old = unitWith('.debug_macro', new Bytes().u16(3).u8(0, 0).done(), [
    DW_AT.macros,
    DW_FORM.sec_offset,
    0,
  ]);
  assert.throws(() => findMacro(old, 'X'), /unsupported macro version: 3/);
});

test('more macros than fit a window of the section, and one larger than it, are all read', () => {
  const unit = macros((b) => {
    enter(b, 0, 1);
    for (let line = 1; line <= 3000; line++) define(b, line, `NAME_${line} ${line}`);
    define(b, 3001, `LONG ${'x'.repeat(100_000)}`);
    return leave(define(b, 3002, 'LAST 1'));
  });
  assert.equal(findMacro(unit, 'NAME_2999')?.body, '2999');
  assert.equal(findMacro(unit, 'LONG')?.body.length, 100_000);
  assert.equal(findMacro(unit, 'LAST', at(1, 3002))?.line, 3002);
});

test('a unit without macros has none', () => {
  const unit = unitWith('.debug_macro', new Uint8Array(0), [DW_AT.language, DW_FORM.data1, 12]);
  assert.equal(hasMacros(unit), false);
  assert.equal(findMacro(unit, 'X'), undefined);
});
