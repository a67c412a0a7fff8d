import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CodeBits, Disassembler, endingAt } from './disassembler.ts';

async function texts(hex: string, bits: CodeBits = 64, address = 0x1000n, base = 0n): Promise<string[]> {
  const disassembler = await Disassembler.load();
  const bytes = Uint8Array.from(Buffer.from(hex, 'hex'));
  return disassembler
    .decode({ address, bytes, bits, base }, 100)
    .map((it) => `${it.address.toString(16)} ${it.text}`);
}

test('the same bytes decode by the width of the code', async () => {
  assert.deepEqual(await texts('4889e5'), ['1000 mov rbp, rsp']);
  assert.deepEqual(await texts('4889e5', 32), ['1000 dec eax', '1001 mov ebp, esp']);
  assert.deepEqual(await texts('b83412', 16), ['1000 mov ax, 0x1234']);
});

test('bytes that are not an instruction are shown one by one, and decoding goes on', async () => {
  assert.deepEqual(await texts('06c3'), ['1000 (bad)', '1001 ret']);
});

test('an instruction cut off by the end of the memory is left out', async () => {
  assert.deepEqual(await texts('9048b811'), ['1000 nop']);
});

test('branch targets are linear; in 16-bit code they wrap in their segment', async () => {
  const disassembler = await Disassembler.load();
  const decode = (hex: string, bits: CodeBits, address: bigint, base: bigint): bigint | undefined =>
    disassembler.decode({ address, bytes: Uint8Array.from(Buffer.from(hex, 'hex')), bits, base }, 1)[0]
      ?.target;
  assert.equal(decode('ebfe', 64, 0x1000n, 0n), 0x1000n);
  assert.equal(decode('488b0510000000', 64, 0x1000n, 0n), 0x1017n);
  assert.equal(decode('e97f00', 16, 0xffff0n, 0xf0000n), 0xf0072n);
});

test('endingAt keeps what leads exactly to the address', async () => {
  const disassembler = await Disassembler.load();
  const bytes = Uint8Array.from(Buffer.from('554889e5c3', 'hex'));
  const decoded = disassembler.decode({ address: 0x1000n, bytes, bits: 64, base: 0n }, 10);
  assert.deepEqual(
    endingAt(decoded, 0x1004n)?.map((it) => it.text),
    ['push rbp', 'mov rbp, rsp'],
  );
  assert.deepEqual(endingAt(decoded, 0x1005n)?.length, 3);
  assert.equal(endingAt(decoded, 0x1002n), undefined);
  assert.equal(endingAt(decoded, 0x1000n), undefined);
});
