import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes, mutate, seededRandom } from '../../test/support/bytes.ts';
import { type BuiltAttribute, DwarfBuilder, die, loaderOf } from '../../test/support/dwarfBuilder.ts';
import { readAranges } from './aranges.ts';
import { DW_AT, DW_FORM, DW_TAG, DW_UT, attributeName, tagName } from './constants.ts';
import type { Die } from './unit.ts';
import { DwarfError } from './dwarfError.ts';
import { DwarfFile } from './dwarfFile.ts';
import { rangesOf } from './ranges.ts';
import { Section, memorySection } from './section.ts';
import { DW_RLE } from './sectionConstants.ts';

const open = (builder: DwarfBuilder): DwarfFile =>
  new DwarfFile(builder.loader(), { littleEndian: builder.littleEndian });

const rootOf = (builder: DwarfBuilder): Die => {
  const [header] = open(builder).unitHeaders();
  assert.ok(header);
  return open(builder).unitOf(header).rootDie();
};

for (const version of [2, 3, 4, 5]) {
  for (const is64 of [false, true]) {
    test(`version ${version}, ${is64 ? 64 : 32}-bit format: unit header, root attributes, children and siblings`, () => {
      const builder = new DwarfBuilder({ version, is64, littleEndian: version % 2 === 0 });
      builder.unit(
        die(
          DW_TAG.compile_unit,
          [
            [DW_AT.name, DW_FORM.strp, 'a.c'],
            [DW_AT.comp_dir, DW_FORM.string, '/src'],
            [DW_AT.low_pc, DW_FORM.addr, 0xffffffff81000000n],
            [DW_AT.high_pc, DW_FORM.addr, 0xffffffff81000100n],
          ],
          [die(DW_TAG.base_type, [[DW_AT.byte_size, DW_FORM.data1, 4]]), die(0x4567, [])],
        ),
      );
      builder.unit(die(DW_TAG.compile_unit, [[DW_AT.name, DW_FORM.string, 'b.c']]));
      const file = open(builder);
      assert.equal(file.unitHeaders().length, 2);
      const unit = file.unitAt(0);
      assert.equal(unit.header.version, version);
      assert.equal(unit.header.is64, is64);
      assert.equal(unit.root.name, 'a.c');
      assert.equal(unit.root.compDir, '/src');
      assert.equal((unit.root.highPc ?? 0) - (unit.root.lowPc ?? 0), 0x100);
      const entry = unit.rootDie();
      const tags: string[] = [];
      for (let offset = entry.nextOffset; offset < unit.header.endOffset; offset = entry.nextOffset) {
        if (entry.moveTo(offset)) tags.push(tagName(entry.tag));
      }
      assert.deepEqual(tags, ['DW_TAG_base_type', 'DW_TAG_<0x4567>']);
      assert.equal(file.unitAt(unit.header.endOffset).root.name, 'b.c');
    });
  }
}

test('constants of every form keep sign and width', () => {
  const value = (form: number, given: number | bigint): Die =>
    rootOf(build([[DW_AT.const_value, form, given]]));
  assert.equal(value(DW_FORM.data1, 0xff).number(DW_AT.const_value), 255);
  assert.equal(value(DW_FORM.data1, 0xff).bigint(DW_AT.const_value, true), -1n);
  assert.equal(value(DW_FORM.data2, 0xfffe).bigint(DW_AT.const_value, true), -2n);
  assert.equal(value(DW_FORM.data4, 0xfffffffd).number(DW_AT.const_value), 0xfffffffd);
  assert.equal(
    value(DW_FORM.data8, 0xffff_ffff_ffff_ffffn).bigint(DW_AT.const_value),
    0xffff_ffff_ffff_ffffn,
  );
  assert.equal(value(DW_FORM.data8, 0xffff_ffff_ffff_ffffn).bigint(DW_AT.const_value, true), -1n);
  assert.equal(value(DW_FORM.sdata, -5).number(DW_AT.const_value), -5);
  assert.equal(value(DW_FORM.udata, 300).number(DW_AT.const_value), 300);
  assert.equal(value(DW_FORM.implicit_const, -7).number(DW_AT.const_value), -7);
});

test('an attribute after values of every size is found by skipping them', () => {
  const entry = rootOf(
    build([
      [DW_AT.GNU_macros, DW_FORM.sec_offset, 0],
      [DW_AT.location, DW_FORM.exprloc, Uint8Array.of(1, 2, 3)],
      [DW_AT.name, DW_FORM.string, 'skipped'],
      [DW_AT.byte_size, DW_FORM.udata, 1000],
      [DW_AT.external, DW_FORM.flag_present, true],
      [DW_AT.declaration, DW_FORM.flag, false],
      [DW_AT.decl_line, DW_FORM.data2, 77],
    ]),
  );
  assert.equal(entry.number(DW_AT.decl_line), 77);
  assert.equal(entry.flag(DW_AT.external), true);
  assert.equal(entry.flag(DW_AT.declaration), false);
  assert.equal(entry.flag(DW_AT.artificial), false);
  assert.deepEqual([...(entry.block(DW_AT.location) ?? [])], [1, 2, 3]);
  assert.equal(entry.number(DW_AT.decl_file), undefined);
});

