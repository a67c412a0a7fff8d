/**
 * What the fuzz tests of the DWARF reader run: a good file for each section, and everything that can be asked
 * of it.
 */
import { readAranges } from '../../debug-adapter/dwarf/aranges.ts';
import { FrameTable } from '../../debug-adapter/dwarf/cfi.ts';
import { DW_AT, DW_ATE, DW_FORM, DW_TAG, DW_UT } from '../../debug-adapter/dwarf/constants.ts';
import { DwarfError } from '../../debug-adapter/dwarf/dwarfError.ts';
import { DwarfFile } from '../../debug-adapter/dwarf/dwarfFile.ts';
import { EhFrameHeader } from '../../debug-adapter/dwarf/ehFrameHeader.ts';
import {
  type ExpressionContext,
  evaluateLocation,
  evaluateValue,
} from '../../debug-adapter/dwarf/expression.ts';
import { describeExpression } from '../../debug-adapter/dwarf/expressionText.ts';
import { runLineProgram } from '../../debug-adapter/dwarf/line.ts';
import { readLineHeader } from '../../debug-adapter/dwarf/lineHeader.ts';
import { expressionAt } from '../../debug-adapter/dwarf/locationLists.ts';
import { findMacro, macroLineOffset } from '../../debug-adapter/dwarf/macro.ts';
import { DW_OP } from '../../debug-adapter/dwarf/operators.ts';
import { OrcTable } from '../../debug-adapter/dwarf/orc.ts';
import { PackageIndex } from '../../debug-adapter/dwarf/packageIndex.ts';
import { rangesOf } from '../../debug-adapter/dwarf/ranges.ts';
import { Section, memorySection } from '../../debug-adapter/dwarf/section.ts';
import {
  DW_CFA,
  DW_EH_PE,
  DW_LLE,
  DW_LNE,
  DW_LNS,
  DW_MACRO,
  DW_RLE,
  DW_SECT,
} from '../../debug-adapter/dwarf/sectionConstants.ts';
import { applyFrameRow } from '../../debug-adapter/dwarf/unwind.ts';
import { Bytes } from './bytes.ts';
import { DwarfBuilder, buildLineProgram, die, loaderOf } from './dwarfBuilder.ts';
import type { FuzzTarget, Sections } from './fuzz.ts';
import { openSupplemented, withSupplement } from './supplementFuzz.ts';

const isTyped = (error: unknown): boolean => error instanceof DwarfError;

/** Addresses the good files cover, and neighbouring ones. */
const ADDRESSES = [0x0fff, 0x1000, 0x1008, 0x10ff, 0x2000, -0x7f000000];

export function dwarfTargets(): readonly FuzzTarget[] {
  return [
    {
      name: '.debug_info',
      seeds: [4, 5].flatMap((version) => [false, true].map((is64) => units(version, is64))),
      run: askUnits,
      isTyped,
    },
    { name: 'supplementary files', seeds: [withSupplement()], run: askSupplement, isTyped },
    { name: '.debug_line', seeds: [2, 3, 4, 5].map(lineProgram), run: askLines, isTyped },
    { name: '.debug_aranges', seeds: [new Map([['.debug_aranges', aranges()]])], run: askAranges, isTyped },
    {
      name: '.debug_frame',
      seeds: [1, 3, 4].map((version) => new Map([['.debug_frame', debugFrame(version)]])),
      run: askFrames,
      isTyped,
    },
    { name: '.eh_frame', seeds: [ehFrame()], run: askEhFrames, isTyped },
    { name: '.debug_macro', seeds: [macros()], run: askMacros, isTyped },
    { name: '.debug_macinfo', seeds: [macinfo()], run: askMacros, isTyped },
    { name: '.debug_cu_index', seeds: [2, 5].map(packageIndex), run: askPackage, isTyped },
    { name: '.orc_unwind', seeds: [orc()], run: askOrc, isTyped },
    { name: 'expressions', seeds: expressions(), run: askExpression, isTyped },
  ];
}

