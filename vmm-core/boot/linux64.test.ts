import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  board,
  SPIN,
  bootError,
  elfImage,
  guestString,
  ram,
  request,
  source,
} from '../../test/support/kernelImages.ts';
import { BOOT_PARAMS_E820_TABLE, BootE820Entry, BootParams } from '../abi/bootParams.ts';
import { CR0_PE, CR0_PG, CR4_PAE, EFER_LMA, EFER_LME } from '../abi/x86.ts';
import { e820Map } from '../firmware/e820.ts';
import { loadKernel } from '../machine/loadKernel.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { GIB, MIB, PAGE_BYTES } from '../memory/layout.ts';
import type { BootState } from './bootState.ts';

function zeroPageView(memory: GuestMemory, state: BootState): DataView {
  const bytes = memory.slice(gpa(state.regs.rsi ?? 0n), BootParams.size);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function boot(
  memory = ram(),
  more: Parameters<typeof request>[1] = {},
): { memory: GuestMemory; state: BootState } {
  return { memory, state: loadKernel(request(elfImage(), { memory, ...more })) };
}

test('segments go to their physical addresses, bss is zero, RIP is the ELF entry', () => {
  const memory = ram();
  memory.slice(gpa(MIB), 4 * PAGE_BYTES).fill(0xff);
  const code = Uint8Array.of(0x90, ...SPIN);
  const image = elfImage({
    entry: MIB + 1,
    segments: [
      { physicalAddress: MIB, virtualAddress: 0xffffffff81000000n, bytes: code, memoryBytes: PAGE_BYTES },
      { physicalAddress: 2 * MIB, virtualAddress: 0xffffffff82000000n, bytes: Uint8Array.of(1, 2, 3) },
    ],
  });
  const state = loadKernel(request(image, { memory }));
  assert.equal(state.entry, BigInt(MIB + 1));
  assert.deepEqual(Array.from(memory.slice(gpa(MIB), 3)), [0x90, 0xeb, 0xfe]);
  assert.ok(memory.slice(gpa(MIB + 3), PAGE_BYTES - 3).every((byte) => byte === 0));
  assert.equal(memory.readU8(gpa(MIB + PAGE_BYTES)), 0xff);
  assert.deepEqual(Array.from(memory.slice(gpa(2 * MIB), 3)), [1, 2, 3]);
});

test('the CPU is in long mode with paging on (64-bit boot protocol)', () => {
  const { sregs, regs } = boot().state;
  assert.equal(sregs.cr0 & (CR0_PE | CR0_PG), CR0_PE | CR0_PG);
  assert.equal(sregs.cr4, CR4_PAE);
  assert.equal(sregs.efer, EFER_LME | EFER_LMA);
  assert.ok(sregs.cs.l && !sregs.cs.db);
  assert.equal(regs.rflags, 2n);
});

test('selectors are __BOOT_CS 0x10 and __BOOT_DS 0x18 (64-bit boot protocol)', () => {
  const { sregs } = boot().state;
  assert.equal(sregs.cs.selector, 0x10);
  for (const segment of [sregs.ds, sregs.es, sregs.ss]) assert.equal(segment.selector, 0x18);
});

test('the GDT in RAM describes the same segments', () => {
  const { memory, state } = boot();
  const { base, limit } = state.sregs.gdt;
  assert.equal(limit, 47);
  assert.equal(memory.readU64(gpa(base + 0x10n)), 0x00af9b000000ffffn);
  assert.equal(memory.readU64(gpa(base + 0x18n)), 0x00cf93000000ffffn);
  assert.equal(memory.readU64(gpa(base + 0x20n)), 0x00008b0000000067n);
  assert.equal(memory.readU64(gpa(base)), 0n);
});

test('the first 4 GiB are mapped one to one', () => {
  const { memory, state } = boot();
  for (const address of [0, 0x7000, MIB, 32 * MIB + 5, GIB, 3 * GIB - 1, 0xfee00000, 4 * GIB - 1]) {
    assert.equal(walk(memory, state.sregs.cr3, BigInt(address)), BigInt(address));
  }
  assert.equal(walk(memory, state.sregs.cr3, BigInt(4 * GIB)), undefined);
});

/** A page walk as the CPU does it, for present, writable 2 MiB mappings (SDM 3A §4.5). */
function walk(memory: GuestMemory, cr3: bigint, address: bigint): bigint | undefined {
  let table = cr3;
  for (const shift of [39n, 30n, 21n]) {
    const entry = memory.readU64(gpa(table + 8n * ((address >> shift) & 0x1ffn)));
    if ((entry & 3n) !== 3n) return undefined;
    const frame = entry & 0x000f_ffff_ffff_f000n;
    if (shift === 21n) return (entry & 0x80n) === 0n ? undefined : frame | (address & 0x1fffffn);
    table = frame;
  }
  return undefined;
}

test('RSI is the zero page, with the magics, loader type 0xff, and a zero sentinel', () => {
  const { memory, state } = boot();
  const params = BootParams.read(zeroPageView(memory, state));
  assert.equal(params.boot_flag, 0xaa55);
  assert.equal(params.header, 0x53726448);
  assert.equal(params.type_of_loader, 0xff);
  assert.equal(params.sentinel, 0);
  assert.notEqual(params.kernel_alignment, 0);
});

test('the zero page has the e820 map', () => {
  const { memory, state } = boot(ram(4 * GIB));
  const view = zeroPageView(memory, state);
  const map = Array.from({ length: BootParams.read(view).e820_entries }, (_, index) => {
    const { addr, size, type } = BootE820Entry.read(view, BOOT_PARAMS_E820_TABLE + 20 * index);
    return { address: Number(addr), sizeBytes: Number(size), type };
  });
  assert.deepEqual(map, e820Map(memory.slots, board()));
});

test('the zero page has command line, initrd and RSDP', () => {
  const initrd = source('initrd', Uint8Array.of(7, 8, 9));
  const { memory, state } = boot(ram(), { cmdline: 'console=ttyS0 quiet', initrd });
  const params = BootParams.read(zeroPageView(memory, state));
  assert.equal(guestString(memory, params.cmd_line_ptr), 'console=ttyS0 quiet');
  assert.equal(params.ramdisk_size, 3);
  assert.deepEqual(Array.from(memory.slice(gpa(params.ramdisk_image), 3)), [7, 8, 9]);
  assert.equal(params.acpi_rsdp_addr, 0xe0000n);
});

test('a command line that Linux would cut is an error', () => {
  assert.throws(
    () => boot(ram(), { cmdline: 'x'.repeat(2048) }),
    bootError('commandLineTooLong', /command line of 2048 bytes is too long, the kernel takes 2047/),
  );
  assert.equal(boot(ram(), { cmdline: 'x'.repeat(2047) }).state.protocol, 'linux64');
});

test('a kernel that pushes before it has a stack overwrites no boot data', () => {
  const rsp = Number(boot().state.regs.rsp);
  assert.ok(rsp > 0x8000 && rsp < 0x9000);
});
