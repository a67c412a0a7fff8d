/**
 * The kernel's ORC tables compared with its .debug_frame, where code has both: the same caller, whatever the
 * registers. And what only ORC knows: the entries of interrupts, exceptions and system calls.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Range, toSigned, toUnsigned } from '../../../debug-adapter/dwarf/address.ts';
import { type FrameRow, FrameTable } from '../../../debug-adapter/dwarf/cfi.ts';
import type { DwarfError } from '../../../debug-adapter/dwarf/dwarfError.ts';
import { DwarfFile } from '../../../debug-adapter/dwarf/dwarfFile.ts';
import { OrcTable } from '../../../debug-adapter/dwarf/orc.ts';
import { applyFrameRow } from '../../../debug-adapter/dwarf/unwind.ts';
import { codeRanges, elfSectionLoader, placed } from '../../../debug-adapter/symbols/files/imageSections.ts';
import { openFileSource } from '../../../vmm-core/client/fileSource.ts';
import { ET_REL } from '../../../vmm-core/elf/elfConstants.ts';
import { type ElfFile, findSection, parseElf } from '../../../vmm-core/elf/elfFile.ts';
import { Bytes, seededRandom } from '../../support/bytes.ts';
import { openImage } from '../compile.ts';
import { type KernelFiles, kernelFiles } from './kernelFiles.ts';

const ADDRESSES = 4000;
const MODULES = 5;
const [RBP, RSP, RIP] = [6, 7, 16];

let files: KernelFiles | string = 'not fetched';

before(async () => {
  files = await kernelFiles();
});

test('ORC and call frame information of vmlinux and its modules lead to the same callers', async (t) => {
  if (typeof files === 'string') return t.skip(files);
  for (const path of [files.vmlinux, ...files.modules.slice(0, MODULES)]) {
    const { compared, different } = await compare(path);
    assert.ok(compared > ADDRESSES / 4, `${compared} compared in ${path}`);
    assert.deepEqual(different, [], path);
  }
});

test('entries of interrupts, exceptions and system calls lead to what they interrupted', (t) => {
  if (typeof files === 'string') return t.skip(files);
  const image = openImage(files.vmlinux);
  const rules = (name: string, offset: bigint): Record<string, string> => {
    const start = image.symbolByName(name)?.address;
    assert.ok(start !== undefined, name);
    return { ...image.describeFrame(start + offset)?.registers };
  };
  // The processor pushed an error code, then rip, cs, rflags, rsp and ss.
  assert.deepEqual(rules('asm_exc_page_fault', 0n), { rsp: '[cfa + 24]', rip: '[cfa]' });
  // All of pt_regs is on the stack when the way back begins.
  const saved = rules('common_interrupt_return', 0n);
  assert.deepEqual([saved['rbx'], saved['rsp'], saved['rip']], ['[cfa + 40]', '[cfa + 152]', '[cfa + 128]']);
  // A system call comes from user space: its entry is where the kernel's stack ends.
  assert.deepEqual(rules('entry_SYSCALL_64', 0n), { rip: 'undefined' });
  assert.deepEqual(image.problems(), []);
});

async function compare(path: string): Promise<{ compared: number; different: string[] }> {
  const image = openImage(path);
  const elf = placed(parseElf(openFileSource(path)), undefined);
  const { cfi, orc } = openTables(elf);
  const code = codeRanges(elf);
  const random = seededRandom(7);
  const different: string[] = [];
  let compared = 0;
  for (let count = 0; count < ADDRESSES; count++) {
    // The start of a statement is one of an instruction: inside an instruction that is patched at run time
    // ORC covers both forms.
    const start = image.lineAt(toUnsigned(anywhere(code, random)))?.range.start;
    if (start === undefined) continue;
    const address = toSigned(start);
    const [known, ours] = [cfi.rowAt(address), orc.rowAt(address)];
    if (known === undefined || ours === undefined) continue;
    compared++;
    const [expected, actual] = [await caller(known), await caller(ours)];
    if (expected !== actual) different.push(`0x${start.toString(16)}: ${actual}, .debug_frame ${expected}`);
  }
  return { compared, different };
}

function openTables(elf: ElfFile): { cfi: FrameTable; orc: OrcTable } {
  const onProblem = (problem: DwarfError | string): never => assert.fail(String(problem));
  const dwarf = new DwarfFile(elfSectionLoader(elf, {}, onProblem), { littleEndian: true, onProblem });
  const options = { isEhFrame: false, addressSize: 8, bases: { section: 0 }, onProblem };
  return {
    cfi: new FrameTable(dwarf.requireSection('.debug_frame'), options),
    orc: new OrcTable({
      ip: dwarf.requireSection('.orc_unwind_ip'),
      ipAddress: toSigned(findSection(elf, '.orc_unwind_ip')?.address ?? 0n),
      entries: dwarf.requireSection('.orc_unwind'),
      header: dwarf.section('.orc_header'),
      isSorted: elf.type !== ET_REL,
    }),
  };
}

/**
 * What a row makes of registers and memory that are all different: the stack pointer, the frame pointer, the
 * return address.
 */
async function caller(row: FrameRow): Promise<string> {
  const context = {
    addressSize: 8,
    littleEndian: true,
    is64: false,
    version: 5,
    relocate: (address: bigint) => address,
    register: (register: number) => 0x10_0000n + 0x1_0000n * BigInt(register),
    memory: async (address: bigint) => new Bytes().u64(3n * address).done(),
  };
  const options = { stackPointer: RSP, registerNumbers: [RBP, RSP, RIP], keeps: () => true };
  const { cfa, registers } = await applyFrameRow(row, context, options);
  return [cfa, ...[RBP, RSP, RIP].map((it) => registers.get(it))].map((it) => it?.toString(16)).join();
}

function anywhere(code: readonly Range[], random: () => number): number {
  const total = code.reduce((sum, { start, end }) => sum + end - start, 0);
  let at = Math.floor(random() * total);
  for (const { start, end } of code) {
    if (at < end - start) return start + at;
    at -= end - start;
  }
  return 0;
}