test('references reach entries of the same unit and of another one (§7.5.5)', () => {
  const builder = new DwarfBuilder();
  builder.unit(
    die(
      DW_TAG.compile_unit,
      [],
      [
        die(
          DW_TAG.variable,
          [
            [DW_AT.type, DW_FORM.ref4, { label: 'int' }],
            [DW_AT.abstract_origin, DW_FORM.ref_addr, { label: 'far' }],
          ],
          undefined,
          'variable',
        ),
        die(DW_TAG.base_type, [[DW_AT.name, DW_FORM.string, 'int']], undefined, 'int'),
      ],
    ),
  );
  builder.unit(
    die(
      DW_TAG.compile_unit,
      [],
      [die(DW_TAG.variable, [[DW_AT.name, DW_FORM.strp, 'far']], undefined, 'far')],
    ),
  );
  const variable = open(builder).dieAt(builder.offsetOf('variable'));
  assert.equal(variable?.ref(DW_AT.type)?.string(DW_AT.name), 'int');
  assert.equal(variable?.ref(DW_AT.abstract_origin)?.string(DW_AT.name), 'far');
});

test('indexed strings and addresses count from the bases of the root entry (§7.26, §7.27)', () => {
  const builder = build([
    [DW_AT.name, DW_FORM.strx1, 1],
    [DW_AT.low_pc, DW_FORM.addrx, 1],
    [DW_AT.str_offsets_base, DW_FORM.sec_offset, 8],
    [DW_AT.addr_base, DW_FORM.sec_offset, 8],
  ]);
  const name = builder.string('indexed.c');
  builder.section('.debug_str_offsets', new Bytes().u32(12).u16(5, 0).u32(0, name).done());
  builder.section('.debug_addr', new Bytes().u32(20).u16(5).u8(8, 0).u64(0, 0x4000).done());
  const unit = open(builder).unitAt(0);
  assert.equal(unit.root.name, 'indexed.c');
  assert.equal(unit.root.lowPc, 0x4000);
});

test('range lists of version 5 have every kind of entry (§7.25)', () => {
  const builder = build([
    [DW_AT.low_pc, DW_FORM.addr, 0x1000],
    [DW_AT.ranges, DW_FORM.rnglistx, 0],
    [DW_AT.rnglists_base, DW_FORM.sec_offset, 12],
    [DW_AT.addr_base, DW_FORM.sec_offset, 8],
  ]);
  const list = new Bytes()
    .u8(DW_RLE.offset_pair)
    .uleb(0, 0x10)
    .u8(DW_RLE.base_address)
    .u64(0x2000)
    .u8(DW_RLE.offset_pair)
    .uleb(4, 4) // empty: dropped
    .u8(DW_RLE.offset_pair)
    .uleb(4, 8)
    .u8(DW_RLE.start_end)
    .u64(0x3000, 0x3010)
    .u8(DW_RLE.start_length)
    .u64(0x4000)
    .uleb(0x20)
    .u8(DW_RLE.startx_endx)
    .uleb(0, 1)
    .u8(DW_RLE.startx_length)
    .uleb(1, 5)
    .u8(DW_RLE.base_addressx)
    .uleb(1)
    .u8(DW_RLE.offset_pair)
    .uleb(0x100, 0x101)
    .u8(DW_RLE.end_of_list)
    .done();
  builder.section(
    '.debug_rnglists',
    new Bytes()
      .u32(list.length + 12)
      .u16(5)
      .u8(8, 0)
      .u32(1)
      .u32(4)
      .bytes(list)
      .done(),
  );
  builder.section('.debug_addr', new Bytes().u32(20).u16(5).u8(8, 0).u64(0x5000, 0x5100).done());
  const ranges = rangesOf(open(builder).unitAt(0).rootDie());
  assert.deepEqual(
    ranges.map(({ start, end }) => [start, end]),
    [
      [0x1000, 0x1010],
      [0x2004, 0x2008],
      [0x3000, 0x3010],
      [0x4000, 0x4020],
      [0x5000, 0x5100],
      [0x5100, 0x5105],
      [0x5200, 0x5201],
    ],
  );
});

test('range lists before version 5 count from low_pc until a base selection entry (DWARF 4 §2.17.3)', () => {
  const builder = new DwarfBuilder({ version: 4 });
  builder.unit(
    die(DW_TAG.compile_unit, [
      [DW_AT.low_pc, DW_FORM.addr, 0x1000],
      [DW_AT.ranges, DW_FORM.sec_offset, 0],
    ]),
  );
  builder.section('.debug_ranges', new Bytes().u64(0, 0x10, -1n, 0xffffffff81000000n, 1, 2, 0, 0).done());
  assert.deepEqual(rangesOf(open(builder).unitAt(0).rootDie()), [
    { start: 0x1000, end: 0x1010 },
    { start: -0x7effffff, end: -0x7efffffe },
  ]);
});

