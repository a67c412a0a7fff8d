import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync, inflateSync } from 'node:zlib';
import { Bytes, mutate, seededRandom } from '../../test/support/bytes.ts';
import { buildElf } from '../../test/support/dwarfBuilderElf.ts';
import { bytesSource } from './byteSource.ts';
import { isCompressed, uncompressedBytes } from './compressedSection.ts';
import { crc32, debugLink } from './debugLink.ts';
import {
  ET_REL,
  SHF_COMPRESSED,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  STB_GLOBAL,
  STT_FUNC,
} from './elfConstants.ts';
import { ElfError } from './elfError.ts';
import { type ElfFile, findSection, parseElf } from './elfFile.ts';
import { bestSymbolTable, readSymbolTable } from './elfSymbols.ts';
import { layOutSections, relocated } from './relocations.ts';

const CONTENT = new TextEncoder().encode('debug information '.repeat(50));
const zlib = (bytes: Uint8Array): Uint8Array => Uint8Array.from(inflateSync(bytes));

function sectionOf(elf: ElfFile, name: string): NonNullable<ReturnType<typeof findSection>> {
  const section = findSection(elf, name);
  assert.ok(section);
  return section;
}

for (const is64 of [true, false]) {
  test(`${is64 ? 'ELF64' : 'ELF32'}: SHF_COMPRESSED sections come out as they were`, () => {
    const word = is64 ? 8 : 4;
    const header = new Bytes().u32(1);
    if (is64) header.u32(0);
    const bytes = header.word(word, CONTENT.length).word(word, 1).bytes(deflateSync(CONTENT)).done();
    const elf = parse(buildElf({ is64, sections: [{ name: '.debug_info', flags: SHF_COMPRESSED, bytes }] }));
    const section = sectionOf(elf, '.debug_info');
    assert.equal(isCompressed(section), true);
    assert.deepEqual(uncompressedBytes(elf, section, { zlib }), Uint8Array.from(CONTENT));
    assert.throws(
      () => uncompressedBytes(elf, section, {}),
      /compressed with zlib, which is not available here/,
    );
  });

  test(`${is64 ? 'ELF64' : 'ELF32'}: symbols have their name, value, size, type, binding and section`, () => {
    const symbols = new Bytes().padTo(is64 ? 24 : 16);
    if (is64)
      symbols
        .u32(1)
        .u8((STB_GLOBAL << 4) | STT_FUNC, 0)
        .u16(1)
        .u64(0xffffffff81000000n, 0x40);
    else
      symbols
        .u32(1, 0xc0100000, 0x40)
        .u8((STB_GLOBAL << 4) | STT_FUNC, 0)
        .u16(1);
    const elf = parse(
      buildElf({
        is64,
        sections: [
          { name: '.text', bytes: new Uint8Array(4) },
          {
            name: '.symtab',
            type: SHT_SYMTAB,
            bytes: symbols.done(),
            link: 3,
            entrySizeBytes: is64 ? 24 : 16,
          },
          { name: '.strtab', type: SHT_STRTAB, bytes: new Bytes().u8(0).cstring('main.isra.0').done() },
        ],
      }),
    );
    const table = bestSymbolTable(elf);
    assert.ok(table);
    assert.equal(table.count, 2);
    assert.equal(table.name(1), 'main.isra.0');
    assert.equal(table.value(1), is64 ? 0xffffffff81000000n : 0xc0100000n);
    assert.equal(table.signedValue(1), is64 ? -0x7f000000 : 0xc0100000);
    assert.equal(table.sizeBytes(1), 0x40);
    assert.equal(table.type(1), STT_FUNC);
    assert.equal(table.binding(1), STB_GLOBAL);
    assert.equal(table.sectionIndex(1), 1);
    const match = (name: string): unknown => table.nameMatches(1, new TextEncoder().encode(name));
    assert.equal(match('main'), 'clone');
    assert.equal(match('main.isra.0'), 'exact');
    assert.equal(match('mai'), undefined);
  });
}

