import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from '../../test/support/bytes.ts';
import type { FrameRow } from './cfi.ts';
import { OrcTable } from './orc.ts';
import { Section, memorySection } from './section.ts';
import { applyFrameRow } from './unwind.ts';

/** sp_reg and bp_reg of arch/x86/include/asm/orc_types.h. */
const [UNDEFINED, PREV_SP, DX, DI, BP, SP, R10, R13, BP_INDIRECT, SP_INDIRECT] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
];
/** Types before 6.4. */
const [CALL, REGS, REGS_PARTIAL] = [0, 1, 2];

const IP_SECTION = 0xffffffff82000000n;
const TEXT = 0xffffffff81000000n;
/** As the reader holds it: signed. */
const at = (offset: number): number => Number(BigInt.asIntN(64, TEXT)) + offset;

interface Entry {
  readonly at: number;
  readonly spOffset?: number;
  readonly bpOffset?: number;
  readonly spReg?: number;
  readonly bpReg?: number;
  /** What is above bp_reg, shifted down by 8. */
  readonly kind?: number;
}

function table(entries: readonly Entry[], options: { header?: string; isSorted?: boolean } = {}): OrcTable {
  const ip = new Bytes();
  const unwind = new Bytes();
  for (const { at: offset, spOffset = 0, bpOffset = 0, spReg = SP, bpReg = UNDEFINED, kind = 0 } of entries) {
    ip.u32(Number(BigInt.asUintN(32, TEXT + BigInt(offset) - IP_SECTION - BigInt(ip.length))));
    unwind.u16(spOffset & 0xffff, bpOffset & 0xffff, spReg | (bpReg << 4) | (kind << 8));
  }
  const section = (name: string, bytes: Uint8Array): Section => new Section(name, memorySection(bytes), true);
  const { header, isSorted = true } = options;
  return new OrcTable({
    ip: section('.orc_unwind_ip', ip.done()),
    ipAddress: Number(BigInt.asIntN(64, IP_SECTION)),
    entries: section('.orc_unwind', unwind.done()),
    header:
      header === undefined ? undefined : section('.orc_header', Uint8Array.from(Buffer.from(header, 'hex'))),
    isSorted,
  });
}

/**
 * The caller's registers by DWARF number: registers hold 0x1000 + 0x100 times their number, memory each
 * address plus 1.
 */
async function caller(row: FrameRow | undefined): Promise<Record<string, bigint | undefined>> {
  assert.ok(row);
  const word = (value: bigint): Uint8Array => new Bytes().u64(value).done();
  const found = await applyFrameRow(
    row,
    {
      addressSize: 8,
      littleEndian: true,
      is64: false,
      version: 5,
      relocate: (address) => address,
      register: (register) => 0x1000n + 0x100n * BigInt(register),
      memory: async (address) => word(address + 1n),
    },
    { stackPointer: 7, registerNumbers: [3, 6, 7, 16], keeps: () => true },
  );
  const { registers } = found;
  return {
    cfa: found.cfa,
    rbx: registers.get(3),
    rbp: registers.get(6),
    rsp: registers.get(7),
    rip: registers.get(16),
  };
}

const RSP = 0x1700n;
const RBP = 0x1600n;

test('an entry holds from its address to the next one', () => {
  const orc = table([
    { at: 0, spOffset: 8 },
    { at: 1, spOffset: 16 },
    { at: 0x100, spReg: UNDEFINED },
  ]);
  const offset = (address: number): unknown =>
    (orc.rowAt(address)?.cfa as { offset: number } | undefined)?.offset;
  assert.equal(offset(at(-1)), undefined);
  assert.equal(offset(at(0)), 8);
  assert.equal(offset(at(1)), 16);
  assert.equal(offset(at(0xff)), 16);
  assert.equal(orc.rowAt(at(0x100)), undefined, 'nothing is known there');
});

test('a call leaves the return address below the previous stack pointer; other registers are not followed', async () => {
  const orc = table([{ at: 0, spOffset: 32, bpReg: PREV_SP, bpOffset: -16, kind: CALL }]);
  const row = orc.rowAt(at(0));
  assert.equal(row?.isSignalFrame, false);
  assert.deepEqual(await caller(row), {
    cfa: RSP + 32n,
    rbx: undefined,
    rbp: RSP + 32n - 16n + 1n,
    rsp: RSP + 32n,
    rip: RSP + 32n - 8n + 1n,
  });
});

test('the frame pointer stays where the entry says nothing of it, or is saved relative to itself', async () => {
  assert.equal((await caller(table([{ at: 0, spOffset: 8 }]).rowAt(at(0))))['rbp'], RBP);
  const saved = table([{ at: 0, spOffset: 8, bpReg: BP, bpOffset: -24 }]).rowAt(at(0));
  assert.equal((await caller(saved))['rbp'], RBP - 24n + 1n);
});

