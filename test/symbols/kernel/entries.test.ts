/**
 * Every entry with every attribute, every list and every line program of Debian's vmlinux is read without one
 * error.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DW_AT, DW_FORM, attributeName, formName } from '../../../debug-adapter/dwarf/constants.ts';
import { DwarfFile } from '../../../debug-adapter/dwarf/dwarfFile.ts';
import { describeExpression } from '../../../debug-adapter/dwarf/expressionText.ts';
import { ROW_END_SEQUENCE, runLineProgram } from '../../../debug-adapter/dwarf/line.ts';
import { readLineHeader } from '../../../debug-adapter/dwarf/lineHeader.ts';
import { expressionAt } from '../../../debug-adapter/dwarf/locationLists.ts';
import { rangesOf } from '../../../debug-adapter/dwarf/ranges.ts';
import { Die, type Unit } from '../../../debug-adapter/dwarf/unit.ts';
import { NODE_DECOMPRESSORS } from '../../../debug-adapter/symbols/files/decompressors.ts';
import { elfSectionLoader } from '../../../debug-adapter/symbols/files/imageSections.ts';
import { openFileSource } from '../../../vmm-core/client/fileSource.ts';
import { parseElf } from '../../../vmm-core/elf/elfFile.ts';
import { run } from '../compile.ts';
import { kernelFiles } from './kernelFiles.ts';

/** Below every address a list could cover: it is read to its end. */
const NOWHERE = -1;

interface Counts {
  entries: number;
  attributes: number;
  rows: number;
  sequences: number;
}

test('every entry and every line program of vmlinux is read without an error', async (t) => {
  const files = await kernelFiles();
  if (typeof files === 'string') return t.skip(files);
  const problems: string[] = [];
  const elf = parseElf(openFileSource(files.vmlinux));
  const dwarf = new DwarfFile(
    elfSectionLoader(elf, NODE_DECOMPRESSORS, (message) => problems.push(message)),
    { littleEndian: true, onProblem: (problem) => problems.push(problem.message) },
  );
  const counts: Counts = { entries: 0, attributes: 0, rows: 0, sequences: 0 };
  const headers = dwarf.unitHeaders();
  for (const header of headers) {
    const unit = dwarf.unitOf(header);
    readEntries(unit, counts);
    readLines(unit, counts);
  }
  assert.deepEqual(problems, []);
  t.diagnostic(
    `${headers.length} units, ${counts.entries} entries with ${counts.attributes} attributes, ${counts.rows} line rows`,
  );
  // The units and their lengths add up to the section: nothing was skipped.
  const total = headers.reduce((sum, { offset, endOffset }) => sum + endOffset - offset, 0);
  assert.equal(total, dwarf.section('.debug_info')?.sizeBytes);
  const [rows, sequences] = readelfLines(files.vmlinux);
  assert.equal(counts.sequences, sequences);
  assert.equal(counts.rows, rows);
});

/** Throws DwarfError where something cannot be read. */
function readEntries(unit: Unit, counts: Counts): void {
  const { endOffset, entriesOffset } = unit.header;
  const die = new Die(unit, unit.reader());
  let depth = 0;
  let offset = entriesOffset;
  while (offset < endOffset) {
    if (die.moveTo(offset)) {
      counts.entries++;
      for (const { name, form } of die.attributes) {
        counts.attributes++;
        if (!isReadable(die, name, form))
          assert.fail(`${attributeName(name)} ${formName(form)} at 0x${die.offset.toString(16)}`);
      }
      if (die.hasChildren) depth++;
    } else depth--;
    offset = die.nextOffset;
    if (depth <= 0) break;
  }
  assert.equal(offset, endOffset, `the entries of the unit at 0x${unit.header.offset.toString(16)} fill it`);
}

/** Whether the value is what its form says. */
function isReadable(die: Die, name: number, form: number): boolean {
  switch (form) {
    case DW_FORM.strp:
    case DW_FORM.line_strp:
    case DW_FORM.string:
      return die.string(name) !== undefined;
    case DW_FORM.ref1:
    case DW_FORM.ref2:
    case DW_FORM.ref4:
    case DW_FORM.ref_udata: {
      const { offset, endOffset } = die.unit.header;
      const target = die.refOffset(name) ?? 0;
      return target > offset && target <= endOffset;
    }
    case DW_FORM.ref_addr:
      return (die.refOffset(name) ?? 0) > 0;
    case DW_FORM.exprloc:
      return isExpression(die.block(name));
    case DW_FORM.block1:
    case DW_FORM.block2:
    case DW_FORM.block4:
      return die.block(name) !== undefined;
    case DW_FORM.addr:
      return die.address(name) !== undefined;
    case DW_FORM.flag:
    case DW_FORM.flag_present:
      return typeof die.flag(name) === 'boolean';
    case DW_FORM.sec_offset:
      if (name === DW_AT.ranges) return rangesOf(die).length >= 0; // throws when it cannot be read
      if (name !== DW_AT.location) return die.sectionOffset(name) !== undefined;
      return isExpression(expressionAt(die, name, NOWHERE) ?? new Uint8Array());
    case DW_FORM.data1:
    case DW_FORM.data2:
    case DW_FORM.data4:
    case DW_FORM.data8:
    case DW_FORM.sdata:
    case DW_FORM.udata:
    case DW_FORM.implicit_const:
      return die.number(name) !== undefined;
    case DW_FORM.data16:
      return die.bigint(name) !== undefined;
    default:
      return false; // a form that no compiler of this kernel was known to use
  }
}

/** Every operator is known, with its operands. */
function isExpression(expression: Uint8Array | undefined): boolean {
  if (expression === undefined) return false;
  const registerName = (register: number): string => `r${register}`;
  return !describeExpression(expression, { littleEndian: true, addressSize: 8, registerName }).includes('<');
}

function readLines(unit: Unit, counts: Counts): void {
  const { lineOffset } = unit.root;
  if (lineOffset === undefined) return;
  const section = unit.file.requireSection('.debug_line');
  const { count, flags, problem, sequences } = runLineProgram(
    readLineHeader(section, lineOffset, unit.header.addressSize),
  );
  assert.equal(problem, undefined);
  counts.rows += count;
  counts.sequences += flags.reduce((sum, flag) => sum + ((flag & ROW_END_SEQUENCE) === 0 ? 0 : 1), 0);
  assert.ok(sequences.length <= count);
}

/** Rows and sequences by readelf's reading of the programs. */
function readelfLines(path: string): [number, number] {
  const counts = run('sh', [
    '-c',
    `readelf --debug-dump=rawline "$1" 2>/dev/null | awk '
      /Special opcode/ || /  Copy/ { rows++ } /End of Sequence/ { rows++; sequences++ } END { print rows, sequences }'`,
    'sh',
    path,
  ]);
  const [rows = 0, sequences = 0] = counts.trim().split(' ').map(Number);
  return [rows, sequences];
}
