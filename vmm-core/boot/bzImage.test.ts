import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type BzImageFields,
  bootError,
  bzImage,
  guestString,
  ram,
  request,
  source,
} from '../../test/support/kernelImages.ts';
import { BootParams, LOADED_HIGH } from '../abi/bootParams.ts';
import { CR0_PE, CR0_PG, EFER_LMA } from '../abi/x86.ts';
import { loadKernel } from '../machine/loadKernel.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { MIB, PAGE_BYTES } from '../memory/layout.ts';
import type { BootState } from './bootState.ts';

function boot(
  fields: BzImageFields = {},
  more: Parameters<typeof request>[1] = {},
): { memory: GuestMemory; state: BootState; params: ReturnType<typeof BootParams.read> } {
  const memory = more.memory ?? ram();
  const state = loadKernel(request(bzImage(fields), { memory, ...more }));
  const page = memory.slice(gpa(state.regs.rsi ?? 0n), BootParams.size);
  return { memory, state, params: BootParams.read(new DataView(page.buffer, page.byteOffset)) };
}

test('with XLF_KERNEL_64 the entry is 0x200 after the load address, in long mode (64-bit boot protocol)', () => {
  const { state } = boot();
  assert.equal(state.entry, 0x100200n);
  assert.equal(state.sregs.efer & EFER_LMA, EFER_LMA);
  assert.equal(state.regs.rsi, 0x7000n);
});

test('without XLF_KERNEL_64 the entry is the load address, in protected mode (32-bit boot protocol)', () => {
  const { state } = boot({ xloadflags: 0 });
  assert.equal(state.entry, 0x100000n);
  assert.equal(state.sregs.efer, 0n);
  assert.equal(state.sregs.cr0 & (CR0_PE | CR0_PG), CR0_PE);
  assert.equal(state.sregs.cs.selector, 0x10);
  assert.equal(state.sregs.ds.selector, 0x18);
  // %ebp, %edi and %ebx must be zero
  assert.deepEqual(state.regs, { rip: 0x100000n, rsi: 0x7000n, rflags: 2n });
});

test('a kernel older than 2.12 has no xloadflags: what is there is not believed', () => {
  assert.equal(boot({ version: 0x020b }).state.entry, 0x100000n);
});

test('the code after setup_sects + 1 sectors is loaded at 1 MiB', () => {
  const { memory } = boot({ setup_sects: 3 });
  assert.equal(memory.readU8(gpa(MIB)), 0x90);
  assert.equal(memory.readU8(gpa(MIB + 0xfff)), 0x90);
  assert.equal(memory.readU8(gpa(MIB + 0x1000)), 0);
});

test('setup_sects of 0 means 4', () => {
  const { memory } = boot({ setup_sects: 0 });
  assert.equal(memory.readU8(gpa(MIB)), 0x90);
  assert.equal(memory.readU8(gpa(MIB + 0xfff)), 0x90);
});

test('the setup_header is copied into the zero page up to its stated end, nothing after it', () => {
  const image = bzImage();
  image.fill(0xee, 0x26c, 0x290);
  image.fill(0xee, 0x1e8, 0x1f1); // what a linker leaves before the header: the sentinel among it
  const memory = ram();
  const state = loadKernel(request(image, { memory }));
  const page = memory.slice(gpa(state.regs.rsi ?? 0n), PAGE_BYTES);
  const params = BootParams.read(new DataView(page.buffer, page.byteOffset));
  assert.equal(params.version, 0x020f);
  assert.equal(params.init_size, 8 * MIB);
  assert.ok(page.subarray(0x26c, 0x290).every((byte) => byte === 0));
  assert.equal(params.sentinel, 0);
});

