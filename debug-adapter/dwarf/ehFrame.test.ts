import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from '../../test/support/bytes.ts';
import { FrameTable } from './cfi.ts';
import type { DwarfError } from './dwarfError.ts';
import { EhFrameHeader } from './ehFrameHeader.ts';
import { Section, memorySection } from './section.ts';
import { DW_CFA, DW_EH_PE } from './sectionConstants.ts';

const EH_FRAME = 0x402000;
const EH_FRAME_HDR = 0x401f00;
const PERSONALITY = 0x77;

interface Recipe {
  readonly augmentation?: string;
  readonly encoding?: number;
  readonly littleEndian?: boolean;
  readonly addressSize?: number;
  readonly is64?: boolean;
  /** Address, size and the CFA offset that distinguishes the entries. */
  readonly functions: readonly (readonly [start: number, size: number, cfaOffset: number])[];
}

interface Built {
  readonly bytes: Uint8Array;
  readonly fdeOffsets: readonly number[];
}

function entry(out: Bytes, is64: boolean, body: Bytes): void {
  if (is64) out.u32(0xffffffff).u64(body.length);
  else out.u32(body.length);
  out.bytes(body.done());
}

/** A CIE with every letter of `augmentation`, and an FDE for each function. */
function ehFrame(recipe: Recipe): Built {
  const { augmentation = 'zR', littleEndian = true, addressSize = 8, is64 = false, functions } = recipe;
  const { encoding = DW_EH_PE.pcrel | DW_EH_PE.sdata4 } = recipe;
  const out = new Bytes(littleEndian);
  const offsetSize = is64 ? 8 : 4;
  const lengthBytes = is64 ? 12 : 4;
  const data = new Bytes(littleEndian);
  for (const letter of augmentation.slice(1)) {
    if (letter === 'R') data.u8(encoding);
    if (letter === 'L') data.u8(DW_EH_PE.pcrel | DW_EH_PE.sdata4);
    if (letter === 'P') data.u8(DW_EH_PE.udata4).u32(PERSONALITY);
  }
  const cie = new Bytes(littleEndian).word(offsetSize, 0).u8(1).cstring(augmentation).uleb(1).sleb(-8).u8(16);
  cie.uleb(data.length).bytes(data.done()).u8(DW_CFA.def_cfa, 7, 8).align(4);
  entry(out, is64, cie);
  const fdeOffsets: number[] = [];
  for (const [start, size, cfaOffset] of functions) {
    const fdeStart = out.length;
    fdeOffsets.push(fdeStart);
    const place = EH_FRAME + fdeStart + lengthBytes + offsetSize;
    const relative = (encoding & 0x70) === DW_EH_PE.pcrel ? start - place : start;
    const bytes =
      (encoding & 0x0f) === DW_EH_PE.absptr
        ? addressSize
        : (encoding & 0x03) === 2
          ? 2
          : (encoding & 0x07) === 4
            ? 8
            : 4;
    const fde = new Bytes(littleEndian)
      .word(offsetSize, fdeStart + lengthBytes)
      .word(bytes, relative)
      .word(bytes, size);
    if (augmentation.includes('L')) fde.uleb(4).u32(0x1234);
    else fde.uleb(0);
    entry(out, is64, fde.u8(DW_CFA.def_cfa_offset).uleb(cfaOffset).align(4));
  }
  return { bytes: out.u32(0).done(), fdeOffsets };
}

/** The usual encodings: eh_frame_ptr pcrel sdata4, count udata4, table datarel sdata4. */
function header(
  entries: readonly (readonly [start: number, fdeOffset: number])[],
  tableEncoding = 0x3b,
): Uint8Array {
  const out = new Bytes().u8(1, 0x1b, DW_EH_PE.udata4, tableEncoding).u32(EH_FRAME - EH_FRAME_HDR - 4);
  out.u32(entries.length);
  for (const [start, fde] of entries) out.u32(start - EH_FRAME_HDR, EH_FRAME + fde - EH_FRAME_HDR);
  return out.done();
}

function open(
  { bytes }: Built,
  options: { littleEndian?: boolean; addressSize?: number; header?: Uint8Array } = {},
): { table: FrameTable; problems: string[]; read: number[] } {
  const problems: string[] = [];
  const read: number[] = [];
  const { littleEndian = true, addressSize = 8 } = options;
  const data = memorySection(bytes);
  const counted = {
    sizeBytes: data.sizeBytes,
    read: (offset: number, lengthBytes: number): Uint8Array => {
      read.push(offset);
      return data.read(offset, lengthBytes);
    },
  };
  const index = options.header && new Section('.eh_frame_hdr', memorySection(options.header), littleEndian);
  const table = new FrameTable(new Section('.eh_frame', counted, littleEndian), {
    isEhFrame: true,
    addressSize,
    bases: { section: EH_FRAME },
    header: index && new EhFrameHeader(index, EH_FRAME_HDR, addressSize),
    onProblem: (problem: DwarfError) => problems.push(problem.message),
  });
  return { table, problems, read };
}

