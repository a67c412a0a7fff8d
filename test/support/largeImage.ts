/**
 * An ELF file whose debugging information is too large to be indexed at once: what is asked for comes after
 * a lot of padding.
 */
import { DW_AT, DW_ATE, DW_FORM, DW_LANG, DW_TAG } from '../../debug-adapter/dwarf/constants.ts';
import { DW_IDX, DW_LNE, DW_LNS } from '../../debug-adapter/dwarf/sectionConstants.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHT_NOTE, SHT_PROGBITS } from '../../vmm-core/elf/elfConstants.ts';
import { Bytes } from './bytes.ts';
import { baseType, buildLineProgram, die, DwarfBuilder } from './dwarfBuilder.ts';
import { buildElf } from './dwarfBuilderElf.ts';

export interface LargeImageOptions {
  /** In hex. */
  readonly buildId?: string;
  /** Of the entry that makes it large. */
  readonly paddingBytes?: number;
  /**
   * Whether a .debug_names lists the structure, the variable and the function, as compilers do: without the
   * enumerator.
   */
  readonly hasNameTable?: boolean;
}

export const LARGE_TEXT = 0x100000;
const TEXT_BYTES = 0x200;
const PADDING_UNIT_BYTES = 1 << 19;

const EM_X86_64 = 62;
const NT_GNU_BUILD_ID = 3;

/**
 * The last units are that of `far_main`, /src/far.c lines 10 to 12, and one of `struct far_away`, `int
 * far_counter` and the enumerator FAR_RED, which is 7.
 */
export function largeImage(options: LargeImageOptions = {}): Uint8Array {
  const { buildId, paddingBytes = 9 << 20, hasNameTable = false } = options;
  const dwarf = new DwarfBuilder();
  const units: number[] = [];
  const unit = (
    name: string,
    extra: Parameters<typeof die>[1],
    children: Parameters<typeof die>[2],
  ): void => {
    const offset = dwarf.unit(
      die(
        DW_TAG.compile_unit,
        [
          [DW_AT.name, DW_FORM.string, name],
          [DW_AT.comp_dir, DW_FORM.string, '/src'],
          [DW_AT.language, DW_FORM.data1, DW_LANG.C11],
          ...extra,
        ],
        children,
      ),
    );
    units.push(offset);
  };
  unit('near.c', [], []);
  // More units than are searched without an index.
  for (let done = 0; done < paddingBytes; done += PADDING_UNIT_BYTES) {
    const block = new Uint8Array(PADDING_UNIT_BYTES);
    unit('padding.c', [], [die(DW_TAG.constant, [[DW_AT.const_value, DW_FORM.exprloc, block]])]);
  }
  const far: Parameters<typeof die>[1] = [
    [DW_AT.stmt_list, DW_FORM.sec_offset, 0],
    [DW_AT.low_pc, DW_FORM.addr, LARGE_TEXT],
    [DW_AT.high_pc, DW_FORM.data2, TEXT_BYTES],
  ];
  unit('far.c', far, [farMain()]);
  unit('names.c', [], farNames());
  dwarf.section('.debug_line', farLines());
  if (hasNameTable) dwarf.section('.debug_names', nameTable(dwarf, units));
  const sections = [...dwarf.sections()].map(([name, bytes]) => ({ name, type: SHT_PROGBITS, bytes }));
  const text = { name: '.text', type: SHT_PROGBITS, flags: SHF_ALLOC | SHF_EXECINSTR, address: LARGE_TEXT };
  return buildElf({
    machine: EM_X86_64,
    sections: [{ ...text, bytes: new Uint8Array(TEXT_BYTES) }, ...noteSections(buildId), ...sections],
  });
}

function farMain(): ReturnType<typeof die> {
  return die(
    DW_TAG.subprogram,
    [
      [DW_AT.name, DW_FORM.string, 'far_main'],
      [DW_AT.low_pc, DW_FORM.addr, LARGE_TEXT],
      [DW_AT.high_pc, DW_FORM.data2, TEXT_BYTES],
    ],
    undefined,
    'far_main',
  );
}