/** Two units that use most forms, lists and indexes. */
function units(version: number, is64: boolean): Sections {
  const builder = new DwarfBuilder({ version, is64 });
  const base = is64 ? 16 : 8;
  const name = builder.string('indexed');
  const children = [
    die(
      DW_TAG.base_type,
      [
        [DW_AT.name, DW_FORM.strp, 'int'],
        [DW_AT.byte_size, DW_FORM.data1, 4],
        [DW_AT.encoding, DW_FORM.data1, DW_ATE.signed],
      ],
      undefined,
      'int',
    ),
    die(
      DW_TAG.subprogram,
      [
        [DW_AT.name, DW_FORM.string, 'main'],
        [DW_AT.low_pc, DW_FORM.addr, 0x1000],
        [DW_AT.high_pc, DW_FORM.data4, 0x100],
        [DW_AT.frame_base, DW_FORM.exprloc, Uint8Array.of(DW_OP.call_frame_cfa)],
        [DW_AT.external, DW_FORM.flag_present, true],
      ],
      [
        die(
          DW_TAG.variable,
          [
            [DW_AT.location, DW_FORM.sec_offset, 0],
            [DW_AT.type, DW_FORM.ref4, { label: 'int' }],
            [DW_AT.decl_line, DW_FORM.udata, 300],
          ],
          undefined,
          'variable',
        ),
        die(DW_TAG.variable, [
          [DW_AT.location, DW_FORM.exprloc, Uint8Array.of(DW_OP.fbreg, 0x70)],
          [DW_AT.const_value, DW_FORM.sdata, -5],
        ]),
        die(DW_TAG.lexical_block, [[DW_AT.ranges, DW_FORM.sec_offset, 0]]),
      ],
    ),
  ];
  const indexed =
    version < 5
      ? []
      : ([
          [DW_AT.producer, DW_FORM.strx1, 0],
          [DW_AT.str_offsets_base, DW_FORM.sec_offset, base],
          [DW_AT.addr_base, DW_FORM.sec_offset, base],
          [DW_AT.rnglists_base, DW_FORM.sec_offset, is64 ? 20 : 12],
        ] as const);
  builder.unit(
    die(
      DW_TAG.compile_unit,
      [[DW_AT.name, DW_FORM.strp, 'a.c'], [DW_AT.low_pc, DW_FORM.addr, 0x1000], ...indexed],
      children,
    ),
  );
  builder.unit(die(DW_TAG.compile_unit, [[DW_AT.abstract_origin, DW_FORM.ref_addr, { label: 'variable' }]]));
  if (version >= 5)
    builder.unit(
      die(DW_TAG.type_unit, [], [die(DW_TAG.structure_type, [[DW_AT.name, DW_FORM.string, 'S']])]),
      DW_UT.type,
      new Bytes()
        .u64(0x1234)
        .word(is64 ? 8 : 4, 30)
        .done(),
    );
  builder.section(
    '.debug_str_offsets',
    new Bytes()
      .padTo(base)
      .word(is64 ? 8 : 4, name)
      .done(),
  );
  builder.section('.debug_addr', new Bytes().padTo(base).u64(0x1000, 0x2000).done());
  builder.section(
    '.debug_rnglists',
    new Bytes()
      .u8(DW_RLE.offset_pair)
      .uleb(0, 0x10)
      .u8(DW_RLE.startx_length)
      .uleb(1, 8)
      .u8(DW_RLE.base_address)
      .u64(0x2000)
      .u8(DW_RLE.offset_pair)
      .uleb(1, 2)
      .u8(0)
      .done(),
  );
  builder.section('.debug_ranges', new Bytes().u64(0, 0x10, -1n, 0x2000, 1, 2, 0, 0).done());
  const expression = Uint8Array.of(DW_OP.reg0 + 3);
  builder.section(
    '.debug_loclists',
    new Bytes()
      .u8(DW_LLE.offset_pair)
      .uleb(0, 0x10, 1)
      .bytes(expression)
      .u8(DW_LLE.start_length)
      .u64(0x1080)
      .uleb(8, 1)
      .bytes(expression)
      .u8(0)
      .done(),
  );
  builder.section('.debug_loc', new Bytes().u64(0, 0x10).u16(1).bytes(expression).u64(0, 0).done());
  return builder.sections();
}