function cfaOffset(table: FrameTable, address: number): number | undefined {
  const cfa = table.rowAt(address)?.cfa;
  return cfa?.kind === 'register' ? cfa.offset : undefined;
}

const FUNCTIONS: Recipe['functions'] = [
  [0x401000, 0x100, 16],
  [0x401100, 0x80, 32],
  [0x401200, 0x10, 48],
];

test('entries have their addresses in every encoding that needs no running program (LSB §10.5.1)', () => {
  const { absptr, udata2, udata4, udata8, sdata4, sdata8, pcrel } = DW_EH_PE;
  for (const encoding of [
    absptr,
    udata4,
    udata8,
    sdata4,
    sdata8,
    pcrel | sdata4,
    pcrel | sdata8,
    pcrel | absptr,
  ]) {
    const { table, problems } = open(ehFrame({ encoding, functions: FUNCTIONS }));
    assert.equal(cfaOffset(table, 0x40117f), 32, `encoding 0x${encoding.toString(16)}`);
    assert.equal(cfaOffset(table, 0x401180), undefined);
    assert.deepEqual(problems, []);
  }
  const small = open(ehFrame({ encoding: udata2, functions: [[0x8000, 0x10, 24]] }));
  assert.equal(cfaOffset(small.table, 0x8008), 24);
});

test('an encoding that only the running program can follow is a problem of its entry (LSB §10.5.1)', () => {
  const { table, problems } = open(
    ehFrame({ encoding: DW_EH_PE.funcrel | DW_EH_PE.sdata4, functions: FUNCTIONS }),
  );
  assert.equal(table.rowAt(0x401000), undefined);
  assert.match(problems[0] ?? '', /unsupported pointer encoding: 0x4b at \.eh_frame\+0x/);
});

test('augmentations for exceptions, signals and signed return addresses are passed over (LSB §10.6.1.1.1)', () => {
  for (const augmentation of ['zR', 'zPLR', 'zRS', 'zPLRS', 'zRB', 'zRG']) {
    const { table, problems } = open(ehFrame({ augmentation, functions: FUNCTIONS }));
    assert.equal(cfaOffset(table, 0x401205), 48, augmentation);
    assert.equal(table.rowAt(0x401205)?.isSignalFrame, augmentation.includes('S'), augmentation);
    assert.deepEqual(problems, []);
  }
});

for (const littleEndian of [true, false]) {
  for (const is64 of [true, false]) {
    test(`${littleEndian ? 'little' : 'big'} endian, ${is64 ? 64 : 32}-bit format: entries find their CIE`, () => {
      const { table, problems } = open(ehFrame({ littleEndian, is64, functions: FUNCTIONS }), {
        littleEndian,
      });
      assert.deepEqual(
        [0x401000, 0x401100, 0x401200].map((at) => cfaOffset(table, at)),
        [16, 32, 48],
      );
      assert.deepEqual(problems, []);
    });
  }
}

test('relative addresses of 32-bit code wrap at 4 GiB', () => {
  const kernel = ehFrame({ addressSize: 4, functions: [[0xc0100000, 0x10, 12]] });
  assert.equal(cfaOffset(open(kernel, { addressSize: 4 }).table, 0xc0100004), 12);
});

test('the header leads to one entry, and no other is read (LSB §10.6.2)', () => {
  const functions = Array.from({ length: 500 }, (_, at) => [0x401000 + 0x20 * at, 0x10, 8 + 8 * at] as const);
  const built = ehFrame({ functions });
  const index = header(functions.map(([start], at) => [start, built.fdeOffsets[at] as number]));
  const { table, problems, read } = open(built, { header: index });
  assert.equal(cfaOffset(table, 0x401000 + 0x20 * 321 + 0xf), 8 + 8 * 321);
  const place = built.fdeOffsets[321] as number;
  assert.ok(
    read.every((offset) => offset === 0 || offset === place),
    `read at ${read.join()}`,
  );
  assert.equal(cfaOffset(table, 0x401000 + 0x20 * 321 + 0x10), undefined, 'between two functions');
  assert.equal(cfaOffset(table, 0x400000), undefined, 'before all of them');
  assert.deepEqual(problems, []);
});

test('without a table in the header, or with one that leads astray, all entries are read', () => {
  const built = ehFrame({ functions: FUNCTIONS });
  const withoutTable = open(built, {
    header: Uint8Array.of(1, 0x1b, DW_EH_PE.omit, DW_EH_PE.omit, 0, 0, 0, 0),
  });
  assert.equal(cfaOffset(withoutTable.table, 0x401100), 32);
  assert.deepEqual(withoutTable.problems, []);
  const tooLong = header([]).slice();
  new DataView(tooLong.buffer).setUint32(8, 0x7fffffff, true);
  assert.equal(cfaOffset(open(built, { header: tooLong }).table, 0x401100), 32);
  // From another build: the places it names are not entries.
  const stale = open(built, { header: header([[0x401000, 0x4000]]) });
  assert.equal(cfaOffset(stale.table, 0x401100), 32);
  assert.equal(stale.problems.length, 1);
  assert.equal(cfaOffset(stale.table, 0x401200), 48);
  assert.equal(stale.problems.length, 1, 'and not asked again');
});