test('a .zdebug section is inflated after its ZLIB header', () => {
  const bytes = new Bytes(false)
    .bytes(new TextEncoder().encode('ZLIB'))
    .u64(CONTENT.length)
    .bytes(deflateSync(CONTENT))
    .done();
  const elf = parse(buildElf({ sections: [{ name: '.zdebug_info', bytes }] }));
  assert.deepEqual(
    uncompressedBytes(elf, sectionOf(elf, '.zdebug_info'), { zlib }),
    Uint8Array.from(CONTENT),
  );
});

test('a compressed section that claims more than deflate can make is refused before anything is allocated', () => {
  const bytes = new Bytes()
    .u32(1, 0)
    .u64(2 ** 40, 1)
    .bytes(deflateSync(CONTENT))
    .done();
  const elf = parse(buildElf({ sections: [{ name: '.debug_info', flags: SHF_COMPRESSED, bytes }] }));
  assert.throws(
    () => uncompressedBytes(elf, sectionOf(elf, '.debug_info'), { zlib }),
    /claims 1099511627776 bytes/,
  );
});

test('a section whose size differs from its header, or whose data is broken, is refused', () => {
  const of = (size: number, data: Uint8Array): ElfFile =>
    parse(
      buildElf({
        sections: [
          {
            name: '.debug_info',
            flags: SHF_COMPRESSED,
            bytes: new Bytes().u32(1, 0).u64(size, 1).bytes(data).done(),
          },
        ],
      }),
    );
  const short = of(CONTENT.length + 1, deflateSync(CONTENT));
  assert.throws(
    () => uncompressedBytes(short, sectionOf(short, '.debug_info'), { zlib }),
    /is 900 bytes, its header says 901/,
  );
  const broken = of(4, Uint8Array.of(1, 2, 3, 4));
  assert.throws(
    () => uncompressedBytes(broken, sectionOf(broken, '.debug_info'), { zlib }),
    /zlib data is broken/,
  );
});

test('.gnu_debuglink names a file and the CRC of its contents', () => {
  const contents = new TextEncoder().encode('123456789');
  assert.equal(crc32(contents), 0xcbf43926); // the check value of this CRC
  assert.equal(crc32(contents.subarray(4), crc32(contents.subarray(0, 4))), 0xcbf43926);
  const bytes = new Bytes().cstring('vmlinux.debug').align(4).u32(0xcbf43926).done();
  const elf = parse(buildElf({ sections: [{ name: '.gnu_debuglink', bytes }] }));
  assert.deepEqual(debugLink(elf), { fileName: 'vmlinux.debug', crc32: 0xcbf43926 });
  assert.equal(debugLink(parse(buildElf({ sections: [] }))), undefined);
});

test('relocations of a relocatable object are applied to a copy, unknown ones counted (x86-64 psABI §4.4)', () => {
  const elf = parse(relocatable());
  const addresses = layOutSections(elf, ({ flags }) => (flags & 2) !== 0);
  assert.deepEqual(
    [...addresses],
    [
      [1, 0n],
      [2, 0x10n],
    ],
  );
  const section = sectionOf(elf, '.debug_info');
  const original = new Uint8Array(24);
  const result = relocated(elf, section, original, (index) => addresses.get(index) ?? 0n);
  assert.equal(result.skipped, 1);
  const view = new DataView(result.bytes.buffer);
  assert.equal(view.getBigUint64(0, true), 0x18n, 'R_X86_64_64: .data + 8');
  assert.equal(view.getUint32(8, true), 0x14, 'R_X86_64_32: symbol at .data + 4');
  assert.equal(view.getInt32(12, true), 0x10 - 12, 'R_X86_64_PC32');
  assert.deepEqual(original, new Uint8Array(24), 'the original stays');
});

