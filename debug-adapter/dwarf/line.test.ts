import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, mutate, seededRandom } from '../../test/support/bytes.ts';
import { type BuiltLineProgram, buildLineProgram } from '../../test/support/dwarfBuilder.ts';
import { DwarfError } from './dwarfError.ts';
import {
  ROW_CONTINUES,
  ROW_END_SEQUENCE,
  ROW_EPILOGUE_BEGIN,
  ROW_IS_STMT,
  ROW_PROLOGUE_END,
  runLineProgram,
} from './line.ts';
import { readLineHeader } from './lineHeader.ts';
import { Section, memorySection } from './section.ts';
import { DW_LNE, DW_LNS } from './sectionConstants.ts';

const setAddress = (bytes: Bytes, address: number | bigint): Bytes =>
  bytes.u8(0).uleb(9).u8(DW_LNE.set_address).u64(address);
const endSequence = (bytes: Bytes): Bytes => bytes.u8(0).uleb(1).u8(DW_LNE.end_sequence);

function run(bytes: Uint8Array, littleEndian = true) {
  const section = new Section('.debug_line', memorySection(bytes), littleEndian);
  const header = readLineHeader(section, 0, 8);
  return { header, rows: runLineProgram(header) };
}

function rowsOf(recipe: BuiltLineProgram): number[][] {
  const { rows } = run(buildLineProgram(recipe), recipe.littleEndian);
  return Array.from({ length: rows.count }, (_, row) => [rows.address.at(row), rows.line[row] as number]);
}

for (const version of [2, 3, 4, 5]) {
  for (const is64 of [false, true]) {
    for (const littleEndian of [true, false]) {
      test(`version ${version}, ${is64 ? 64 : 32}-bit, ${littleEndian ? 'little' : 'big'} endian: files and rows`, () => {
        const recipe: BuiltLineProgram = {
          version,
          is64,
          littleEndian,
          files: [
            { name: 'a.c', directory: 0 },
            { name: 'b.h', directory: 1 },
          ],
          directories: ['/src', 'inc'],
          program: (bytes) => {
            setAddress(bytes, 0x1000).u8(DW_LNS.advance_line).sleb(9).u8(DW_LNS.copy);
            bytes.u8(DW_LNS.advance_pc).uleb(4).u8(DW_LNS.set_file).uleb(2).u8(DW_LNS.copy);
            bytes.u8(DW_LNS.advance_pc).uleb(2);
            endSequence(bytes);
          },
        };
        const { header, rows } = run(buildLineProgram(recipe), littleEndian);
        assert.equal(header.files.length, version >= 5 ? 2 : 3);
        assert.equal(header.directories.length, version >= 5 ? 2 : 3);
        assert.deepEqual([...rows.address], [0x1000, 0x1004, 0x1006]);
        assert.deepEqual([...rows.line], [10, 10, 10]);
        assert.deepEqual([...rows.file], [1, 2, 2]);
        assert.deepEqual(rows.sequences, [{ start: 0x1000, end: 0x1006, first: 0, last: 2 }]);
      });
    }
  }
}

test('a special opcode advances line and address as §6.2.5.1 computes them', () => {
  // line_base -3, line_range 12, opcode_base 10: the table of Appendix D.5 has opcode 0x4b for line +2,
  // address +5 or so.
  const recipe = { lineBase: -3, lineRange: 12, opcodeBase: 10 };
  const program = (bytes: Bytes): void => {
    setAddress(bytes, 0x100);
    bytes.u8(10 + 3 + 2 + 12 * 5); // line +2, address +5
    bytes.u8(10); // line -3, address +0
    endSequence(bytes);
  };
  assert.deepEqual(rowsOf({ ...recipe, program }), [
    [0x105, 3],
    [0x105, 0],
    [0x105, 0],
  ]);
});

test('DW_LNS_const_add_pc advances by the address part of special opcode 255', () => {
  const program = (bytes: Bytes): void => {
    setAddress(bytes, 0).u8(DW_LNS.copy, DW_LNS.const_add_pc, DW_LNS.copy);
    endSequence(bytes.u8(DW_LNS.fixed_advance_pc).u16(0x20));
  };
  assert.deepEqual(rowsOf({ program }), [
    [0, 1],
    [Math.floor((255 - 13) / 14), 1],
    [17 + 0x20, 1],
  ]);
});

test('addresses advance by whole instructions, and by operations within a VLIW instruction (§6.2.2)', () => {
  const program = (bytes: Bytes): void => {
    setAddress(bytes, 0).u8(DW_LNS.copy);
    for (let step = 0; step < 3; step++) bytes.u8(DW_LNS.advance_pc).uleb(1).u8(DW_LNS.copy);
    endSequence(bytes.u8(DW_LNS.advance_pc).uleb(3));
  };
  const addresses = (recipe: Partial<BuiltLineProgram>): number[] =>
    rowsOf({ ...recipe, program }).map(([address]) => address as number);
  assert.deepEqual(addresses({ minimumInstructionLength: 4 }), [0, 4, 8, 12, 24]);
  assert.deepEqual(addresses({ minimumInstructionLength: 16, maximumOperations: 3 }), [0, 0, 0, 16, 32]);
});

