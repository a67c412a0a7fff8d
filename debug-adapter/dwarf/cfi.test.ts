import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes, mutate, seededRandom } from '../../test/support/bytes.ts';
import { type FrameRow, FrameTable } from './cfi.ts';
import type { DwarfError } from './dwarfError.ts';
import { Section, memorySection } from './section.ts';
import { DW_CFA, DW_EH_PE } from './sectionConstants.ts';

/** A .debug_frame of one CIE (CFA = r7 + 8, return address at CFA - 8) and one FDE over [0x1000, 0x1100). */
function debugFrame(instructions: (bytes: Bytes) => Bytes, version = 4): Uint8Array {
  const cie = new Bytes().u32(0xffffffff).u8(version).cstring('');
  if (version === 4) cie.u8(8, 0);
  cie.uleb(1).sleb(-8);
  if (version === 1) cie.u8(16);
  else cie.uleb(16);
  cie.u8(DW_CFA.def_cfa, 7, 8, DW_CFA.offset | 16, 1).align(4);
  const fde = new Bytes().u32(0).u64(0x1000, 0x100);
  instructions(fde);
  return new Bytes().u32(cie.length).bytes(cie.done()).u32(fde.length).bytes(fde.done()).done();
}

function table(bytes: Uint8Array, isEhFrame = false, section = 0): FrameTable {
  const data = new Section(isEhFrame ? '.eh_frame' : '.debug_frame', memorySection(bytes), true);
  const onProblem = (problem: DwarfError): void => assert.fail(problem);
  return new FrameTable(data, { isEhFrame, addressSize: 8, bases: { section }, onProblem });
}

function row(bytes: Uint8Array, address: number): FrameRow {
  const found = table(bytes).rowAt(address);
  assert.ok(found, `rules at 0x${address.toString(16)}`);
  return found;
}

for (const version of [1, 3, 4]) {
  test(`version ${version}: rules apply from the location they were given at (§6.4.3)`, () => {
    const bytes = debugFrame((b) => {
      b.u8(DW_CFA.advance_loc | 1, DW_CFA.def_cfa_offset, 16, DW_CFA.offset | 6, 2);
      return b.u8(DW_CFA.advance_loc | 3, DW_CFA.def_cfa_register, 6);
    }, version);
    assert.deepEqual(row(bytes, 0x1000).cfa, { kind: 'register', register: 7, offset: 8 });
    assert.deepEqual(row(bytes, 0x1001).cfa, { kind: 'register', register: 7, offset: 16 });
    assert.deepEqual(row(bytes, 0x1004).cfa, { kind: 'register', register: 6, offset: 16 });
    assert.deepEqual(row(bytes, 0x1003).registers.get(6), { kind: 'offset', offset: -16 });
    assert.deepEqual(row(bytes, 0x10ff).registers.get(16), { kind: 'offset', offset: -8 });
    assert.equal(row(bytes, 0x1000).registers.has(6), false);
    assert.equal(row(bytes, 0x1000).returnAddressRegister, 16);
    assert.equal(table(bytes).rowAt(0x1100), undefined);
    assert.equal(table(bytes).rowAt(0xfff), undefined);
  });
}

for (const littleEndian of [true, false]) {
  test(`the 64-bit format has CIE references of 8 bytes (§7.4), ${littleEndian ? 'little' : 'big'} endian`, () => {
    const bytes = (): Bytes => new Bytes(littleEndian);
    const cie = bytes()
      .u64(-1n)
      .u8(3)
      .cstring('')
      .uleb(1)
      .sleb(-8)
      .uleb(16)
      .u8(DW_CFA.def_cfa, 7, 8)
      .align(8);
    const out = bytes().u32(0xffffffff).u64(cie.length).bytes(cie.done());
    const fde = bytes().u64(0, 0xffffffff81000000n, 0x100).u8(DW_CFA.advance_loc2).u16(0x10);
    fde.u8(DW_CFA.def_cfa_offset, 24).align(8);
    out.u32(0xffffffff).u64(fde.length).bytes(fde.done());
    const frames = new FrameTable(new Section('.debug_frame', memorySection(out.done()), littleEndian), {
      isEhFrame: false,
      addressSize: 8,
      bases: { section: 0 },
      onProblem: (problem: DwarfError): void => assert.fail(problem),
    });
    assert.deepEqual(frames.rowAt(-0x7f000000)?.cfa, { kind: 'register', register: 7, offset: 8 });
    assert.deepEqual(frames.rowAt(-0x7efffff0)?.cfa, { kind: 'register', register: 7, offset: 24 });
  });
}

test('a CFA register given alone has an offset of 0 (MIPS compilers)', () => {
  const cie = new Bytes()
    .u32(0xffffffff)
    .u8(1)
    .cstring('')
    .uleb(1)
    .sleb(-8)
    .u8(31)
    .u8(DW_CFA.def_cfa_register, 29);
  const out = new Bytes().u32(cie.align(4).length).bytes(cie.done());
  out.sized((fde) => fde.u32(0).u64(0x1000, 0x100));
  assert.deepEqual(row(out.done(), 0x1000).cfa, { kind: 'register', register: 29, offset: 0 });
});