test('DW_AT_high_pc as a constant counts from low_pc (§2.17.2)', () => {
  const entry = rootOf(
    build([
      [DW_AT.low_pc, DW_FORM.addr, 0x1000],
      [DW_AT.high_pc, DW_FORM.data4, 0x30],
    ]),
  );
  assert.deepEqual(rangesOf(entry), [{ start: 0x1000, end: 0x1030 }]);
});

test('a broken unit is reported with its place and does not hide the next one', () => {
  const builder = new DwarfBuilder();
  builder.unit(die(DW_TAG.compile_unit, []));
  const second = builder.unit(die(DW_TAG.compile_unit, [[DW_AT.name, DW_FORM.string, 'good.c']]));
  const sections = builder.sections();
  sections.get('.debug_info')?.set([99, 0], 4); // version
  const problems: string[] = [];
  const file = new DwarfFile(loaderOf(sections), {
    littleEndian: true,
    onProblem: ({ message }) => problems.push(message),
  });
  assert.deepEqual(
    file.unitHeaders().map(({ offset }) => offset),
    [second],
  );
  assert.deepEqual(problems, ['unsupported DWARF version: 99 at .debug_info+0x6']);
});

test('type units are found by their signature (§3.1.4)', () => {
  const builder = new DwarfBuilder();
  const header = new Bytes().u64(0x1122334455667788n).u32(25).done();
  builder.unit(
    die(DW_TAG.type_unit, [], [die(DW_TAG.structure_type, [[DW_AT.name, DW_FORM.string, 'S']])]),
    DW_UT.type,
    header,
  );
  builder.unit(
    die(
      DW_TAG.compile_unit,
      [],
      [die(DW_TAG.variable, [[DW_AT.type, DW_FORM.ref_sig8, 0x1122334455667788n]], undefined, 'v')],
    ),
  );
  assert.equal(open(builder).dieAt(builder.offsetOf('v'))?.ref(DW_AT.type)?.string(DW_AT.name), 'S');
});

test('address range sets align their tuples to the tuple size (§6.1.2)', () => {
  const set = new Bytes()
    .u32(44)
    .u16(2)
    .u32(0x77)
    .u8(8, 0)
    .u32(0)
    .u64(0xffffffff81000000n, 0x100, 0, 0)
    .done();
  const section = new Section('.debug_aranges', memorySection(set), true);
  assert.deepEqual(readAranges(section, assert.fail), [
    { start: -0x7f000000, end: -0x7effff00, unitOffset: 0x77 },
  ]);
});

test('unknown values have a name too', () => {
  assert.equal(attributeName(DW_AT.low_pc), 'DW_AT_low_pc');
  assert.equal(attributeName(0x3abc), 'DW_AT_<0x3abc>');
});

test('mutated units end in entries or in a DwarfError', () => {
  const builder = build([
    [DW_AT.name, DW_FORM.strp, 'fuzz.c'],
    [DW_AT.ranges, DW_FORM.sec_offset, 0],
  ]);
  builder.section('.debug_rnglists', new Bytes().u8(DW_RLE.start_length).u64(0x10).uleb(5).u8(0).done());
  const seed = builder.sections();
  const random = seededRandom(3);
  let broken = 0;
  for (let round = 0; round < 6000; round++) {
    const sections = new Map(seed);
    const names = [...sections.keys()];
    const name = names[Math.floor(random() * names.length)] as string;
    sections.set(name, mutate(sections.get(name) as Uint8Array, random));
    try {
      visitAll(new DwarfFile(loaderOf(sections), { littleEndian: true }));
    } catch (error) {
      assert.ok(error instanceof DwarfError, `round ${round}: ${String(error)}`);
      broken++;
    }
  }
  assert.ok(broken > 100, `${broken} broken`);
});

function visitAll(file: DwarfFile): void {
  for (const header of file.unitHeaders()) {
    const unit = file.unitOf(header);
    const entry = unit.rootDie();
    let offset = header.entriesOffset;
    let steps = 0;
    while (offset < header.endOffset && steps++ < 1000) {
      if (entry.moveTo(offset)) {
        rangesOf(entry);
        for (const { name } of entry.attributes) {
          entry.number(name);
          entry.bigint(name);
          entry.block(name);
          entry.ref(name);
          entry.flag(name);
        }
        entry.string(DW_AT.name);
      }
      offset = entry.nextOffset;
    }
    assert.ok(steps <= 1000, 'walking ends');
  }
}

function build(attributes: readonly BuiltAttribute[]): DwarfBuilder {
  const builder = new DwarfBuilder();
  builder.unit(
    die(DW_TAG.compile_unit, attributes, [die(DW_TAG.base_type, [[DW_AT.name, DW_FORM.string, 'int']])]),
  );
  return builder;
}
