import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Bytes } from '../../../test/support/bytes.ts';
import { buildElf } from '../../../test/support/dwarfBuilderElf.ts';
import { bytesSource } from '../../../vmm-core/elf/byteSource.ts';
import { run } from '../cli/commandLine.ts';
import { unpacked } from './packedFile.ts';

const unpack = (bytes: Uint8Array, name = 'm.ko'): Uint8Array | undefined =>
  unpacked(bytesSource(name, bytes));

/** RFC 8878: one frame, its content stored as it is. */
function storedZstd(content: Uint8Array): Uint8Array {
  const header = 1 | (content.length << 3);
  return new Bytes()
    .u32(0xfd2fb528)
    .u8(0xa0)
    .u32(content.length)
    .u8(header & 0xff, (header >> 8) & 0xff, header >> 16)
    .bytes(content)
    .done();
}

/** A bzImage's first sectors, with the version at 0x300. */
function bzImage(version: string | undefined): Uint8Array {
  const bytes = new Bytes().padTo(0x1fe).u8(0x55, 0xaa).u16(0x6aeb).bytes(new TextEncoder().encode('HdrS'));
  bytes
    .padTo(0x20e)
    .u16(version === undefined ? 0 : 0x100)
    .padTo(0x300);
  return version === undefined ? bytes.done() : bytes.cstring(version).done();
}

test('a module that was compressed with gzip or zstd is the module', async () => {
  const elf = buildElf({ sections: [{ name: '.text', bytes: new Uint8Array(16) }] });
  assert.equal(unpack(elf), undefined);
  assert.deepEqual(new Uint8Array(unpack(gzipSync(elf)) ?? []), elf);
  assert.deepEqual(unpack(storedZstd(elf)), elf);
  const errors: string[] = [];
  const code = await run(['m.ko.gz', 'expr 6 * 7'], {
    open: (path) => bytesSource(path, gzipSync(elf)),
    decompressors: {},
    lines: async function* () {
      // nothing: the query is on the command line
    },
    write: async (text) => assert.equal(text, '(int) 42\n'),
    writeError: (text) => errors.push(text),
  });
  assert.deepEqual([code, errors], [0, []]);
});

test('what unpacks to far more than such a file would is refused', () => {
  const bomb = gzipSync(new Uint8Array(96 << 20));
  assert.throws(
    () => unpack(bomb, 'bomb.gz'),
    /^Error: bomb\.gz cannot be unpacked with gzip: .*larger than/,
  );
  assert.throws(
    () => unpack(gzipSync(new Uint8Array(100)).subarray(0, 15)),
    /cannot be unpacked with gzip: unexpected end/,
  );
});

test('xz is refused with the command that unpacks it', () => {
  const xz = new Bytes().u8(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0).padTo(64).done();
  assert.throws(
    () => unpack(xz, 'e1000.ko.xz'),
    /compressed with xz, .*: unpack it with "xz -dk e1000\.ko\.xz"/,
  );
});

test('other compressions are refused with the command that unpacks each', () => {
  const magics: readonly (readonly [command: string, ...magic: number[]])[] = [
    ['bzip2 -dk', 0x42, 0x5a, 0x68],
    ['lzma -dk', 0x5d, 0, 0],
    ['lz4 -d', 0x04, 0x22, 0x4d, 0x18],
    ['lz4 -d', 0x02, 0x21, 0x4c, 0x18],
    ['lzop -d', 0x89, 0x4c, 0x5a, 0x4f, 0],
  ];
  for (const [command, ...magic] of magics)
    assert.throws(
      () =>
        unpack(
          new Bytes()
            .u8(...magic)
            .padTo(64)
            .done(),
          'e1000.ko.x',
        ),
      new RegExp(`compressed with \\w+, .*: unpack it with "${command} e1000\\.ko\\.x"`),
    );
});

test('a bootable kernel image has no symbols: its vmlinux is named', () => {
  assert.throws(
    () => unpack(bzImage('6.1.0-50-cloud-amd64 (debian-kernel@lists) #1 SMP'), 'vmlinuz'),
    /^Error: vmlinuz is a kernel .*no symbols: name its vmlinux, \/usr\/lib\/debug\/boot\/vmlinux-6\.1\.0-50-cloud-amd64 where .* linux-image-6\.1\.0-50-cloud-amd64-dbg /,
  );
  assert.throws(
    () => unpack(bzImage(undefined), 'bzImage'),
    /no symbols: name the vmlinux it was made from, in the directory/,
  );
});