test('remembered states come back, restored registers get the rule of the CIE (§6.4.2.3, §6.4.2.4)', () => {
  const bytes = debugFrame((b) => {
    b.u8(DW_CFA.def_cfa_offset, 32, DW_CFA.remember_state, DW_CFA.advance_loc | 4);
    b.u8(DW_CFA.def_cfa_offset, 8, DW_CFA.offset | 16, 9, DW_CFA.advance_loc | 4);
    b.u8(DW_CFA.restore_state, DW_CFA.advance_loc | 4);
    return b.u8(DW_CFA.offset | 16, 9, DW_CFA.offset | 3, 3, DW_CFA.restore | 16, DW_CFA.restore | 3);
  });
  const offset = (address: number): unknown => row(bytes, address).cfa;
  assert.deepEqual(offset(0x1000), { kind: 'register', register: 7, offset: 32 });
  assert.deepEqual(offset(0x1004), { kind: 'register', register: 7, offset: 8 });
  assert.deepEqual(row(bytes, 0x1004).registers.get(16), { kind: 'offset', offset: -72 });
  assert.deepEqual(offset(0x1008), { kind: 'register', register: 7, offset: 32 });
  assert.deepEqual(row(bytes, 0x100c).registers.get(16), { kind: 'offset', offset: -8 });
  assert.equal(row(bytes, 0x100c).registers.has(3), false);
});

test('every kind of rule is distinguished (§6.4.2.3)', () => {
  const bytes = debugFrame((b) =>
    b
      .u8(DW_CFA.undefined, 1, DW_CFA.same_value, 2, DW_CFA.register, 3, 4)
      .u8(DW_CFA.offset_extended_sf, 5, 0x7f, DW_CFA.val_offset, 6, 2, DW_CFA.val_offset_sf, 8, 0x7e)
      .u8(DW_CFA.expression, 9, 1, 0x50, DW_CFA.val_expression, 10, 1, 0x51)
      .u8(DW_CFA.GNU_args_size, 8, DW_CFA.def_cfa_expression, 2, 0x77, 8),
  );
  const { registers, cfa } = row(bytes, 0x1000);
  assert.deepEqual(registers.get(1), { kind: 'undefined' });
  assert.deepEqual(registers.get(2), { kind: 'sameValue' });
  assert.deepEqual(registers.get(3), { kind: 'register', register: 4 });
  assert.deepEqual(registers.get(5), { kind: 'offset', offset: 8 });
  assert.deepEqual(registers.get(6), { kind: 'valOffset', offset: -16 });
  assert.deepEqual(registers.get(8), { kind: 'valOffset', offset: 16 });
  assert.deepEqual(registers.get(9), { kind: 'expression', expression: Uint8Array.of(0x50) });
  assert.deepEqual(registers.get(10), { kind: 'valExpression', expression: Uint8Array.of(0x51) });
  assert.deepEqual(cfa, { kind: 'expression', expression: Uint8Array.of(0x77, 8) });
});

test('.eh_frame counts CIE references back, decodes relative pointers, marks signal frames (LSB §10.6.1)', () => {
  const cie = new Bytes().u32(0).u8(1).cstring('zRS').uleb(1).sleb(-8).u8(16);
  cie
    .uleb(1)
    .u8(DW_EH_PE.pcrel | DW_EH_PE.sdata4)
    .u8(DW_CFA.def_cfa, 7, 8)
    .align(4);
  const out = new Bytes().u32(cie.length).bytes(cie.done());
  const fdeStart = out.length;
  // pc_begin is at fdeStart + 8 in the section, which is at 0x2000.
  const fde = new Bytes()
    .u32(fdeStart + 4)
    .u32(0x1000 - (0x2000 + fdeStart + 8), 0x40)
    .uleb(0)
    .align(4);
  out.u32(fde.length).bytes(fde.done()).u32(0);
  const found = table(out.done(), true, 0x2000).rowAt(0x1010);
  assert.ok(found);
  assert.equal(found.isSignalFrame, true);
  assert.deepEqual(found.cfa, { kind: 'register', register: 7, offset: 8 });
});

test('mutated frame sections end in rules or in a DwarfError, and report what is broken', () => {
  const seed = debugFrame((b) =>
    b.u8(DW_CFA.advance_loc | 1, DW_CFA.def_cfa_offset, 16, DW_CFA.remember_state, DW_CFA.restore_state),
  );
  const random = seededRandom(5);
  let problems = 0;
  for (let round = 0; round < 5000; round++) {
    const data = new Section('.debug_frame', memorySection(mutate(seed, random)), true);
    const frames = new FrameTable(data, {
      isEhFrame: random() < 0.5,
      addressSize: 8,
      bases: { section: 0 },
      onProblem: () => problems++,
    });
    for (const address of [0x1000, 0x1001, 0x10ff]) {
      try {
        frames.rowAt(address);
      } catch (error) {
        assert.match(String(error), /^(DwarfError|EndOfDataError): /, `round ${round}`);
        problems++;
      }
    }
  }
  assert.ok(problems > 100, `${problems} problems`);
});
