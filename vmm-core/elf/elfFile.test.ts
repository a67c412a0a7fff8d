import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes, mutate, seededRandom } from '../../test/support/bytes.ts';
import { buildElf } from '../../test/support/dwarfBuilderElf.ts';
import { bytesSource } from './byteSource.ts';
import {
  EM_386,
  EM_X86_64,
  ET_EXEC,
  PF_R,
  PF_X,
  PT_LOAD,
  PT_NOTE,
  SHF_ALLOC,
  SHT_NOTE,
} from './elfConstants.ts';
import { ElfError } from './elfError.ts';
import { findSection, isElf, loadSegments, parseElf, sectionBytes, segmentBytes } from './elfFile.ts';
import { buildId, buildIdInMemory, buildIdNote, elfNotes } from './elfNotes.ts';

const noteOf = (name: string, type: number, descriptor: readonly number[], littleEndian = true): Uint8Array =>
  new Bytes(littleEndian)
    .u32(name.length + 1, descriptor.length, type)
    .cstring(name)
    .align(4)
    .bytes(descriptor)
    .align(4)
    .done();

for (const [title, is64, littleEndian] of [
  ['ELF64 little endian', true, true],
  ['ELF64 big endian', true, false],
  ['ELF32 little endian', false, true],
  ['ELF32 big endian', false, false],
] as const) {
  test(`${title}: header, program headers and sections come out as they went in`, () => {
    const text = Uint8Array.of(0x90, 0xc3);
    const entry = is64 ? 0xffffffff81000000n : 0xc0100000n;
    const elf = parse(
      buildElf({
        is64,
        littleEndian,
        machine: is64 ? EM_X86_64 : EM_386,
        entry,
        segments: [
          {
            type: PT_LOAD,
            flags: PF_R | PF_X,
            virtualAddress: entry,
            physicalAddress: 0x100000,
            bytes: text,
            memorySizeBytes: 0x2000,
            align: 0x1000,
          },
        ],
        sections: [{ name: '.text', flags: 6, address: entry, bytes: text, align: 16 }],
      }),
    );
    assert.equal(elf.is64, is64);
    assert.equal(elf.littleEndian, littleEndian);
    assert.equal(elf.type, ET_EXEC);
    assert.equal(elf.machineName, is64 ? 'x86-64' : 'i386');
    assert.equal(elf.entry, entry);
    const [segment] = loadSegments(elf);
    assert.ok(segment);
    assert.equal(segment.virtualAddress, entry);
    assert.equal(segment.physicalAddress, 0x100000n);
    assert.equal(segment.memorySizeBytes, 0x2000);
    assert.equal(segment.flags, PF_R | PF_X);
    assert.deepEqual(segmentBytes(elf, segment), text);
    const section = findSection(elf, '.text');
    assert.ok(section);
    assert.equal(section.address, entry);
    assert.equal(section.align, 16);
    assert.deepEqual(sectionBytes(elf, section), text);
  });
}

test('the build-id is found in a PT_NOTE segment without any section table', () => {
  const file = buildElf({
    segments: [{ type: PT_NOTE, bytes: noteOf('GNU', 3, [0xde, 0xad, 0xbe, 0xef]), align: 4 }],
  });
  file.fill(0, 40, 48); // e_shoff: as stripped by sstrip
  file.fill(0, 60, 64);
  const elf = parse(file);
  assert.deepEqual(elf.sections, []);
  assert.equal(buildId(elf), 'deadbeef');
});

test('a build-id is found by its place in memory and read from there', () => {
  const note = noteOf('GNU', 3, [0xde, 0xad, 0xbe, 0xef]);
  const notes = new Bytes().bytes(noteOf('Xen', 18, [1, 2, 3, 4]), note).done();
  const segment = { type: PT_NOTE, bytes: notes, align: 4, virtualAddress: 0xffffffff82000000n };
  const loaded = parse(buildElf({ segments: [segment] }));
  const address = segment.virtualAddress + BigInt(notes.length - note.length);
  assert.deepEqual(buildIdNote(loaded), { id: 'deadbeef', address });
  const section = { name: '.note', type: SHT_NOTE, bytes: note, align: 4 };
  assert.equal(buildIdNote(parse(buildElf({ sections: [section] })))?.address, undefined);
  const allocated = { ...section, flags: SHF_ALLOC, address: 0x4000 };
  assert.equal(buildIdNote(parse(buildElf({ sections: [allocated] })))?.address, 0x4000n);
  assert.equal(buildIdInMemory(note), 'deadbeef');
  assert.equal(buildIdInMemory(notes), undefined, 'another note is there');
  assert.equal(buildIdInMemory(note.subarray(0, -1)), undefined);
  assert.equal(buildIdInMemory(new Uint8Array(80)), undefined, 'nothing is loaded there yet');
});