function farNames(): ReturnType<typeof die>[] {
  const { name, type, byte_size, data_member_location, location, const_value } = DW_AT;
  const int = baseType('int', DW_ATE.signed, 4);
  const member = die(DW_TAG.member, [
    [name, DW_FORM.string, 'depth'],
    [type, DW_FORM.ref4, { label: 'int' }],
    [data_member_location, DW_FORM.data1, 0],
  ]);
  const struct: Parameters<typeof die>[1] = [
    [name, DW_FORM.string, 'far_away'],
    [byte_size, DW_FORM.data1, 4],
  ];
  const counter = die(
    DW_TAG.variable,
    [
      [name, DW_FORM.string, 'far_counter'],
      [type, DW_FORM.ref4, { label: 'int' }],
      [location, DW_FORM.exprloc, new Bytes().u8(0x03).u64(0x200000).done()],
    ],
    undefined,
    'far_counter',
  );
  const red = die(DW_TAG.enumerator, [
    [name, DW_FORM.string, 'FAR_RED'],
    [const_value, DW_FORM.data1, 7],
  ]);
  const colour: Parameters<typeof die>[1] = [
    [name, DW_FORM.string, 'far_colour'],
    [byte_size, DW_FORM.data1, 4],
  ];
  return [
    int,
    die(DW_TAG.structure_type, struct, [member], 'far_away'),
    counter,
    die(DW_TAG.enumeration_type, colour, [red]),
  ];
}

/** Without a hash table (§6.1.1.4.5 allows that), entries with section offsets. */
function nameTable(dwarf: DwarfBuilder, units: readonly number[]): Uint8Array {
  const tags = { far_away: DW_TAG.structure_type, far_counter: DW_TAG.variable, far_main: DW_TAG.subprogram };
  const names = Object.entries(tags);
  const abbrevs = new Bytes();
  const pool = new Bytes();
  const places = names.map(([name, tag], index) => {
    abbrevs.uleb(index + 1, tag, DW_IDX.die_offset, DW_FORM.ref_addr, 0, 0);
    const at = pool.length;
    pool
      .uleb(index + 1)
      .u32(dwarf.offsetOf(name))
      .u8(0);
    return at;
  });
  abbrevs.u8(0);
  return new Bytes()
    .sized((bytes) =>
      bytes
        .u16(5, 0)
        .u32(units.length, 0, 0, 0, names.length, abbrevs.length, 0)
        .u32(...units)
        .u32(...names.map(([name]) => dwarf.string(name)))
        .u32(...places)
        .bytes(abbrevs.done(), pool.done()),
    )
    .done();
}

function farLines(): Uint8Array {
  return buildLineProgram({
    directories: ['/src'],
    files: [{ name: 'far.c', directory: 0 }],
    program: (bytes) => {
      bytes.u8(DW_LNS.set_file).uleb(0).u8(0).uleb(9).u8(DW_LNE.set_address).u64(LARGE_TEXT);
      for (const [advance, lines] of [[0, 9] as const, [4, 1] as const, [4, 1] as const]) {
        bytes.u8(DW_LNS.advance_pc).uleb(advance).u8(DW_LNS.advance_line).sleb(lines).u8(DW_LNS.copy);
      }
      bytes
        .u8(DW_LNS.advance_pc)
        .uleb(TEXT_BYTES - 8)
        .u8(0)
        .uleb(1)
        .u8(DW_LNE.end_sequence);
    },
  });
}

function noteSections(buildId: string | undefined): { name: string; type: number; bytes: Uint8Array }[] {
  if (buildId === undefined) return [];
  const id = Buffer.from(buildId, 'hex');
  const note = new Bytes()
    .u32(4, id.length, NT_GNU_BUILD_ID)
    .bytes(new TextEncoder().encode('GNU\0'))
    .bytes(id);
  return [{ name: '.note.gnu.build-id', type: SHT_NOTE, bytes: note.done() }];
}