function askUnits(sections: Sections): void {
  askUnitsOf(new DwarfFile(loaderOf(sections), { littleEndian: true }));
}

function askUnitsOf(file: DwarfFile): void {
  for (const header of file.unitHeaders()) {
    const unit = file.unitOf(header);
    void unit.root;
    if (header.typeSignature !== undefined) file.typeBySignature(header.typeSignature);
    const entry = unit.rootDie();
    for (let offset = header.entriesOffset; offset < header.endOffset; offset = entry.nextOffset) {
      if (!entry.moveTo(offset)) continue;
      void entry.siblingOffset;
      for (const { name } of entry.attributes) {
        entry.number(name);
        entry.bigint(name, true);
        entry.block(name);
        entry.flag(name);
        entry.ref(name)?.ref(name);
      }
      rangesOf(entry);
      expressionAt(entry, DW_AT.location, 0x1004);
      entry.string(DW_AT.name);
      entry.string(DW_AT.producer);
    }
  }
}

function askSupplement(sections: Sections): void {
  const file = openSupplemented(sections);
  const { supplement, imports } = file;
  if (supplement !== undefined) askUnitsOf(supplement);
  for (const header of supplement?.unitHeaders() ?? []) {
    const unit = supplement?.unitOf(header);
    if (unit !== undefined) imports.compileUnitOf(unit);
  }
  for (const header of file.unitHeaders()) imports.of(file.unitOf(header));
  askUnitsOf(file);
}

function lineProgram(version: number): Sections {
  const program = (bytes: Bytes): void => {
    bytes.u8(0).uleb(9).u8(DW_LNE.set_address).u64(0x1000);
    bytes.u8(0).uleb(2).u8(DW_LNE.set_discriminator, 3);
    for (let opcode = 13; opcode < 60; opcode++) bytes.u8(opcode);
    bytes
      .u8(DW_LNS.advance_line)
      .sleb(-3)
      .u8(DW_LNS.set_file)
      .uleb(1)
      .u8(DW_LNS.fixed_advance_pc)
      .u16(8)
      .u8(DW_LNS.copy);
    bytes.u8(DW_LNS.advance_pc).uleb(4).u8(0).uleb(1).u8(DW_LNE.end_sequence);
  };
  return new Map([
    [
      '.debug_line',
      buildLineProgram({
        version,
        program,
        directories: ['/src', 'inc'],
        files: [
          { name: 'a.c', directory: 0 },
          { name: 'b.h', directory: 1 },
        ],
      }),
    ],
  ]);
}

function askLines(sections: Sections): void {
  const section = sectionOf(sections, '.debug_line');
  const header = readLineHeader(section, 0, 8);
  const rows = runLineProgram(header);
  if (rows.count > section.sizeBytes) throw new Error(`${rows.count} rows from ${section.sizeBytes} bytes`);
  for (let file = 0; file < header.files.length; file++)
    header.directories.name(header.files.directory(file));
  if (rows.problem !== undefined) throw rows.problem;
}

function aranges(): Uint8Array {
  const set = (start: number): Bytes => new Bytes().u16(2).u32(0).u8(8, 0).u32(0).u64(start, 0x100, 0, 0);
  return new Bytes()
    .sized((it) => it.bytes(set(0x1000).done()))
    .sized((it) => it.bytes(set(0x2000).done()))
    .done();
}

function askAranges(sections: Sections): void {
  const problems: DwarfError[] = [];
  readAranges(sectionOf(sections, '.debug_aranges'), (problem) => problems.push(problem));
  if (problems[0] !== undefined) throw problems[0];
}

