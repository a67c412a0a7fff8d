import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CpuMode, CpuRegisters, SegmentValue } from '../../vmm-core/protocol/registers.ts';
import {
  codeBits,
  controlRows,
  decodeBits,
  formatRegister,
  formatSegment,
  generalRows,
  linearPc,
  linearSp,
  registerAlias,
  RFLAGS_BITS,
  withField,
} from './registers.ts';

const FLAT: SegmentValue = {
  selector: 8,
  base: '0x0',
  limit: '0xffffffff',
  type: 0xb,
  dpl: 0,
  present: true,
  s: true,
  l: false,
  db: true,
  g: true,
  avl: false,
  unusable: false,
};

function registers(
  mode: CpuMode,
  values: Record<string, string>,
  segments: Record<string, SegmentValue>,
): CpuRegisters {
  return { cpu: 0, mode, cpl: 0, runnable: true, values, segments };
}

test('bits are named from the highest down; multi-bit fields with their value', () => {
  assert.equal(decodeBits('rflags', 0x3246n), ' [IOPL=3 IF ZF PF]');
  assert.equal(decodeBits('cr0', 0x8005_0033n), ' [PG AM WP NE ET MP PE]');
  assert.equal(decodeBits('efer', 0xd01n), ' [NXE LMA LME SCE]');
  assert.equal(decodeBits('rflags', 2n), ' []');
  assert.equal(decodeBits('rax', 7n), '');
});

test('withField changes one field', () => {
  const iopl = RFLAGS_BITS.find((it) => it.name === 'IOPL');
  assert.ok(iopl);
  assert.equal(withField(0x3246n, iopl, 1n), 0x1246n);
});

test('values are padded to the width of their register', () => {
  assert.equal(formatRegister(0x1fn, 64), '0x000000000000001f');
  assert.equal(formatRegister(0x1fn, 16), '0x001f');
  assert.equal(formatRegister(-1n, 32), '0xffffffff');
});

test('segments say what they are', () => {
  assert.equal(
    formatSegment({ ...FLAT, l: true, db: false }),
    '0x0008 base 0x0 limit 0xffffffff code64 DPL0',
  );
  assert.equal(formatSegment({ ...FLAT, type: 0x3, dpl: 3 }), '0x0008 base 0x0 limit 0xffffffff data DPL3');
  assert.equal(formatSegment({ ...FLAT, s: false }), '0x0008 base 0x0 limit 0xffffffff TSS busy DPL0');
  assert.equal(
    formatSegment({ ...FLAT, present: false, db: false }),
    '0x0008 base 0x0 limit 0xffffffff code16 DPL0 not present',
  );
  assert.equal(formatSegment({ ...FLAT, unusable: true }), '0x0008 unusable');
});

test('registers have the names of the code that uses them', () => {
  assert.deepEqual(
    generalRows('long64')
      .map((it) => it.name)
      .slice(-4),
    ['r14', 'r15', 'rip', 'rflags'],
  );
  assert.deepEqual(
    generalRows('real').map((it) => it.name),
    ['eax', 'ebx', 'ecx', 'edx', 'esi', 'edi', 'ebp', 'esp', 'eip', 'eflags'],
  );
  assert.equal(controlRows('protected32')[0]?.widthBits, 32);
  assert.equal(codeBits('long16'), 16);
  assert.equal(codeBits('long32'), 32);
});

test('aliases are parts of registers', () => {
  assert.deepEqual(registerAlias('ah'), { key: 'rax', widthBits: 8, shift: 8 });
  assert.deepEqual(registerAlias('r9d'), { key: 'r9', widthBits: 32, shift: 0 });
  assert.deepEqual(registerAlias('eip'), { key: 'rip', widthBits: 32, shift: 0 });
  assert.deepEqual(registerAlias('cr3'), { key: 'cr3', widthBits: 64, shift: 0 });
  assert.equal(registerAlias('r16'), undefined);
  assert.equal(registerAlias('constructor'), undefined);
});

test('linear addresses have the segment base, except in 64-bit code; a 16-bit stack wraps', () => {
  const cs = { ...FLAT, base: '0xf0000', db: false };
  const ss = { ...FLAT, base: '0x20000', type: 3, db: false };
  const values = { rip: '0xfff0', rsp: '0x12340010' };
  const real = registers('real', values, { cs, ss });
  assert.equal(linearPc(real), 0xffff0n);
  assert.equal(linearSp(real), 0x20010n);
  const long = registers('long64', values, { cs, ss });
  assert.equal(linearPc(long), 0xfff0n);
  assert.equal(linearSp(long), 0x12340010n);
});
