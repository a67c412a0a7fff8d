import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRegisters, encodeRegisters, registerName } from './oneReg.ts';

const GUEST_SSP = 0x2030_0003_0000_0000n; // as api.rst writes it

test('the shadow stack pointer is named, others are numbers', () => {
  assert.equal(registerName(GUEST_SSP), 'KVM_REG_GUEST_SSP');
  assert.equal(registerName(GUEST_SSP + 1n), 'KVM_REG_<0x2030000300000001>');
});

test('a saved state reads back, at any place in a buffer', () => {
  const registers = [
    { id: GUEST_SSP, value: 0x7fff_ffff_f000n },
    { id: GUEST_SSP + 1n, value: 2n ** 64n - 1n },
  ];
  const bytes = encodeRegisters(registers);
  const within = new Uint8Array(bytes.length + 3);
  within.set(bytes, 3);
  assert.deepEqual(decodeRegisters(within.subarray(3)), registers);
  assert.deepEqual(decodeRegisters(encodeRegisters([])), []);
});
