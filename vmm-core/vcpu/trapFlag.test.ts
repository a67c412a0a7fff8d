import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunPage } from '../../test/support/runPage.ts';
import { CR0_PE, EFER_LMA } from '../abi/x86.ts';
import { allocateGuestMemory, gpa, type GuestMemory } from '../memory/guestMemory.ts';
import { hideTrapFlag, noteStepStart } from './trapFlag.ts';

const PAGE_FAULT_CODE = 2n;
const CS = 8n;
const TF = 0x100n;
const FLAGS = 0x1_0002n; // RF, as faults push it
const MOV = Uint8Array.of(0x48, 0x89, 0x02);
const PUSHF = Uint8Array.of(0x9c);
const AT = 0x1000n;
const HANDLER = 0x5000n;
const STACK = 0x8000n;

interface State {
  readonly rip: bigint;
  readonly rsp: bigint;
  readonly rflags?: bigint;
}

/** A vCPU in 64-bit code with paging off, which the page walk takes for identity, and its memory. */
function machine() {
  const page = new RunPage();
  const { run } = page;
  const cs = { ...run.readSystem().cs, selector: 8, l: true };
  page.setSystem({ cs, cr0: CR0_PE, efer: EFER_LMA });
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: 0x10000 }]);
  const set = (state: State): void => page.setGeneral({ rflags: 2n, ...state });
  const push = (words: readonly bigint[]): bigint => {
    const top = STACK - BigInt(words.length * 8);
    const view = new DataView(memory.slots[0]?.bytes.buffer ?? assert.fail('no RAM'));
    words.forEach((word, i) => view.setBigUint64(Number(top) + i * 8, word, true));
    return top;
  };
  const word = (address: bigint): bigint => readWord(memory, address);
  return { run, memory, set, push, word };
}

function readWord(memory: GuestMemory, address: bigint): bigint {
  const bytes = memory.slice(gpa(address), 8);
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** Steps the instruction into a handler that finds `words` on its stack; the word at `index` afterwards. */
function afterFault(words: readonly bigint[], index: number, rflags = FLAGS): bigint {
  const { run, memory, set, push, word } = machine();
  set({ rip: AT, rsp: STACK, rflags });
  const start = noteStepStart(run, { bytes: MOV, bits: 64 });
  const rsp = push(words);
  set({ rip: HANDLER, rsp });
  hideTrapFlag(run, memory, start);
  return word(rsp + BigInt(index * 8));
}

test('the RFLAGS of an exception frame lose the TF of our step', () => {
  assert.equal(afterFault([AT, CS, FLAGS | TF, STACK, 0n], 2), FLAGS);
});

test('an error code, and a push by the first instruction of the handler, may be below the frame', () => {
  assert.equal(afterFault([PAGE_FAULT_CODE, AT, CS, FLAGS | TF, STACK, 0n], 3), FLAGS);
  assert.equal(afterFault([14n, PAGE_FAULT_CODE, AT, CS, FLAGS | TF, STACK, 0n], 4), FLAGS);
});

test('an interrupt taken after the instruction pushed the RIP after it', () => {
  assert.equal(afterFault([AT + BigInt(MOV.length), CS, FLAGS | TF, STACK, 0n], 2), FLAGS);
});

test('a guest that single steps itself keeps the TF it pushed', () => {
  assert.equal(afterFault([AT, CS, FLAGS | TF, STACK, 0n], 2, FLAGS | TF), FLAGS | TF);
});

test('a stack that only resembles a frame is left alone', () => {
  assert.equal(afterFault([AT, CS + 8n, FLAGS | TF, STACK, 0n], 2), FLAGS | TF); // another CS
  assert.equal(afterFault([AT - 1n, CS, FLAGS | TF, STACK, 0n], 2), FLAGS | TF); // another instruction
  // not RFLAGS
  assert.equal(afterFault([AT, CS, FLAGS | TF | (1n << 40n), STACK, 0n], 2), FLAGS | TF | (1n << 40n));
});

test('pushf pushes no TF of ours', () => {
  const { run, memory, set, push, word } = machine();
  set({ rip: AT, rsp: STACK });
  const start = noteStepStart(run, { bytes: PUSHF, bits: 64 });
  const rsp = push([FLAGS | TF]);
  set({ rip: AT + 1n, rsp });
  hideTrapFlag(run, memory, start);
  assert.equal(word(rsp), FLAGS);
});

test('an instruction that just continued is not examined', () => {
  const { run, memory, set, push, word } = machine();
  set({ rip: AT, rsp: STACK });
  const start = noteStepStart(run, { bytes: MOV, bits: 64 });
  const rsp = push([AT, CS, FLAGS | TF]);
  set({ rip: AT + BigInt(MOV.length), rsp });
  hideTrapFlag(run, memory, start);
  assert.equal(word(rsp + 16n), FLAGS | TF);
});
