import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  SPIN,
  bootError,
  bzImage,
  elfImage,
  multibootElf,
  multibootHeader,
  pvhImage,
  ram,
  request,
  source,
} from '../../test/support/kernelImages.ts';
import { BOOT_PROTOCOLS } from '../config/settings/boot.ts';
import { EM_AARCH64, ET_REL, PT_NOTE } from '../elf/elfConstants.ts';
import { allocateGuestMemory, gpa } from '../memory/guestMemory.ts';
import { MIB } from '../memory/layout.ts';
import { loadKernel } from './loadKernel.ts';

function protocolOf(image: Uint8Array): string {
  return loadKernel(request(image)).protocol;
}

test('auto starts a file with a setup_header as a bzImage', () => {
  assert.equal(protocolOf(bzImage()), 'bzImage');
});

test('auto prefers PVH to the other ways an ELF can be started', () => {
  assert.equal(protocolOf(pvhImage()), 'PVH');
});

test('auto prefers multiboot to the Linux protocol', () => {
  assert.equal(protocolOf(multibootElf(64)), 'multiboot');
  assert.equal(protocolOf(multibootElf(32)), 'multiboot');
});

test('auto starts any other ELF64 by the Linux 64-bit protocol', () => {
  assert.equal(protocolOf(elfImage()), 'linux64');
});

test('the protocol can be chosen where an image allows several', () => {
  assert.equal(loadKernel(request(pvhImage(), { protocol: 'linux64' })).protocol, 'linux64');
  assert.equal(loadKernel(request(pvhImage(), { protocol: 'pvh' })).protocol, 'PVH');
  assert.equal(loadKernel(request(multibootElf(64), { protocol: 'linux64' })).protocol, 'linux64');
});

test('a protocol that the image does not speak is an error that says what is missing', () => {
  const cases = [
    ['bzimage', /no bzImage header at offset 0x1f1/],
    ['pvh', /no ELF note of owner Xen/],
    ['multiboot', /no multiboot header in the first 8 KiB/],
  ] as const;
  for (const [protocol, message] of cases) {
    assert.throws(() => loadKernel(request(elfImage(), { protocol })), bootError('wrongProtocol', message));
  }
  for (const protocol of ['pvh', 'linux64'] as const) {
    const raw = request(SPIN, { protocol });
    assert.throws(() => loadKernel(raw), bootError('wrongProtocol', /it is not an ELF file/));
  }
});

test('every protocol that can be configured has a loader', () => {
  for (const protocol of BOOT_PROTOCOLS.filter((it) => it !== 'auto' && it !== 'flat')) {
    const zeroes = request(new Uint8Array(4096), { protocol });
    assert.throws(() => loadKernel(zeroes), bootError('wrongProtocol', new RegExp(`"${protocol}"`)));
  }
  assert.equal(loadKernel(request(new Uint8Array(4096), { protocol: 'flat' })).protocol, 'flat');
});

test('an empty kernel is an error', () => {
  assert.throws(
    () => loadKernel(request(new Uint8Array(0))),
    bootError('imageEmpty', /kernel.elf is empty: build it again/),
  );
});

test('a file of an unknown kind is an error that names what was looked for and the way out', () => {
  assert.throws(
    () => loadKernel(request(new Uint8Array(4096))),
    bootError('imageUnknown', /no bzImage header, ELF header or multiboot header .* protocol to "flat"/),
  );
});

test('an ELF for another architecture is named', () => {
  assert.throws(
    () => loadKernel(request(elfImage({ machine: EM_AARCH64 }))),
    bootError('wrongArchitecture', /is built for AArch64, this VM is x86-64/),
  );
});

test('an AArch64 Image, a RISC-V Image, compressed, EFI and qcow2 files are told by their magic', () => {
  const file = (offset: number, ...bytes: number[]) => {
    const image = new Uint8Array(1024);
    image.set(bytes, offset);
    return image;
  };
  const refuse = (image: Uint8Array, code: Parameters<typeof bootError>[0], message: RegExp) =>
    assert.throws(() => loadKernel(request(image)), bootError(code, message));
  refuse(file(0x38, 0x41, 0x52, 0x4d, 0x64), 'wrongArchitecture', /AArch64/);
  refuse(file(0x38, 0x52, 0x53, 0x43, 5), 'wrongArchitecture', /RISC-V/);
  refuse(file(0, 0x1f, 0x8b), 'imageUnsupported', /gzip/);
  refuse(file(0, 0x4d, 0x5a), 'imageUnsupported', /EFI/);
  refuse(
    file(0, 0xfd, 0x37, 0x7a, 0x58, 0x5a),
    'imageUnsupported',
    /is an xz file: unpack it first \("xz -dk"\)/,
  );
  refuse(file(0, 0x28, 0xb5, 0x2f, 0xfd), 'imageUnsupported', /is a zstd file: unpack it first/);
  refuse(file(0, 0x42, 0x5a, 0x68), 'imageUnsupported', /is a bzip2 file: unpack it first/);
  refuse(file(0, 0x02, 0x21, 0x4c, 0x18), 'imageUnsupported', /is an lz4 file: unpack it first/);
  refuse(file(0, 0x51, 0x46, 0x49, 0xfb), 'imageUnsupported', /qcow2/);
});

