/**
 * Which of an image's tables finds a caller: call frame information, ORC, the frame pointer, in that order.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from '../../../test/support/bytes.ts';
import { buildElf } from '../../../test/support/dwarfBuilderElf.ts';
import { bytesSource } from '../../../vmm-core/elf/byteSource.ts';
import { DW_CFA } from '../../dwarf/sectionConstants.ts';
import { openSymbolImage } from '../openSymbolImage.ts';
import type { SymbolImage } from '../symbolImage.ts';
import type { FrameContext } from './frameContext.ts';

/*
 * Code from T on: [T, T+0x10) has call frame information, [T+0x10, T+0x20) too and is the outermost, [T+0x20,
 * T+0x30) is an interrupt entry that ORC knows, [T+0x30, T+0x40) an end of stack by ORC, the rest has no
 * entry of any table.
 */
const T = 0xffffffff81000000n;
const ORC_IP = 0xffffffff82000000n;
const SP = 0x1000n;

function open(): SymbolImage {
  const cie = new Bytes().u32(0xffffffff).u8(4).cstring('').u8(8, 0).uleb(1).sleb(-8).uleb(16);
  cie.u8(DW_CFA.def_cfa, 7, 16, DW_CFA.offset | 16, 1).align(4);
  const frames = new Bytes().u32(cie.length).bytes(cie.done());
  frames.sized((fde) => fde.u32(0).u64(T, 0x10).align(4));
  frames.sized((fde) =>
    fde
      .u32(0)
      .u64(T + 0x10n, 0x10)
      .u8(DW_CFA.undefined, 16)
      .align(4),
  );
  const ip = new Bytes();
  for (const offset of [0, 0x20, 0x21, 0x30, 0x40])
    ip.u32(Number(BigInt.asUintN(32, T + BigInt(offset) - ORC_IP - BigInt(ip.length))));
  // sp_reg SP (5): calls, then pt_regs on the stack (type 1 at bit 8), the end (bit 10), nothing.
  const orc = new Bytes();
  for (const [spOffset, bits] of [
    [99, 5],
    [0, 0x105],
    [0, 0x105],
    [0, 0x400],
    [0, 0],
  ] as const)
    orc.u16(spOffset, 0, bits);
  const code = { name: '.text', flags: 6, address: T, bytes: new Uint8Array(0x80) };
  return openSymbolImage(
    bytesSource(
      'kernel',
      buildElf({
        sections: [
          code,
          { name: '.debug_frame', bytes: frames.done() },
          { name: '.orc_unwind_ip', flags: 2, address: ORC_IP, bytes: ip.done() },
          { name: '.orc_unwind', flags: 2, bytes: orc.done() },
        ],
      }),
    ),
  );
}

/** Memory holds an address of the code wherever it is read. */
function frameAt(address: bigint): FrameContext {
  const registers = new Map([
    ['rip', address],
    ['rsp', SP],
    ['rbp', SP + 0x20n],
    ['rbx', 0xbbn],
  ]);
  return { registers, memory: { read: async (at) => new Bytes().u64(T + (at & 0x3fn)).done() } };
}

test('call frame information comes first: ORC knows another caller there', async () => {
  const caller = await open().unwindFrame(frameAt(T + 4n));
  assert.equal(caller?.method, 'cfi');
  assert.equal(caller.cfa, SP + 16n);
  assert.equal(caller.registers.get('rbx'), 0xbbn);
});

test('code that only ORC knows is unwound by it; an interrupt gives back every register', async () => {
  const caller = await open().unwindFrame(frameAt(T + 0x24n));
  assert.equal(caller?.method, 'orc');
  assert.equal(caller.isSignalFrame, true);
  assert.equal(caller.savedAt.get('rip'), SP + 0x80n);
  assert.equal(caller.registers.get('rbx'), T + 0x28n);
});

test('code of no table follows the frame pointer', async () => {
  const caller = await open().unwindFrame(frameAt(T + 0x44n));
  assert.equal(caller?.method, 'framePointer');
  assert.equal(caller.savedAt.get('rip'), SP + 0x28n);
});

test('a frame that the tables call the outermost has no caller; one that they do not know may have', async () => {
  const image = open();
  for (const [offset, isOutermost] of [
    [0x14n, true],
    [0x34n, true],
    [4n, false],
    [0x24n, false],
    [0x44n, false],
    [0x1000n, false],
  ] as const) {
    assert.equal(image.isOutermost(frameAt(T + offset)), isOutermost, `at T+0x${offset.toString(16)}`);
    if (isOutermost) assert.equal(await image.unwindFrame(frameAt(T + offset)), undefined);
  }
});

test('ORC is not asked about addresses outside the code: its last entry has no end', async () => {
  const caller = await open().unwindFrame(frameAt(T + 0x100000n));
  assert.notEqual(caller?.method, 'orc');
});
