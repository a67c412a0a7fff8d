import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CpuRegisters } from '../../vmm-core/protocol/registers.ts';
import { interruptedPc } from './interruptFrame.ts';

const SP = 0x8000n;
const CODE = { start: 0x1000n, end: 0x1010n };
const RFLAGS = 0x1_0202n;

function vcpu(mode: 'long64' | 'real' = 'long64'): CpuRegisters {
  const cs = { selector: 8, base: '0x0' };
  return {
    cpu: 0,
    mode,
    cpl: 0,
    runnable: true,
    values: { rsp: '0x8000' },
    segments: { cs },
  } as unknown as CpuRegisters;
}

function find(words: readonly bigint[], cpu = vcpu()): Promise<bigint | undefined> {
  const padded = [...words, ...Array.from({ length: 16 }, () => 0n)];
  return interruptedPc(
    cpu,
    async (address, lengthBytes) => {
      assert.equal(address, SP);
      return new Uint8Array(BigUint64Array.from(padded).buffer).slice(0, lengthBytes);
    },
    CODE,
  );
}

test('a frame is found with and without an error code, and below a push of the handler', async () => {
  assert.equal(await find([0x1004n, 8n, RFLAGS]), 0x1004n);
  assert.equal(await find([2n, 0x1004n, 8n, RFLAGS]), 0x1004n);
  assert.equal(await find([14n, 2n, 0x1004n, 8n, RFLAGS]), 0x1004n);
});

test('an interrupt after the last instruction returns to the end of the code', async () => {
  assert.equal(await find([0x1010n, 8n, RFLAGS]), 0x1010n);
});

test('a return address alone, another CS, other code or impossible flags are not a frame', async () => {
  assert.equal(await find([0x1004n, 0x7000n, 0x1n]), undefined);
  assert.equal(await find([0x1004n, 0x10n, RFLAGS]), undefined);
  assert.equal(await find([0x2004n, 8n, RFLAGS]), undefined);
  assert.equal(await find([0x1004n, 8n, 0x200n]), undefined);
  assert.equal(await find([0x1004n, 8n, RFLAGS | (1n << 40n)]), undefined);
});

test('16-bit code and an unreadable stack answer nothing', async () => {
  assert.equal(await find([0x1004n, 8n, RFLAGS], vcpu('real')), undefined);
  assert.equal(await interruptedPc(vcpu(), () => Promise.resolve(undefined), CODE), undefined);
});