test('the previous stack pointer is found in each register that code uses for it', async () => {
  const cfa = async (spReg: number, spOffset: number): Promise<bigint | undefined> =>
    (await caller(table([{ at: 0, spReg, spOffset }]).rowAt(at(0))))['cfa'];
  assert.equal(await cfa(SP, -8), RSP - 8n);
  assert.equal(await cfa(BP, 16), RBP + 16n);
  assert.equal(await cfa(SP_INDIRECT, 40), RSP + 1n + 40n, 'the offset is added to what was loaded');
  assert.equal(await cfa(BP_INDIRECT, -8), RBP - 8n + 1n, 'the offset is added before loading');
  assert.equal(await cfa(R10, 0), 0x1000n + 0xa00n);
  assert.equal(await cfa(R13, 0), 0x1000n + 0xd00n);
  assert.equal(await cfa(DI, 0), 0x1500n);
  assert.equal(await cfa(DX, 0), 0x1100n);
  assert.equal(table([{ at: 0, spReg: 15 }]).rowAt(at(0)), undefined, 'unknown ones are not an error');
});

test('an interrupt with all registers saved gives them all back (struct pt_regs)', async () => {
  const row = table([{ at: 0, kind: REGS }]).rowAt(at(0));
  assert.equal(row?.isSignalFrame, true, 'its pc is not a return address');
  assert.deepEqual(await caller(row), {
    cfa: RSP,
    rbx: RSP + 0x28n + 1n,
    rbp: RSP + 0x20n + 1n,
    rsp: RSP + 0x98n + 1n,
    rip: RSP + 0x80n + 1n,
  });
});

test('an interrupt just entered has what the processor pushed; the other registers are still its', async () => {
  const orc = table([{ at: 0, spOffset: 8, kind: REGS_PARTIAL }, { at: 1 }, { at: 2 }]);
  const row = orc.rowAt(at(0));
  assert.equal(row?.isSignalFrame, true);
  assert.deepEqual(await caller(row), {
    cfa: RSP + 8n,
    rbx: 0x1300n,
    rbp: RBP,
    rsp: RSP + 8n + 0x18n + 1n,
    rip: RSP + 8n + 1n,
  });
});

const HEADER_6_3 = 'db84aed4103b31dd51e017f8f79783ca985c2c51';
const HEADER_6_4 = 'fe5d32bf581bd63b2ca9a5c65ba5a625eab3fe24';

test('where the stack ends there is no caller, in every version of the format', async () => {
  const calls = (kind: number): Entry[] => [0, 1, 2].map((offset) => ({ at: offset, spOffset: 8, kind }));
  const end = (kind: number): Entry => ({ at: 8, spReg: UNDEFINED, kind });
  const versions = [
    { orc: table([...calls(0), end(1 << 2)]), what: 'original: type:2, end:1' },
    { orc: table([...calls(0), end(1 << 3)]), what: '6.3 by its bits: type:2, signal:1, end:1' },
    { orc: table([...calls(0), end(1 << 3)], { header: HEADER_6_3 }), what: '6.3 by its header' },
    { orc: table([...calls(2), end(1)]), what: '6.4 by its bits: type:3, signal:1' },
    { orc: table([...calls(2), end(1)], { header: HEADER_6_4 }), what: '6.4 by its header' },
    { orc: table([...calls(2), end(1)], { header: '00'.repeat(20) }), what: 'a later header' },
  ];
  for (const { orc, what } of versions) {
    assert.deepEqual(orc.rowAt(at(8))?.registers.get(16), { kind: 'undefined' }, what);
    assert.equal((await caller(orc.rowAt(at(1))))['rip'], RSP + 1n, what);
  }
});

test('since 6.3 a frame found through registers says itself whether it was interrupted', () => {
  const calls = [0, 1, 2].map((offset) => ({ at: offset, kind: 2 }));
  const orc = table([
    ...calls,
    { at: 8, kind: 3 | (1 << 3) },
    { at: 9, kind: 3 },
    { at: 10, kind: 4 | (1 << 3) },
  ]);
  assert.equal(orc.rowAt(at(8))?.isSignalFrame, true);
  assert.equal(orc.rowAt(at(9))?.isSignalFrame, false);
  assert.equal(orc.rowAt(at(9))?.registers.size, 17, 'all of pt_regs');
  assert.equal(orc.rowAt(at(10))?.registers.size, 2, 'the part the processor pushes');
  const older = table([{ at: 0, kind: REGS | (1 << 2) }], { header: HEADER_6_3 });
  assert.equal(older.rowAt(at(0))?.isSignalFrame, true);
  assert.equal(table([{ at: 0, kind: REGS }], { header: HEADER_6_3 }).rowAt(at(0))?.isSignalFrame, false);
});

test("a module's entries are in the order of its sections, not of its addresses", () => {
  const orc = table(
    [
      { at: 0x200, spOffset: 24 },
      { at: 0x100, spOffset: 16 },
      { at: 0, spOffset: 8 },
      { at: 0x100, spOffset: 40 },
    ],
    { isSorted: false },
  );
  const offset = (address: number): unknown => (orc.rowAt(at(address))?.cfa as { offset: number }).offset;
  assert.deepEqual([0, 0xff, 0x100, 0x1ff, 0x300].map(offset), [8, 8, 40, 40, 24]);
});

test('tables without entries know nothing', () => {
  assert.equal(table([]).rowAt(at(0)), undefined);
});