function frameInstructions(out: Bytes): Bytes {
  return out
    .u8(DW_CFA.advance_loc | 1, DW_CFA.def_cfa_offset, 16, DW_CFA.offset | 6, 2, DW_CFA.remember_state)
    .u8(
      DW_CFA.advance_loc1,
      4,
      DW_CFA.restore_state,
      DW_CFA.restore | 6,
      DW_CFA.def_cfa_expression,
      2,
      DW_OP.breg0 + 7,
      8,
    )
    .u8(
      DW_CFA.advance_loc1,
      4,
      DW_CFA.expression,
      3,
      2,
      DW_OP.lit0,
      DW_OP.plus,
      DW_CFA.def_cfa,
      7,
      8,
      DW_CFA.nop,
    );
}

function debugFrame(version: number): Uint8Array {
  const cie = new Bytes().u32(0xffffffff).u8(version).cstring('');
  if (version === 4) cie.u8(8, 0);
  cie
    .uleb(1)
    .sleb(-8)
    .u8(16)
    .u8(DW_CFA.def_cfa, 7, 8, DW_CFA.offset | 16, 1)
    .align(4);
  const out = new Bytes().u32(cie.length).bytes(cie.done());
  return out.sized((fde) => frameInstructions(fde.u32(0).u64(0x1000, 0x100)).align(4)).done();
}

async function askFrames(sections: Sections): Promise<void> {
  await askTable(new FrameTable(sectionOf(sections, '.debug_frame'), { ...FRAME_OPTIONS, isEhFrame: false }));
}

const EH_FRAME = 0x3000;
const EH_FRAME_HDR = 0x2f00;
const FRAME_OPTIONS = {
  addressSize: 8,
  bases: { section: EH_FRAME },
  onProblem: (problem: DwarfError): void => {
    throw problem;
  },
};

function ehFrame(): Sections {
  const cie = new Bytes().u32(0).u8(1).cstring('zPLR').uleb(1).sleb(-8).u8(16);
  cie.uleb(7).u8(DW_EH_PE.udata4).u32(0).u8(0x1b, 0x1b).u8(DW_CFA.def_cfa, 7, 8).align(4);
  const out = new Bytes().u32(cie.length).bytes(cie.done());
  const fde = out.length;
  out
    .sized((it) =>
      frameInstructions(
        it
          .u32(fde + 4)
          .u32(0x1000 - (EH_FRAME + fde + 8), 0x100)
          .uleb(4)
          .u32(0),
      ).align(4),
    )
    .u32(0);
  const header = new Bytes().u8(1, 0x1b, DW_EH_PE.udata4, 0x3b).u32(EH_FRAME - EH_FRAME_HDR - 4, 1);
  header.u32(0x1000 - EH_FRAME_HDR, EH_FRAME + fde - EH_FRAME_HDR);
  return new Map([
    ['.eh_frame', out.done()],
    ['.eh_frame_hdr', header.done()],
  ]);
}

async function askEhFrames(sections: Sections): Promise<void> {
  const problems: DwarfError[] = [];
  const header = new EhFrameHeader(sectionOf(sections, '.eh_frame_hdr'), EH_FRAME_HDR, 8);
  const options = {
    ...FRAME_OPTIONS,
    isEhFrame: true,
    onProblem: (problem: DwarfError) => problems.push(problem),
  };
  await askTable(new FrameTable(sectionOf(sections, '.eh_frame'), { ...options, header }));
  await askTable(new FrameTable(sectionOf(sections, '.eh_frame'), options));
  if (problems[0] !== undefined) throw problems[0];
}

async function askTable(table: { rowAt(address: number): ReturnType<FrameTable['rowAt']> }): Promise<void> {
  for (const address of ADDRESSES) {
    const row = table.rowAt(address);
    const options = { stackPointer: 7, registerNumbers: [3, 6, 7, 16], keeps: (): boolean => true };
    if (row !== undefined) await applyFrameRow(row, CONTEXT, options);
  }
}

