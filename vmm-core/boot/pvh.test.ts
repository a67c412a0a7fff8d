import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  board,
  SPIN,
  bootError,
  elfImage,
  elfNote,
  guestString,
  pvhImage,
  ram,
  request,
  source,
} from '../../test/support/kernelImages.ts';
import { HvmMemmapTableEntry, HvmModlistEntry, HvmStartInfo } from '../abi/hvmStartInfo.ts';
import { CR0_PE, CR0_PG } from '../abi/x86.ts';
import { PT_NOTE } from '../elf/elfConstants.ts';
import { e820Map } from '../firmware/e820.ts';
import { loadKernel } from '../machine/loadKernel.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { GIB, MIB } from '../memory/layout.ts';
import type { BootState } from './bootState.ts';

function viewAt(memory: GuestMemory, address: bigint, sizeBytes: number): DataView {
  const bytes = memory.slice(gpa(address), sizeBytes);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function boot(
  more: Parameters<typeof request>[1] = {},
  image = pvhImage(),
): { memory: GuestMemory; state: BootState; info: ReturnType<typeof HvmStartInfo.read> } {
  const memory = more.memory ?? ram();
  const state = loadKernel(request(image, { memory, ...more }));
  return { memory, state, info: HvmStartInfo.read(viewAt(memory, state.regs.rbx ?? 0n, HvmStartInfo.size)) };
}

test('the note of owner Xen and type 18 names the entry point, in 4 or in 8 bytes', () => {
  for (const descriptorBytes of [4, 8]) {
    assert.equal(boot({}, pvhImage(MIB + 1, descriptorBytes)).state.entry, BigInt(MIB + 1));
  }
});

test('notes of other owners and types are passed over', () => {
  const entry = new Uint8Array(4);
  new DataView(entry.buffer).setUint32(0, MIB, true);
  const notes = [elfNote('GNU', 18, new Uint8Array(20)), elfNote('Xen', 6, entry), elfNote('Xen', 18, entry)];
  const bytes = Uint8Array.of(...notes.flatMap((note) => [...note]));
  const segments = [
    { physicalAddress: MIB, bytes: SPIN },
    { type: PT_NOTE, physicalAddress: 0, bytes },
  ];
  assert.equal(boot({}, elfImage({ segments })).state.protocol, 'PVH');
});

test('a 32-bit ELF may carry the note too', () => {
  const descriptor = new Uint8Array(4);
  new DataView(descriptor.buffer).setUint32(0, MIB, true);
  const segments = [
    { physicalAddress: MIB, bytes: SPIN },
    { type: PT_NOTE, physicalAddress: 0, bytes: elfNote('Xen', 18, descriptor) },
  ];
  assert.equal(boot({}, elfImage({ bits: 32, segments })).state.protocol, 'PVH');
});

test('the registers are those of the PVH document: EBX start_info, CR0.PE, no paging, CR4 and EFER zero, flags clear', () => {
  const { state } = boot();
  assert.equal(state.regs.rflags, 2n);
  assert.equal(state.sregs.cr0 & (CR0_PE | CR0_PG), CR0_PE);
  assert.equal(state.sregs.cr4, 0n);
  assert.equal(state.sregs.efer, 0n);
  const { cs, ds, es, ss, tr } = state.sregs;
  for (const segment of [cs, ds, es, ss]) {
    assert.equal(segment.base, 0n);
    assert.equal(segment.limit, 0xffffffff);
  }
  assert.ok(cs.db && !cs.l);
  assert.deepEqual([tr.base, tr.limit, tr.type], [0n, 0x67, 0xb]);
});

test('start_info has the magic, version 1, command line and RSDP', () => {
  const { memory, info } = boot({ cmdline: 'console=ttyS0' });
  assert.equal(info.magic, 0x336ec578);
  assert.equal(info.version, 1);
  assert.equal(info.flags, 0);
  assert.equal(guestString(memory, Number(info.cmdline_paddr)), 'console=ttyS0');
  assert.equal(info.rsdp_paddr, 0xe0000n);
});

test('the initrd is the first module', () => {
  const { memory, info } = boot({ initrd: source('initrd', Uint8Array.of(5, 6)) });
  assert.equal(info.nr_modules, 1);
  const module = HvmModlistEntry.read(viewAt(memory, info.modlist_paddr, HvmModlistEntry.size));
  assert.equal(module.size, 2n);
  assert.deepEqual(Array.from(memory.slice(gpa(module.paddr), 2)), [5, 6]);
});

test('without an initrd there are no modules', () => {
  const { info } = boot();
  assert.equal(info.nr_modules, 0);
  assert.equal(info.modlist_paddr, 0n);
});

test('the memory map is the e820 map', () => {
  const { memory, info } = boot({ memory: ram(4 * GIB) });
  const map = Array.from({ length: info.memmap_entries }, (_, index) => {
    const at = info.memmap_paddr + BigInt(index * HvmMemmapTableEntry.size);
    const { addr, size, type } = HvmMemmapTableEntry.read(viewAt(memory, at, HvmMemmapTableEntry.size));
    return { address: Number(addr), sizeBytes: Number(size), type };
  });
  assert.deepEqual(map, e820Map(memory.slots, board()));
});

test('an entry point outside the segments, or a note of another size, is an error', () => {
  assert.throws(() => boot({}, pvhImage(2 * MIB)), bootError('badEntry', /0x200000/));
  assert.throws(() => boot({}, pvhImage(MIB, 12)), bootError('imageDamaged', /PVH note has 12 bytes/));
});
