import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  board,
  SPIN,
  bootError,
  elfImage,
  guestString,
  multibootElf,
  multibootHeader,
  ram,
  request,
  source,
} from '../../test/support/kernelImages.ts';
import {
  MULTIBOOT_AOUT_KLUDGE,
  MULTIBOOT_MEMORY_INFO,
  MULTIBOOT_PAGE_ALIGN,
  MultibootInfo,
  MultibootMmapEntry,
  MultibootModule,
} from '../abi/multiboot.ts';
import { CR0_PE, CR0_PG } from '../abi/x86.ts';
import { e820Map } from '../firmware/e820.ts';
import { loadKernel } from '../machine/loadKernel.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { GIB, MIB, PAGE_BYTES } from '../memory/layout.ts';
import type { BootState } from './bootState.ts';
import { findMultibootHeader } from './multiboot.ts';

const HEADER_BYTES = 12;

function information(memory: GuestMemory, state: BootState): ReturnType<typeof MultibootInfo.read> {
  return MultibootInfo.read(viewAt(memory, Number(state.regs.rbx), MultibootInfo.size));
}

function viewAt(memory: GuestMemory, address: number, sizeBytes: number): DataView {
  const bytes = memory.slice(gpa(address), sizeBytes);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

test('EAX has the magic 0x2BADB002, EBX the information, EIP the entry point (§3.2)', () => {
  const state = loadKernel(request(multibootElf()));
  assert.equal(state.regs.rax, 0x2badb002n);
  assert.notEqual(state.regs.rbx ?? 0n, 0n);
  assert.equal(state.regs.rip, BigInt(MIB + HEADER_BYTES));
  assert.equal(state.entry, state.regs.rip);
});

test('the machine is in 32-bit protected mode, flat 4 GiB segments, paging off, interrupts off (§3.2)', () => {
  const { regs, sregs } = loadKernel(request(multibootElf()));
  assert.equal(sregs.cr0 & (CR0_PE | CR0_PG), CR0_PE);
  assert.equal(sregs.efer, 0n);
  assert.equal(regs.rflags, 2n);
  const { cs, ds, es, fs, gs, ss } = sregs;
  assert.ok(cs.db && !cs.l && (cs.type & 0b1010) === 0b1010);
  for (const segment of [cs, ds, es, fs, gs, ss]) {
    assert.equal(segment.base, 0n);
    assert.equal(segment.limit, 0xffffffff);
  }
});

test('ESP is the top of a page of free RAM, for kernels that push before they set up a stack', () => {
  const esp = Number(loadKernel(request(multibootElf())).regs.rsp);
  assert.ok(esp > 0x8000 && esp < 0x9000);
});

test("the GDT has flat code at 0x08 and data at 0x10, out of a kernel's way (as GRUB and QEMU have it)", () => {
  const memory = ram();
  const { sregs } = loadKernel(request(multibootElf(), { memory }));
  const { base, limit } = sregs.gdt;
  assert.deepEqual([sregs.cs.selector, sregs.ds.selector, sregs.ss.selector], [0x08, 0x10, 0x10]);
  assert.ok(limit >= 0x17);
  assert.equal(memory.readU64(gpa(base + 0x08n)), 0x00cf9b000000ffffn);
  assert.equal(memory.readU64(gpa(base + 0x10n)), 0x00cf93000000ffffn);
  const reserved = e820Map(memory.slots, board()).find(({ address, type }) => type === 2 && address < MIB);
  assert.ok(reserved && base >= reserved.address && base < reserved.address + reserved.sizeBytes);
});

test('an ELF32 and an ELF64 are loaded by their program headers, bss zeroed', () => {
  for (const bits of [32, 64] as const) {
    const memory = ram();
    memory.slice(gpa(MIB), 0x1000).fill(0xff);
    loadKernel(request(multibootElf(bits), { memory }));
    assert.deepEqual(
      Array.from(memory.slice(gpa(MIB), 0x1000)),
      Array.from(Object.assign(new Uint8Array(0x1000), [...multibootHeader(), ...SPIN])),
    );
  }
});

test('an entry point given as a virtual address is translated by its segment', () => {
  const bytes = Uint8Array.of(...multibootHeader(), ...SPIN);
  const virtualAddress = 0xc0000000 + MIB;
  const segments = [{ physicalAddress: MIB, virtualAddress, bytes }];
  const image = elfImage({ bits: 32, entry: virtualAddress + HEADER_BYTES, segments });
  assert.equal(loadKernel(request(image)).entry, BigInt(MIB + HEADER_BYTES));
});

test('the header is found at the last place where it fits in 8192 bytes, and not behind it (§3.1)', () => {
  const image = new Uint8Array(10000);
  image.set(multibootHeader(), 8192 - HEADER_BYTES);
  assert.equal(findMultibootHeader(image)?.offset, 8192 - HEADER_BYTES);
  image.fill(0).set(multibootHeader(), 8192 - HEADER_BYTES + 4);
  assert.equal(findMultibootHeader(image), undefined);
});

test('a header that is not 32-bit aligned, or whose checksum is wrong, is none (§3.1)', () => {
  const image = new Uint8Array(64);
  image.set(multibootHeader(), 2);
  assert.equal(findMultibootHeader(image), undefined);
  image.fill(0).set(multibootHeader(), 4);
  image[12] = 1;
  assert.equal(findMultibootHeader(image), undefined);
});

test('an unknown requirement in flags 0 to 15 must be refused (§3.1.2)', () => {
  assert.throws(
    () => loadKernel(request(multibootElf(32, 1 << 3))),
    bootError('imageUnsupported', /unknown requirements \(flags 0x8\)/),
  );
});

test('flags 16 to 31 that are not known are ignored (§3.1.2)', () => {
  assert.equal(loadKernel(request(multibootElf(32, (1 << 20) | 7))).protocol, 'multiboot');
});

test('memory sizes are KiB: 639 below 1 MiB, and what follows 1 MiB without a gap (§3.3)', () => {
  const memory = ram(64 * MIB);
  const info = information(memory, loadKernel(request(multibootElf(), { memory })));
  assert.ok((info.flags & 1) !== 0);
  assert.equal(info.mem_lower, 639);
  assert.equal(info.mem_upper, 63 * 1024);
});

test('the memory map is the e820 map, each entry with its size in front (§3.3)', () => {
  const memory = ram(64 * MIB);
  const info = information(memory, loadKernel(request(multibootElf(), { memory })));
  assert.ok((info.flags & (1 << 6)) !== 0);
  const entries: { address: number; sizeBytes: number; type: number }[] = [];
  for (let at = info.mmap_addr; at < info.mmap_addr + info.mmap_length;) {
    const entry = MultibootMmapEntry.read(viewAt(memory, at, MultibootMmapEntry.size));
    entries.push({ address: Number(entry.addr), sizeBytes: Number(entry.len), type: entry.type });
    at += entry.size + 4;
  }
  assert.deepEqual(entries, e820Map(memory.slots, board()));
});

test('the command line is the image name and the options, NUL-terminated (§3.3)', () => {
  const memory = ram();
  const state = loadKernel(request(multibootElf(), { memory, cmdline: 'debug x=1' }));
  const info = information(memory, state);
  assert.ok((info.flags & (1 << 2)) !== 0);
  assert.equal(guestString(memory, info.cmdline), 'kernel.elf debug x=1');
});

test('the boot loader name is given (§3.3)', () => {
  const memory = ram();
  const info = information(memory, loadKernel(request(multibootElf(), { memory })));
  assert.ok((info.flags & (1 << 9)) !== 0);
  assert.equal(guestString(memory, info.boot_loader_name), 'Trapframe');
});

test('the initrd is one module, on a page boundary, with its name (§3.3)', () => {
  const memory = ram();
  const initrd = source('/somewhere/tools.tar', Uint8Array.of(1, 2, 3, 4, 5));
  const flags = MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO;
  const info = information(memory, loadKernel(request(multibootElf(32, flags), { memory, initrd })));
  assert.ok((info.flags & (1 << 3)) !== 0);
  assert.equal(info.mods_count, 1);
  const module = MultibootModule.read(viewAt(memory, info.mods_addr, MultibootModule.size));
  assert.equal(module.mod_start % PAGE_BYTES, 0);
  assert.equal(module.mod_end - module.mod_start, 5);
  assert.deepEqual(Array.from(memory.slice(gpa(module.mod_start), 5)), [1, 2, 3, 4, 5]);
  assert.equal(guestString(memory, module.cmdline), 'tools.tar');
});

test('without an initrd there are no modules', () => {
  const memory = ram();
  assert.equal(information(memory, loadKernel(request(multibootElf(), { memory }))).mods_count, 0);
});

test('arguments of the module follow its name, however long they are (§3.3)', () => {
  const memory = ram();
  const initrd = source('/srv/images/tools.tar', Uint8Array.of(1));
  const initrdArguments = `root=/tools ${'x'.repeat(5000)}`;
  const state = loadKernel(request(multibootElf(), { memory, initrd, initrdArguments }));
  const info = information(memory, state);
  const module = MultibootModule.read(viewAt(memory, info.mods_addr, MultibootModule.size));
  assert.equal(guestString(memory, module.cmdline), `tools.tar ${initrdArguments}`);
  assert.equal(info.mmap_length, e820Map(memory.slots, board()).length * MultibootMmapEntry.size);
  assert.equal(memory.readU32(gpa(info.mmap_addr)), MultibootMmapEntry.size - 4);
});

/** A raw file: `before` bytes, the header with addresses, code. */
function rawImage(addresses: Parameters<typeof multibootHeader>[1], before = 0): Uint8Array {
  const image = new Uint8Array(before + 64);
  image.set(multibootHeader(MULTIBOOT_AOUT_KLUDGE, addresses), before);
  image.set(SPIN, before + 32);
  return image;
}

const RAW = { header_addr: MIB + 16, load_addr: MIB, entry_addr: MIB + 48 };

test('with flag 16 the addresses of the header say what to load, from where in the file, and where to start (§3.1.3)', () => {
  const memory = ram();
  const state = loadKernel(request(rawImage(RAW, 16), { memory }));
  assert.equal(state.entry, BigInt(MIB + 48));
  assert.equal(memory.readU32(gpa(MIB + 16)), 0x1badb002);
  assert.equal(memory.readU16(gpa(MIB + 48)), 0xfeeb);
});

test('a load_end_addr ends what is loaded, bss up to bss_end_addr is zeroed (§3.1.3)', () => {
  const memory = ram();
  memory.slice(gpa(MIB), 0x2000).fill(0xff);
  const image = rawImage({ ...RAW, load_end_addr: MIB + 56, bss_end_addr: MIB + 0x1000 }, 16);
  image.fill(0x77, 52);
  loadKernel(request(image, { memory }));
  assert.equal(memory.readU8(gpa(MIB + 55)), 0x77);
  assert.ok(memory.slice(gpa(MIB + 56), 0x1000 - 56).every((byte) => byte === 0));
  assert.equal(memory.readU8(gpa(MIB + 0x1000)), 0xff);
});

test('with flag 16 the addresses win over the ELF header that is there too (§3.1.3)', () => {
  const header = multibootHeader(MULTIBOOT_AOUT_KLUDGE, {
    header_addr: 2 * MIB,
    load_addr: 2 * MIB,
    entry_addr: 2 * MIB + 32,
  });
  const bytes = Uint8Array.of(...header, ...SPIN);
  const image = elfImage({ segments: [{ physicalAddress: MIB, bytes }] });
  assert.equal(loadKernel(request(image)).entry, BigInt(2 * MIB + 32));
});

test('addresses that contradict each other or leave the file are an error', () => {
  const refuse = (addresses: Parameters<typeof multibootHeader>[1], message: RegExp) =>
    assert.throws(() => loadKernel(request(rawImage(addresses, 16))), bootError('imageDamaged', message));
  refuse({ ...RAW, header_addr: MIB - 4 }, /contradict/);
  refuse({ ...RAW, load_addr: 4096 }, /contradict/);
  refuse({ ...RAW, load_end_addr: MIB - 1 }, /contradict/);
  refuse({ ...RAW, bss_end_addr: MIB + 1 }, /contradict/);
  refuse({ ...RAW, load_end_addr: 3 * MIB }, /ends before byte/);
});

test('an entry point outside the addresses is an error', () => {
  const image = rawImage({ ...RAW, entry_addr: 2 * MIB }, 16);
  assert.throws(() => loadKernel(request(image)), bootError('badEntry', /0x200000/));
});

test('a header without addresses in a file that is not ELF is an error', () => {
  const image = new Uint8Array(64);
  image.set(multibootHeader());
  assert.throws(() => loadKernel(request(image)), bootError('imageUnsupported', /without load addresses/));
});

test('RAM above 4 GiB is in the map but not in mem_upper', () => {
  // Only the layout matters: RAM that nothing touches costs nothing.
  const memory = ram(4 * GIB);
  const info = information(memory, loadKernel(request(multibootElf(), { memory })));
  assert.equal(info.mem_upper, (3 * GIB - MIB) / 1024);
  assert.equal(info.mmap_length / MultibootMmapEntry.size, 6);
});
