import assert from 'node:assert/strict';
import { test } from 'node:test';
import { longMode, protectedMode, realMode, segment } from '../../test/support/registerStates.ts';
import { codeBits, isCall, isHalt, isPushFlags } from './instruction.ts';

const of = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

test('the width of code follows CR0.PE, EFER.LMA, CS.L and CS.D', () => {
  assert.equal(codeBits(realMode()), 16);
  assert.equal(codeBits(protectedMode()), 32);
  assert.equal(codeBits(protectedMode({ cs: segment({ db: false }) })), 16);
  assert.equal(codeBits(longMode()), 64);
  assert.equal(codeBits(longMode({ cs: segment({ l: false, db: true }) })), 32);
  assert.equal(codeBits(longMode({ cs: segment({ l: false, db: false }) })), 16);
});

test('near calls are calls in every mode, with and without prefixes', () => {
  for (const bits of [16, 32, 64] as const) {
    assert.equal(isCall(of(0xe8, 1, 2, 3, 4), bits), true, 'call rel');
    assert.equal(isCall(of(0xff, 0xd0), bits), true, 'call *%rax');
    assert.equal(isCall(of(0xff, 0x10), bits), true, 'call *(%rax)');
    assert.equal(isCall(of(0xff, 0x18), bits), true, 'lcall *(%rax)');
    assert.equal(isCall(of(0x66, 0xe8, 1, 2), bits), true, 'operand size');
    assert.equal(isCall(of(0x2e, 0xff, 0x10), bits), true, 'cs:');
    assert.equal(isCall(of(0xf2, 0xff, 0xd0), bits), true, 'bnd');
  }
  assert.equal(isCall(of(0x41, 0xff, 0xd3), 64), true, 'call *%r11');
  assert.equal(isCall(of(0x48, 0xff, 0xd0), 64), true);
});

test('a far call by an immediate exists outside 64-bit code only', () => {
  assert.equal(isCall(of(0x9a, 0, 0, 0, 0, 8, 0), 32), true);
  assert.equal(isCall(of(0x9a, 0, 0, 8, 0), 16), true);
  assert.equal(isCall(of(0x9a, 0, 0, 0, 0, 8, 0), 64), false);
});

test('jumps, pushes and increments of the same opcode group are not calls', () => {
  for (const modrm of [0xe0, 0x20, 0xe8, 0x28, 0xf0, 0x30, 0xc0, 0x00, 0xc8]) {
    assert.equal(isCall(of(0xff, modrm), 64), false, `ff ${modrm.toString(16)}`);
  }
  for (const opcode of [0xc3, 0xeb, 0xe9, 0x90, 0xcd, 0x0f])
    assert.equal(isCall(of(opcode, 0xd0), 64), false);
});

test('40 to 4f are REX prefixes in 64-bit code and instructions elsewhere', () => {
  assert.equal(isCall(of(0x41, 0xe8, 0, 0, 0, 0), 64), true);
  assert.equal(isCall(of(0x41, 0xe8, 0, 0, 0, 0), 32), false, 'inc %ecx');
  assert.equal(isHalt(of(0x48, 0xf4), 64), true);
  assert.equal(isHalt(of(0x48, 0xf4), 32), false, 'dec %eax');
});

test('hlt and pushf are told by their opcode, after prefixes too', () => {
  assert.equal(isHalt(of(0xf4), 16), true);
  assert.equal(isHalt(of(0xf3, 0xf4), 32), true);
  assert.equal(isHalt(of(0xf5), 32), false);
  assert.equal(isPushFlags(of(0x9c), 64), true);
  assert.equal(isPushFlags(of(0x66, 0x9c), 32), true);
  assert.equal(isPushFlags(of(0x9d), 32), false);
});

test('bytes that end within an instruction, or are prefixes only, are nothing', () => {
  for (const bytes of [of(), of(0x66), of(...new Array<number>(15).fill(0x2e)), of(0xff), of(0x41)]) {
    assert.equal(isHalt(bytes, 64), false);
    assert.equal(isCall(bytes, 64), false);
  }
});