test('statement, prologue and epilogue marks belong to one row; is_stmt stays (§6.2.2)', () => {
  const { rows } = run(
    buildLineProgram({
      program: (bytes) => {
        setAddress(bytes, 0x10).u8(DW_LNS.set_prologue_end, DW_LNS.negate_stmt, DW_LNS.copy);
        bytes.u8(DW_LNS.advance_pc).uleb(1).u8(DW_LNS.negate_stmt, DW_LNS.set_epilogue_begin, DW_LNS.copy);
        endSequence(bytes.u8(DW_LNS.advance_pc).uleb(1));
      },
    }),
  );
  assert.deepEqual(
    [...rows.flags],
    [ROW_PROLOGUE_END, ROW_IS_STMT | ROW_EPILOGUE_BEGIN, ROW_IS_STMT | ROW_END_SEQUENCE],
  );
});

test('a line goes on in further blocks, but not from a row of no code of its own (§6.2.2)', () => {
  const rowsAfter = (isStmt: boolean): number[] => {
    const { rows } = run(
      buildLineProgram({
        files: [
          { name: 'a.c', directory: 0 },
          { name: 'b.h', directory: 0 },
        ],
        program: (bytes) => {
          const discriminator = (value: number): Bytes =>
            bytes.u8(0).uleb(2).u8(DW_LNE.set_discriminator).uleb(value);
          setAddress(bytes, 0x10).u8(DW_LNS.set_file).uleb(2).u8(DW_LNS.copy);
          bytes.u8(DW_LNS.set_file).uleb(1);
          if (!isStmt) bytes.u8(DW_LNS.negate_stmt);
          discriminator(3).u8(DW_LNS.copy);
          if (!isStmt) bytes.u8(DW_LNS.negate_stmt);
          discriminator(3).u8(DW_LNS.advance_pc).uleb(4).u8(DW_LNS.copy);
          endSequence(bytes.u8(DW_LNS.advance_pc).uleb(1));
        },
      }),
    );
    return Array.from(rows.flags.subarray(0, 3), (flags) => flags & (ROW_CONTINUES | ROW_IS_STMT));
  };
  // The second row is where the first is: a statement there has code, a mere mention of another file does
  // not.
  assert.deepEqual(rowsAfter(true), [ROW_IS_STMT, ROW_IS_STMT, ROW_IS_STMT | ROW_CONTINUES]);
  assert.deepEqual(rowsAfter(false), [ROW_IS_STMT, 0, ROW_IS_STMT]);
});

test('unknown standard and extended opcodes are skipped by the lengths the header and the opcode give (§6.2.4, §6.2.5.3)', () => {
  const program = (bytes: Bytes): void => {
    setAddress(bytes, 0x10);
    bytes.u8(13).uleb(1000, 2000); // standard_opcode_lengths[13] is 2
    bytes.u8(0).uleb(4).u8(0x90, 1, 2, 3);
    bytes.u8(DW_LNS.copy);
    endSequence(bytes.u8(DW_LNS.advance_pc).uleb(1));
  };
  assert.deepEqual(rowsOf({ opcodeBase: 16, program }), [
    [0x10, 1],
    [0x11, 1],
  ]);
});

test('kernel addresses come out in order', () => {
  const { rows } = run(
    buildLineProgram({
      program: (bytes) => {
        setAddress(bytes, 0xffffffff81000000n).u8(DW_LNS.copy).u8(DW_LNS.advance_pc).uleb(0x100);
        endSequence(bytes);
      },
    }),
  );
  assert.deepEqual(rows.sequences, [{ start: -0x7f000000, end: -0x7effff00, first: 0, last: 1 }]);
});

test('a program cut short keeps its finished sequences and says what is wrong', () => {
  const { rows } = run(
    buildLineProgram({
      program: (bytes) => {
        endSequence(setAddress(bytes, 0x10).u8(DW_LNS.copy, DW_LNS.advance_pc).uleb(1));
        setAddress(bytes, 0x20).u8(DW_LNS.copy, DW_LNS.advance_pc, 0x80);
      },
    }),
  );
  assert.equal(rows.count, 2);
  assert.match(rows.problem?.message ?? '', /data ends in the middle of a value at \.debug_line\+0x/);
});

test('a sequence whose addresses go back is left out', () => {
  const { rows } = run(
    buildLineProgram({
      program: (bytes) => {
        setAddress(bytes, 0x20).u8(DW_LNS.copy);
        setAddress(bytes, 0x10).u8(DW_LNS.copy);
        setAddress(bytes, 0x30);
        endSequence(bytes);
      },
    }),
  );
  assert.deepEqual(rows.sequences, []);
});

test('mutated programs end in rows or in a DwarfError', () => {
  const program = (bytes: Bytes): void => {
    setAddress(bytes, 0x1000);
    for (let opcode = 20; opcode < 120; opcode++) bytes.u8(opcode);
    endSequence(bytes);
  };
  const random = seededRandom(2);
  let refused = 0;
  for (const version of [2, 4, 5]) {
    const seed = buildLineProgram({ version, program, directories: ['/src', 'inc'] });
    for (let round = 0; round < 2000; round++) {
      try {
        const { rows } = run(mutate(seed, random));
        assert.ok(rows.count <= seed.length);
      } catch (error) {
        assert.ok(error instanceof DwarfError, `version ${version} round ${round}: ${String(error)}`);
        refused++;
      }
    }
  }
  assert.ok(refused > 100, `${refused} refused`);
});