test('the loader fills in its type, command line, initrd and RSDP', () => {
  const initrd = source('initrd.img', new Uint8Array(5000).fill(3));
  const { memory, params } = boot({}, { cmdline: 'console=ttyS0', initrd });
  assert.equal(params.type_of_loader, 0xff);
  assert.equal(params.code32_start, MIB);
  assert.equal(guestString(memory, params.cmd_line_ptr), 'console=ttyS0');
  assert.equal(params.ramdisk_size, 5000);
  assert.equal(params.ramdisk_image % PAGE_BYTES, 0);
  assert.equal(memory.readU8(gpa(params.ramdisk_image + 4999)), 3);
  assert.equal(params.acpi_rsdp_addr, 0xe0000n);
});

test('the initrd ends at or below initrd_addr_max', () => {
  const initrd = source('initrd.img', new Uint8Array(PAGE_BYTES));
  const { params } = boot({ initrd_addr_max: 12 * MIB - 1, pref_address: BigInt(16 * MIB) }, { initrd });
  assert.equal(params.ramdisk_image, 12 * MIB - PAGE_BYTES);
});

test('the initrd keeps clear of the memory the kernel unpacks itself into (init_size)', () => {
  const initrd = source('initrd.img', new Uint8Array(6 * MIB));
  const { params } = boot({}, { initrd, memory: ram(28 * MIB) });
  const end = params.ramdisk_image + params.ramdisk_size;
  assert.ok(end <= 16 * MIB || params.ramdisk_image >= 24 * MIB);
});

test('a VM too small to unpack the kernel in is an error that says how much it needs', () => {
  assert.throws(
    () => boot({}, { memory: ram(20 * MIB) }),
    bootError('needsMemory', /kernel.elf needs 24 MiB of guest memory, the VM has 20 MiB: raise memory/),
  );
});

test('the command line obeys cmdline_size, 255 for a kernel older than 2.06', () => {
  const tooLong = (fields: BzImageFields, cmdline: string) =>
    assert.throws(() => boot(fields, { cmdline }), bootError('commandLineTooLong', /too long/));
  tooLong({ cmdline_size: 100 }, 'x'.repeat(101));
  tooLong({ version: 0x0205 }, 'x'.repeat(256));
  assert.equal(boot({ version: 0x0205 }, { cmdline: 'x'.repeat(255) }).state.protocol, 'bzImage');
});

test('a zImage, and protocols before 2.02, are errors', () => {
  const refuse = (fields: BzImageFields) =>
    assert.throws(() => boot(fields), bootError('imageUnsupported', /zImage|boot protocol/));
  refuse({ loadflags: 0 });
  refuse({ version: 0x0201, loadflags: LOADED_HIGH });
});

test('an image that needs its real-mode part is told so: iPXE leaves code32_start zero', () => {
  assert.throws(
    () => boot({ version: 0x0207, code32_start: 0 }),
    bootError('imageUnsupported', /needs its 16-bit real-mode part .*code32_start.* this VM has no BIOS/),
  );
});

test('an init_size that no VM can have is called what it is, not a want of memory', () => {
  for (const init_size of [0xffff_ffff, 0xc000_0000]) {
    assert.throws(
      () => boot({ init_size }),
      bootError(
        'imageUnsupported',
        /claims \d{4} MiB from 0x1000000 on while it starts \(pref_address and init_size/,
      ),
    );
  }
});

test('syssize counts paragraphs and a checksum, so that up to 19 bytes may be missing', () => {
  const image = bzImage({ syssize: 0x100 });
  for (const missing of [7, 15, 16, 19]) {
    assert.equal(loadKernel(request(image.slice(0, image.length - missing))).protocol, 'bzImage');
  }
  assert.throws(
    () => loadKernel(request(image.slice(0, image.length - 20))),
    bootError('imageDamaged', /4076 bytes of code where its header says 4096/),
  );
});

test('an image shorter than its syssize is an error', () => {
  assert.throws(
    () => boot({ syssize: 0x1000 / 16 + 2 }),
    bootError('imageDamaged', /4096 bytes of code where its header says/),
  );
});