test('an object file is an error, not a kernel', () => {
  assert.throws(
    () => loadKernel(request(elfImage({ type: ET_REL }))),
    bootError('imageUnsupported', /not an executable \(ET_REL\): link it first/),
  );
});

test('a 32-bit ELF without a header to start it by is an error', () => {
  assert.throws(
    () => loadKernel(request(elfImage({ bits: 32 }))),
    bootError('imageUnsupported', /32-bit ELF with neither/),
  );
});

test('an image with only a multiboot 2 header is an error that says so', () => {
  const header = new Uint8Array(16);
  const view = new DataView(header.buffer);
  [0xe85250d6, 0, 16, -(0xe85250d6 + 16) >>> 0].forEach((value, i) => view.setUint32(i * 4, value, true));
  const image = elfImage({ segments: [{ physicalAddress: MIB, bytes: header }] });
  assert.throws(() => loadKernel(request(image)), bootError('imageUnsupported', /multiboot 2/));
});

test('every truncation of an image is an error', () => {
  // A bzImage's last 19 bytes may be missing: see syssize.
  for (const [image, mayLack] of [
    [elfImage(), 0],
    [pvhImage(), 0],
    [multibootElf(), 0],
    [bzImage(), 19],
  ] as const) {
    // Byte 0x1f1 on decides a bzImage; below that it is a file of an unknown kind.
    for (let length = 1; length < image.length - mayLack; length += 7) {
      const cut = request(image.slice(0, length), { memory: sharedRam });
      assert.throws(() => loadKernel(cut), { name: 'BootError' }, `cut to ${length} bytes`);
    }
  }
});

test('a segment larger than memory is an error that names both sizes', () => {
  const image = elfImage({ segments: [{ physicalAddress: MIB, bytes: SPIN, memoryBytes: 99 * MIB }] });
  assert.throws(
    () => loadKernel(request(image, { memory: sharedRam })),
    bootError('needsMemory', /needs 100 MiB of guest memory, the VM has 32 MiB: raise memory/),
  );
});

test('a segment in the device hole is an error', () => {
  const physicalAddress = 0xc0100000;
  const image = elfImage({
    entry: physicalAddress,
    segments: [{ physicalAddress, bytes: SPIN, memoryBytes: 0x1000 }],
  });
  assert.throws(
    () => loadKernel(request(image, { memory: sharedRam })),
    bootError('addressTaken', /overlaps the device area/),
  );
});

test('all of RAM below 1 MiB may be loaded to: the VM puts its own data elsewhere', () => {
  const places = [
    0x500, 0x6000, 0x7000, 0x9000, 0x20000, 0x9f000, 0xa0000, 0xb8000, 0xe0000, 0xf0000, 0xf8000, 0xff000,
  ];
  for (const physicalAddress of places) {
    for (const image of [lowImage(64, physicalAddress), lowImage(32, physicalAddress)]) {
      const memory = ram();
      loadKernel(request(image, { memory, cmdline: 'an option' }));
      const loaded = memory.slice(gpa(physicalAddress), 0x1000);
      assert.deepEqual(loaded.subarray(0x100, 0x104), Uint8Array.of(0xab, 0xab, 0xab, 0xab));
      assert.ok(loaded.subarray(0x100).every((byte) => byte === 0xab));
    }
  }
});

/** A page of code there, with a multiboot header when it is an ELF32. */
function lowImage(bits: 32 | 64, physicalAddress: number): Uint8Array {
  const bytes = new Uint8Array(0x1000).fill(0xab);
  if (bits === 32) bytes.set(multibootHeader());
  return elfImage({ bits, entry: physicalAddress + 0x100, segments: [{ physicalAddress, bytes }] });
}

