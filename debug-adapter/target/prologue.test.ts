import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PrologueReader } from './prologue.ts';

/** Base, offset, what is saved and what is kept, at an offset of the code. */
async function layout(
  code: string,
  at: number,
  bits: 32 | 64 = 64,
  isReturnAddress = false,
): Promise<string> {
  const bytes = Uint8Array.from(Buffer.from(code.replaceAll(/[^0-9a-f]/g, ''), 'hex'));
  const found = (await PrologueReader.read({ bytes, bits })).layoutAt(at, isReturnAddress);
  if (found === undefined) return 'unknown';
  const saved = [...found.saved].map(([name, place]) => ` ${name}@${place}`).join('');
  return `${found.base}+${found.offset}${saved} keeps ${found.kept.join(' ')}`;
}

test('a frame with a frame pointer is known from its first instruction to its last', async () => {
  // push rbp; mov rbp, rsp; push rbx; sub rsp, 24; mov rbx, rdi; call +0; mov rbx, [rbp-8]; leave; ret
  const code = '55 4889e5 53 4883ec18 4889fb e800000000 488b5df8 c9 c3';
  assert.equal(await layout(code, 0), 'rsp+8 keeps rbx rbp r12 r13 r14 r15');
  assert.equal(await layout(code, 1), 'rsp+16 rbp@-16 keeps rbx r12 r13 r14 r15');
  assert.equal(await layout(code, 4), 'rbp+16 rbp@-16 keeps rbx r12 r13 r14 r15');
  assert.equal(await layout(code, 9), 'rbp+16 rbp@-16 rbx@-24 keeps r12 r13 r14 r15');
  assert.equal(await layout(code, 21), 'rbp+16 rbp@-16 keeps rbx r12 r13 r14 r15', 'restored');
  assert.equal(await layout(code, 22), 'rsp+8 keeps rbx rbp r12 r13 r14 r15');
});

test('a return address is in the frame that made the call', async () => {
  // sub rsp, 8; call +16; (the end: what is called does not return)
  const code = '4883ec08 e810000000';
  assert.equal(await layout(code, 9, 64, true), 'rsp+16 keeps rbx rbp r12 r13 r14 r15');
  assert.equal(await layout(code, 4, 64, true), 'unknown', 'no call ends there');
});

test('a frame without frame pointer is followed through branches; a stack that differs is not known', async () => {
  // push rbx; test edi, edi; je +2; push r12; (joined) nop; ret
  const uneven = '53 85ff 7402 4154 90 c3';
  assert.equal(await layout(uneven, 5), 'rsp+16 rbx@-16 keeps rbp r12 r13 r14 r15');
  assert.equal(await layout(uneven, 7), 'unknown');
  // test edi, edi; je +6; push rbx; mov ebx, edi; pop rbx; nop; (joined) ret
  const wrapped = '85ff 7405 53 89fb 5b 90 c3';
  assert.equal(await layout(wrapped, 5), 'rsp+16 rbx@-16 keeps rbp r12 r13 r14 r15');
  assert.equal(await layout(wrapped, 9), 'rsp+8 keeps rbx rbp r12 r13 r14 r15');
  // A register that is changed on one path and never saved is not the caller's: test; je +2; mov ebx, edi;
  // ret
  assert.equal(await layout('85ff 7402 89fb c3', 6), 'rsp+8 keeps rbp r12 r13 r14 r15');
});

test('what is behind a jump through a table has the frame of the jump', async () => {
  // sub rsp, 24; jmp [rax*8]; add rsp, 24; ret
  const code = '4883ec18 ff24c500000000 4883c418 c3';
  assert.equal(await layout(code, 11), 'rsp+32 keeps rbx rbp r12 r13 r14 r15');
  assert.equal(await layout(code, 15), 'rsp+8 keeps rbx rbp r12 r13 r14 r15');
  // Without such a jump nothing leads there: jmp +1; nop; ret
  assert.equal(await layout('eb01 90 c3', 2), 'unknown');
});

test('a stack that is aligned or replaced is known by its frame pointer alone', async () => {
  // push rbp; mov rbp, rsp; and rsp, -32; push rbx; ret
  const aligned = '55 4889e5 4883e4e0 53 c3';
  assert.equal(await layout(aligned, 9), 'rbp+16 rbp@-16 keeps rbx r12 r13 r14 r15');
  // lea rsp, [rip+0x1000]; nop
  assert.equal(await layout('488d2500100000 90', 7), 'unknown');
});

test('32-bit code keeps other registers', async () => {
  // push ebp; mov ebp, esp; push edi; push esi; sub esp, 12; nop
  const code = '55 89e5 57 56 83ec0c 90';
  assert.equal(await layout(code, 0, 32), 'rsp+4 keeps rbx rbp rsi rdi');
  assert.equal(await layout(code, 8, 32), 'rbp+8 rbp@-8 rdi@-12 rsi@-16 keeps rbx');
  // call of the next instruction leaves its address on the stack: call +0; pop ebx; ret
  assert.equal(await layout('e800000000 5b c3', 5, 32), 'rsp+8 keeps rbx rbp rsi rdi');
  assert.equal(await layout('e800000000 5b c3', 6, 32), 'rsp+4 keeps rbp rsi rdi');
});

test('any bytes end in an answer', async () => {
  let seed = 1;
  const next = (): number => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 16;
  for (let round = 0; round < 300; round++) {
    const bytes = Uint8Array.from({ length: 200 }, () => next() & 0xff);
    const reader = await PrologueReader.read({ bytes, bits: round % 2 === 0 ? 64 : 32 });
    for (let at = 0; at < bytes.length; at++) {
      reader.layoutAt(at, false);
      reader.layoutAt(at, true);
    }
  }
});