test('differences of labels are set and subtracted in place, some in the low bits of a byte (RISC-V psABI §8.5)', () => {
  const symbols = new Bytes()
    .padTo(24)
    .u32(0)
    .u8(3, 0)
    .u16(1)
    .u64(0x40, 0)
    .u32(0)
    .u8(3, 0)
    .u16(1)
    .u64(0x12, 0);
  const relocations = new Bytes();
  const entry = (offset: number, type: number, symbol: number): void => {
    relocations.u64(offset, (BigInt(symbol) << 32n) | BigInt(type), 0);
  };
  entry(0, 53, 1); // R_RISCV_SET6
  entry(0, 52, 2); // R_RISCV_SUB6
  entry(4, 35, 1); // R_RISCV_ADD32
  entry(4, 39, 2); // R_RISCV_SUB32
  entry(8, 55, 1); // R_RISCV_SET16
  const elf = parse(
    buildElf({
      type: ET_REL,
      machine: 243,
      sections: [
        { name: '.text', flags: 6, bytes: new Uint8Array(0x80) },
        { name: '.symtab', type: SHT_SYMTAB, bytes: symbols.done(), link: 3, entrySizeBytes: 24 },
        { name: '.strtab', type: SHT_STRTAB, bytes: Uint8Array.of(0) },
        { name: '.debug_frame', bytes: new Uint8Array(12) },
        { name: '.rela.debug_frame', type: SHT_RELA, bytes: relocations.done(), link: 2, info: 4 },
      ],
    }),
  );
  const before = new Bytes().u8(0x40).padTo(12).done(); // DW_CFA_advance_loc | 0
  const { bytes, skipped } = relocated(elf, sectionOf(elf, '.debug_frame'), before, () => 0n);
  assert.equal(skipped, 0);
  assert.equal(bytes[0], 0x40 | ((0x40 - 0x12) & 0x3f), 'the operation stays');
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint32(4, true), 0x40 - 0x12);
  assert.equal(view.getUint16(8, true), 0x40);
});

test('mutated relocatable objects end in bytes or in an ElfError', () => {
  const seed = relocatable();
  const random = seededRandom(8);
  let refused = 0;
  for (let round = 0; round < 3000; round++) {
    try {
      const elf = parse(mutate(seed, random));
      readSymbolTable(elf, SHT_SYMTAB)?.name(1);
      const addresses = layOutSections(elf, () => true);
      for (const section of elf.sections) {
        if (section.sizeBytes > seed.length) continue;
        relocated(elf, section, new Uint8Array(section.sizeBytes), (index) => addresses.get(index) ?? 0n);
      }
    } catch (error) {
      assert.ok(error instanceof ElfError, `round ${round}: ${String(error)}`);
      refused++;
    }
  }
  assert.ok(refused > 100 && refused < 3000, `${refused} refused`);
});

/** .text, .data (aligned to 16), .debug_info with four relocations, of which one is of an unknown kind. */
function relocatable(): Uint8Array {
  const symbols = new Bytes().padTo(24);
  symbols.u32(0).u8(3, 0).u16(2).u64(0, 0); // section symbol of .data
  symbols.u32(1).u8(0x11, 0).u16(2).u64(4, 4); // x
  const relocations = new Bytes();
  const rela = (offset: number, type: number, symbol: number, addend: number): void => {
    relocations.u64(offset).u32(type, symbol).u64(addend);
  };
  rela(0, 1, 1, 8);
  rela(8, 10, 2, 0);
  rela(12, 2, 1, 0);
  rela(16, 99, 1, 0);
  return buildElf({
    type: ET_REL,
    sections: [
      { name: '.text', flags: 6, bytes: new Uint8Array(3) },
      { name: '.data', flags: 3, bytes: new Uint8Array(8), align: 16 },
      { name: '.debug_info', bytes: new Uint8Array(24) },
      {
        name: '.rela.debug_info',
        type: SHT_RELA,
        bytes: relocations.done(),
        link: 5,
        info: 3,
        entrySizeBytes: 24,
      },
      { name: '.symtab', type: SHT_SYMTAB, bytes: symbols.done(), link: 6, entrySizeBytes: 24 },
      { name: '.strtab', type: SHT_STRTAB, bytes: new Bytes().u8(0).cstring('x').done() },
    ],
  });
}

function parse(bytes: Uint8Array): ElfFile {
  return parseElf(bytesSource('test', bytes));
}