test('a segment of nothing but notes is left out where there is no RAM, and loaded where there is', () => {
  const note = { physicalAddress: 128 * MIB, bytes: Uint8Array.of(1, 2, 3, 4) };
  const code = { physicalAddress: MIB, bytes: SPIN };
  const image = elfImage({ segments: [code, note, { ...note, type: PT_NOTE }] });
  // Linkers write the bytes once: both headers name the same ones.
  const view = new DataView(image.buffer);
  const offsetOf = (index: number): number => 64 + 56 * index + 8;
  view.setBigUint64(offsetOf(2), view.getBigUint64(offsetOf(1), true), true);
  assert.equal(loadKernel(request(image, { memory: sharedRam })).protocol, 'linux64');
  const large = ram(256 * MIB);
  loadKernel(request(image, { memory: large }));
  assert.equal(large.readU32(gpa(128 * MIB)), 0x04030201);
});

test('a segment of nothing but the ELF headers is left out where there is no RAM, one with more is refused', () => {
  const code = { physicalAddress: MIB, bytes: SPIN };
  const headers = { physicalAddress: 128 * MIB, bytes: new Uint8Array(64 + 2 * 56) };
  const image = elfImage({ segments: [code, headers] });
  const view = new DataView(image.buffer);
  view.setBigUint64(64 + 56 + 8, 0n, true); // p_offset: linkers let the segment begin with the file
  assert.equal(loadKernel(request(image, { memory: sharedRam })).protocol, 'linux64');
  const oneByteMore = BigInt(headers.bytes.length + 1);
  view.setBigUint64(64 + 56 + 0x20, oneByteMore, true); // p_filesz, p_memsz
  view.setBigUint64(64 + 56 + 0x28, oneByteMore, true);
  assert.throws(() => loadKernel(request(image, { memory: sharedRam })), bootError('needsMemory', /129 MiB/));
});

test('a segment of the ELF headers and the notes behind them is left out where there is no RAM', () => {
  const code = { physicalAddress: MIB, bytes: SPIN };
  const headerBytes = 64 + 4 * 56; // the first note begins at the next multiple of 16
  const noteBytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const note = { type: PT_NOTE, physicalAddress: 0, bytes: noteBytes };
  const all = { physicalAddress: 128 * MIB, bytes: new Uint8Array(0), memoryBytes: headerBytes };
  const image = elfImage({ segments: [code, all, note, note] });
  const view = new DataView(image.buffer);
  const noteEnd = Number(view.getBigUint64(64 + 3 * 56 + 8, true)) + noteBytes.length;
  const span = (from: number, bytes: number): void => {
    view.setBigUint64(64 + 56 + 8, BigInt(from), true);
    view.setBigUint64(64 + 56 + 0x20, BigInt(bytes), true);
    view.setBigUint64(64 + 56 + 0x28, BigInt(bytes), true);
  };
  // The builder aligns to 16: put the notes where a linker does, one behind the other and behind the headers.
  view.setBigUint64(64 + 2 * 56 + 8, BigInt(headerBytes), true);
  view.setBigUint64(64 + 2 * 56 + 0x20, 20n, true);
  view.setBigUint64(64 + 3 * 56 + 8, BigInt(headerBytes + 24), true);
  span(0, headerBytes + 24 + noteBytes.length);
  assert.ok(headerBytes + 24 + noteBytes.length <= noteEnd);
  assert.equal(loadKernel(request(image, { memory: sharedRam })).protocol, 'linux64');
  span(0, noteEnd + 1);
  assert.throws(
    () => loadKernel(request(Uint8Array.of(...image, 0), { memory: sharedRam })),
    bootError('needsMemory', /129 MiB/),
  );
});

test('what only linkers and debuggers read may be damaged: a section table cut off, sizes and versions of zero', () => {
  const spoil: readonly ((view: DataView) => void)[] = [
    (view) => view.setBigUint64(0x28, 0x99999n, true), // e_shoff: behind the end of the file
    (view) => {
      view.setBigUint64(0x28, 0x40n, true);
      view.setUint16(0x3a, 0, true); // e_shentsize
      view.setUint16(0x3c, 3, true); // e_shnum
    },
    (view) => view.setUint8(6, 0), // EI_VERSION
    (view) => view.setUint16(0x36, 0, true), // e_phentsize
    (view) => view.setUint16(0x10, 0, true), // e_type: ET_NONE
    (view) => view.setUint16(0x10, 0xfe00, true), // and one of an operating system
  ];
  for (const change of spoil) {
    const image = elfImage();
    change(new DataView(image.buffer));
    const memory = ram();
    const { protocol, entry } = loadKernel(request(image, { memory }));
    assert.deepEqual({ protocol, entry }, { protocol: 'linux64', entry: BigInt(MIB) });
    assert.deepEqual(memory.slice(gpa(MIB), 2), SPIN);
  }
});