test('several notes of one section are listed, and a note in both a segment and a section once', () => {
  const notes = new Bytes().bytes(noteOf('Xen', 18, [1, 2, 3, 4]), noteOf('GNU', 3, [5])).done();
  const elf = parse(buildElf({ sections: [{ name: '.notes', type: SHT_NOTE, bytes: notes, align: 4 }] }));
  assert.deepEqual(
    elfNotes(elf).map(({ name, type }) => [name, type]),
    [
      ['Xen', 18],
      ['GNU', 3],
    ],
  );
});

test('an unknown machine is named by its number', () => {
  assert.equal(parse(buildElf({ machine: 0x1234 })).machineName, 'EM_<0x1234>');
});

test('section count and name table index move to section 0 when they do not fit (gABI e_shnum, e_shstrndx)', () => {
  const file = buildElf({ sections: [{ name: '.text', bytes: Uint8Array.of(1) }] });
  const view = new DataView(file.buffer);
  const zero = Number(view.getBigUint64(40, true));
  view.setBigUint64(zero + 32, BigInt(view.getUint16(60, true)), true); // sh_size
  view.setUint32(zero + 40, view.getUint16(62, true), true); // sh_link
  view.setUint16(60, 0, true);
  view.setUint16(62, 0xffff, true);
  assert.ok(findSection(parse(file), '.text'));
});

test('a file that is not ELF is reported as such', () => {
  assert.equal(isElf(Uint8Array.of(0x7f, 0x45)), false);
  assert.throws(() => parse(new Uint8Array(0)), /^ElfError: not an ELF file: only 0 bytes$/);
  assert.throws(() => parse(new Uint8Array(64)), /no \\x7fELF magic at file offset 0x0/);
});

test('the error for a truncated file names the table that is cut', () => {
  const file = buildElf({ sections: [{ name: '.text', bytes: new Uint8Array(100) }] });
  assert.throws(
    () => parse(file.subarray(0, file.length - 1)),
    /section header table reaches past the end of the file/,
  );
  assert.throws(() => parse(file.subarray(0, 20)), /header reaches past the end/);
});

test('a loadable segment larger in the file than in memory is refused', () => {
  const file = buildElf({ segments: [{ type: PT_LOAD, bytes: new Uint8Array(16), memorySizeBytes: 8 }] });
  assert.throws(() => loadSegments(parse(file)), /segment 0 is larger in the file than in memory/);
});

test('mutated files end in a value or in an ElfError', () => {
  const seed = buildElf({
    segments: [{ type: PT_NOTE, bytes: noteOf('GNU', 3, [1, 2, 3, 4]), align: 4 }],
    sections: [{ name: '.note', type: SHT_NOTE, bytes: noteOf('Xen', 18, [1]), align: 4 }],
  });
  const random = seededRandom(1);
  let refused = 0;
  for (let round = 0; round < 5000; round++) {
    try {
      const elf = parse(mutate(seed, random));
      elfNotes(elf);
      loadSegments(elf).forEach((segment) => segmentBytes(elf, segment));
      elf.sections.forEach((section) => sectionBytes(elf, section));
    } catch (error) {
      assert.ok(error instanceof ElfError, `round ${round}: ${String(error)}`);
      refused++;
    }
  }
  assert.ok(refused > 100 && refused < 5000, `${refused} of 5000 refused`);
});

function parse(bytes: Uint8Array): ReturnType<typeof parseElf> {
  return parseElf(bytesSource('test', bytes));
}