function macros(): Sections {
  const builder = new DwarfBuilder();
  const text = builder.string('STRP 1');
  builder.unit(
    die(DW_TAG.compile_unit, [
      [DW_AT.macros, DW_FORM.sec_offset, 0],
      [DW_AT.str_offsets_base, DW_FORM.sec_offset, 8],
    ]),
  );
  const out = new Bytes().u16(5).u8(6).u32(0).u8(1, 0xe5, 2, DW_FORM.udata, DW_FORM.string);
  out
    .u8(DW_MACRO.start_file)
    .uleb(0, 1)
    .u8(DW_MACRO.define)
    .uleb(1)
    .cstring('A 1')
    .u8(DW_MACRO.undef)
    .uleb(9)
    .cstring('A');
  out
    .u8(DW_MACRO.define_strp)
    .uleb(2)
    .u32(text)
    .u8(DW_MACRO.define_strx)
    .uleb(3)
    .uleb(0)
    .u8(0xe5)
    .uleb(5)
    .cstring('x');
  out.u8(DW_MACRO.import).u32(0).u8(DW_MACRO.define_sup).uleb(1).u32(0).u8(DW_MACRO.end_file, 0);
  builder.section('.debug_macro', out.done());
  builder.section('.debug_str_offsets', new Bytes().u32(8).u16(5, 0).u32(text).done());
  return builder.sections();
}

function macinfo(): Sections {
  const builder = new DwarfBuilder({ version: 4 });
  builder.unit(die(DW_TAG.compile_unit, [[DW_AT.macro_info, DW_FORM.sec_offset, 0]]));
  const out = new Bytes()
    .u8(3)
    .uleb(0, 1)
    .u8(1)
    .uleb(1)
    .cstring('A 1')
    .u8(2)
    .uleb(9)
    .cstring('A')
    .u8(0xff)
    .uleb(1)
    .cstring('v')
    .u8(4, 0);
  builder.section('.debug_macinfo', out.done());
  return builder.sections();
}

function askMacros(sections: Sections): void {
  const file = new DwarfFile(loaderOf(sections), { littleEndian: true });
  for (const header of file.unitHeaders()) {
    const unit = file.unitOf(header);
    macroLineOffset(unit);
    for (const name of ['A', 'STRP', 'NOTHING']) findMacro(unit, name, { line: 5, isFile: (it) => it === 1 });
  }
}

function packageIndex(version: number): Sections {
  const out = new Bytes();
  if (version === 2) out.u32(2);
  else out.u16(version, 0);
  out
    .u32(2, 2, 4)
    .u64(0, 0x11, 0, 0x33)
    .u32(0, 1, 0, 2)
    .u32(DW_SECT.INFO, DW_SECT.ABBREV)
    .u32(0, 0, 0x40, 0x10, 0x40, 0x10, 0x30, 0x8);
  return new Map([['.debug_cu_index', out.done()]]);
}

function askPackage(sections: Sections): void {
  const index = new PackageIndex(sectionOf(sections, '.debug_cu_index'));
  for (const signature of [0n, 0x11n, 0x33n, 0xffff_ffff_ffff_ffffn]) index.find(signature);
}

function orc(): Sections {
  const ip = new Bytes().u32(0x1000, 0x1010 - 4, 0x1020 - 8);
  return new Map([
    ['.orc_unwind_ip', ip.done()],
    ['.orc_unwind', new Bytes().u16(8, 0, 5, 16, 0xfff0, 0x15, 0, 0, 0x0105).done()],
    ['.orc_header', new Bytes().padTo(20).done()],
  ]);
}

async function askOrc(sections: Sections): Promise<void> {
  for (const isSorted of [true, false]) {
    const [ip, entries, header] = ['.orc_unwind_ip', '.orc_unwind', '.orc_header'].map((name) =>
      sectionOf(sections, name),
    );
    if (ip === undefined || entries === undefined) return;
    await askTable(new OrcTable({ ip, ipAddress: 0, entries, header, isSorted }));
  }
}