test("where one segment's bss reaches over another's bytes, the bytes are loaded, in whatever order they are listed", () => {
  const code = { physicalAddress: MIB + 0x2000, bytes: SPIN };
  const data = { physicalAddress: MIB, bytes: Uint8Array.of(1), memoryBytes: 0x3000 };
  for (const segments of [
    [code, data],
    [data, code],
  ]) {
    const memory = ram();
    loadKernel(request(elfImage({ entry: MIB + 0x2000, segments }), { memory }));
    assert.deepEqual(memory.slice(gpa(MIB + 0x2000), 4), Uint8Array.of(...SPIN, 0, 0));
  }
});

test('an initrd with arguments is an error where they cannot be told', () => {
  const initrd = source('initrd.img', Uint8Array.of(1));
  for (const image of [elfImage(), bzImage()]) {
    assert.throws(
      () => loadKernel(request(image, { initrd, initrdArguments: 'a=1' })),
      bootError('imageUnsupported', /initrd initrd\.img has arguments \("a=1"\)/),
    );
  }
});

test('a higher-half kernel without load addresses is an error that says how to give them', () => {
  const physicalAddress = 0xffffffff80100000n;
  const image = elfImage({ entry: physicalAddress, segments: [{ physicalAddress, bytes: SPIN }] });
  assert.throws(
    () => loadKernel(request(image)),
    bootError('addressNotPhysical', /0xffffffff80100000, .* by AT\(\) in the linker script/),
  );
});

test('an entry point outside the image is an error', () => {
  const memory = sharedRam;
  assert.throws(
    () => loadKernel(request(elfImage({ entry: 2 * MIB }), { memory })),
    bootError('badEntry', /entry point 0x200000 of kernel image kernel.elf/),
  );
});

test('segments that overlap so much that they exceed memory are refused, in bounded time', () => {
  const segments = Array.from({ length: 64 }, () => ({
    physicalAddress: MIB,
    bytes: SPIN,
    memoryBytes: 30 * MIB,
  }));
  const overlapping = request(elfImage({ segments }), { memory: sharedRam });
  assert.throws(() => loadKernel(overlapping), bootError('imageDamaged', /segments overlap/));
});

test('a refused image leaves guest RAM untouched', () => {
  const memory = ram();
  const good = { physicalAddress: MIB, bytes: SPIN };
  const bad = { physicalAddress: 0xc0100000, bytes: SPIN };
  assert.throws(() => loadKernel(request(elfImage({ segments: [good, bad] }), { memory })));
  const bytes = memory.slice(gpa(0), 2 * MIB);
  assert.ok(bytes.every((byte) => byte === 0));
});

test('an image is loaded over the boundary of two RAM slots', () => {
  // Slots as a VM of 3 GiB has them at 2 GiB, in small.
  const image = elfImage({
    segments: [{ physicalAddress: MIB, bytes: new Uint8Array(4 * MIB).fill(0xab), memoryBytes: 5 * MIB }],
  });
  const memory = allocateGuestMemory([
    { base: 0, sizeBytes: 2 * MIB },
    { base: 2 * MIB, sizeBytes: 6 * MIB },
  ]);
  loadKernel(request(image, { memory }));
  const end = memory.slice(gpa(2 * MIB), 6 * MIB);
  assert.equal(end[3 * MIB - 1], 0xab);
  assert.equal(end[3 * MIB], 0);
});

test('an error of the file itself is not taken for a damaged image', () => {
  const broken = source('kernel.elf', elfImage());
  const kernel = {
    ...broken,
    readInto: () => {
      throw new Error('EIO');
    },
  };
  assert.throws(() => loadKernel({ ...request(SPIN), kernel }), { name: 'Error', message: 'EIO' });
});

test('a raw image is not started unless asked for, even one that begins with a multiboot magic', () => {
  const header = multibootHeader();
  header[8] = 0; // wrong checksum
  assert.throws(() => loadKernel(request(header)), bootError('imageUnknown', /an unknown kind/));
});

const sharedRam = ram();