/** Expressions that together have every kind of operator. */
function expressions(): Sections[] {
  const all = [
    new Bytes().u8(DW_OP.fbreg, 0x70, DW_OP.deref, DW_OP.plus_uconst, 8, DW_OP.deref_size, 4),
    new Bytes()
      .u8(DW_OP.const8u)
      .u64(-1n)
      .u8(DW_OP.const1s, 0x80, DW_OP.consts)
      .sleb(-1000)
      .u8(DW_OP.mul, DW_OP.div, DW_OP.stack_value),
    new Bytes()
      .u8(DW_OP.lit0 + 5, DW_OP.dup, DW_OP.bra)
      .u16(3)
      .u8(DW_OP.skip)
      .u16(-6 & 0xffff)
      .u8(DW_OP.nop),
    new Bytes().u8(
      DW_OP.reg0,
      DW_OP.piece,
      4,
      DW_OP.implicit_value,
      2,
      1,
      2,
      DW_OP.bit_piece,
      16,
      3,
      DW_OP.piece,
      1,
    ),
    new Bytes()
      .u8(DW_OP.const_type, 1, 8)
      .u64(0x3fe0000000000000n)
      .u8(DW_OP.regval_type, 3, 1, DW_OP.plus, DW_OP.convert, 2, DW_OP.reinterpret, 0),
    new Bytes()
      .u8(DW_OP.entry_value, 1, DW_OP.reg0 + 5, DW_OP.call2)
      .u16(9)
      .u8(DW_OP.call4)
      .u32(9)
      .u8(DW_OP.implicit_pointer)
      .u32(1)
      .sleb(-1),
    new Bytes()
      .u8(DW_OP.addr)
      .u64(0x1000)
      .u8(
        DW_OP.addrx,
        1,
        DW_OP.constx,
        1,
        DW_OP.rot,
        DW_OP.swap,
        DW_OP.over,
        DW_OP.pick,
        1,
        DW_OP.shl,
        DW_OP.shra,
        DW_OP.xor,
        DW_OP.lt,
      ),
    new Bytes().u8(
      DW_OP.lit0 + 1,
      DW_OP.GNU_push_tls_address,
      DW_OP.push_object_address,
      DW_OP.call_frame_cfa,
      DW_OP.mod,
      DW_OP.neg,
      DW_OP.abs,
      DW_OP.not,
    ),
  ];
  return all.map((bytes) => new Map([['expression', bytes.done()]]));
}

const DOUBLE = { encoding: DW_ATE.float, sizeBytes: 8, isGeneric: false };
const INT = { encoding: DW_ATE.signed, sizeBytes: 4, isGeneric: false };

const CONTEXT: ExpressionContext = {
  addressSize: 8,
  littleEndian: true,
  is64: false,
  version: 5,
  relocate: (address) => address,
  register: (register) => (register < 17 ? BigInt(0x100 + register) : undefined),
  memory: async (address, lengthBytes) => (address < 0x1_0000n ? new Uint8Array(lengthBytes) : undefined),
  frameBase: async () => 0x5000n,
  callFrameCfa: async () => 0x6000n,
  tlsAddress: async (offset) => offset,
  objectAddress: () => 0x7000n,
  indexedAddress: (index) => BigInt(index),
  baseType: (offset) => (offset === 1 ? DOUBLE : offset === 2 ? INT : undefined),
  // Calls itself: a cycle must end.
  calledExpression: (offset) =>
    offset === 9
      ? Uint8Array.of(DW_OP.nop)
      : offset < 64
        ? new Bytes().u8(DW_OP.call2).u16(offset).done()
        : undefined,
  entryValue: async () => ({ type: INT, bits: 7n }),
};

async function askExpression(sections: Sections): Promise<void> {
  const expression = sections.get('expression') as Uint8Array;
  describeExpression(expression, {
    littleEndian: true,
    addressSize: 8,
    registerName: (register) => `r${register}`,
  });
  await evaluateValue(expression, CONTEXT, [0x1000n]).catch(onlyTyped);
  await evaluateLocation(expression, CONTEXT);
}

/** The other way of evaluating decides whether the round counts as refused. */
function onlyTyped(error: unknown): void {
  if (!isTyped(error)) throw error;
}

function sectionOf(sections: Sections, name: string): Section {
  return new Section(name, memorySection(sections.get(name) ?? new Uint8Array(0)), true);
}
