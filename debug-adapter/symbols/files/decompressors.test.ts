import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { Bytes } from '../../../test/support/bytes.ts';
import { buildElf } from '../../../test/support/dwarfBuilderElf.ts';
import { bytesSource } from '../../../vmm-core/elf/byteSource.ts';
import { ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD, SHF_COMPRESSED } from '../../../vmm-core/elf/elfConstants.ts';
import { parseElf } from '../../../vmm-core/elf/elfFile.ts';
import { NODE_DECOMPRESSORS } from './decompressors.ts';
import { elfSectionLoader } from './imageSections.ts';
import { xxHash64 } from './xxHash64.ts';
import { unzstd } from './zstd.ts';

const MIB = 1 << 20;

/**
 * RFC 8878: a frame of RLE blocks of 128 KiB, 4 bytes each; `contentBytes` of undefined leaves the size out.
 */
function zeros(blocks: number, contentBytes?: bigint): Bytes {
  const frame = new Bytes().u32(0xfd2fb528);
  if (contentBytes === undefined) frame.u8(0).u8(0x38);
  else frame.u8(0xe0).u64(contentBytes);
  for (let block = 1; block <= blocks; block++) {
    const header = Number(block === blocks) | (1 << 1) | ((MIB >> 3) << 3);
    frame.u8(header & 0xff, (header >> 8) & 0xff, header >> 16).u8(0);
  }
  return frame;
}

/** A file with sections of those contents, each with the size its header claims. */
function packed(
  type: number,
  sections: readonly { name: string; data: Uint8Array; claims: number }[],
): Uint8Array {
  return buildElf({
    sections: sections.map(({ name, data, claims }) => ({
      name,
      flags: SHF_COMPRESSED,
      bytes: new Bytes().u32(type).u32(0).u64(claims).u64(1).bytes(data).done(),
    })),
  });
}

function load(
  file: Uint8Array,
  names: readonly string[],
): { sizes: (number | undefined)[]; problems: string[] } {
  const problems: string[] = [];
  const loader = elfSectionLoader(parseElf(bytesSource('bomb', file)), NODE_DECOMPRESSORS, (it) =>
    problems.push(it),
  );
  return { sizes: names.map((name) => loader(name)?.sizeBytes), problems };
}

test('zstd of several frames, skippable ones too, comes out in order', () => {
  const skippable = new Bytes().u32(0x184d2a53).u32(3).u8(1, 2, 3);
  const frames = [zeros(1, 131072n), skippable, zeros(2)].map((it) => [...it.done()]);
  const out = unzstd(Uint8Array.from(frames.flat()), 3 * 131072);
  assert.equal(out.length, 3 * 131072);
});

test('zstd that would produce more than allowed is refused beforehand', () => {
  const endless = zeros(60_000).done();
  assert.throws(() => unzstd(endless, 16), /more than 16 bytes/);
  assert.throws(() => unzstd(zeros(2, BigInt(2 * MIB)).done(), MIB), /more than \d+ bytes/);
  assert.throws(() => unzstd(zeros(1, 1n << 33n).done(), 16 * MIB), /more than \d+ bytes/);
  // Blocks that do not say how much they produce: no compressor makes so many tiny ones.
  const tiny = new Bytes().u32(0xfd2fb528).u8(0).u8(0x38);
  for (let block = 0; block < 1000; block++) tiny.u8(0b100, 0, 0);
  assert.throws(() => unzstd(tiny.u8(0b101, 0, 0).done(), 16), /more than 16 bytes|broken|cut/);
});

test('broken zstd ends in an error, wherever it is cut', () => {
  const whole = zeros(3, 393216n).done();
  assert.equal(unzstd(whole, 393216).length, 393216);
  for (let length = 1; length < whole.length; length++)
    assert.throws(() => unzstd(whole.subarray(0, length), 393216), Error, `${length} bytes`);
});

test("a zstd frame's checksum is checked (§3.1.1)", () => {
  const frame = (checksum: number): Uint8Array => {
    const bytes = new Bytes()
      .u32(0xfd2fb528)
      .u8(0x24)
      .u8(3)
      .u8((3 << 3) | 1, 0, 0);
    return bytes.bytes(new TextEncoder().encode('abc')).u32(checksum).done();
  };
  assert.deepEqual(unzstd(frame(0xad770999), 3), new TextEncoder().encode('abc'));
  assert.throws(() => unzstd(frame(0xad770998), 3), /wrong checksum/);
});

test('XXH64 is what its specification gives', () => {
  const hash = (text: string): bigint => xxHash64(new TextEncoder().encode(text));
  assert.equal(hash(''), 0xef46db3751d8e999n);
  assert.equal(hash('abc'), 0x44bc2cf5ad770999n);
  assert.equal(hash('Nobody inspects the spammish repetition'), 0xfbcea83c8a378bf1n);
});

test('a section that lies about its size, small or large, is missing, and one sentence says why', () => {
  const small = packed(ELFCOMPRESS_ZSTD, [{ name: '.debug_info', data: zeros(60_000).done(), claims: 16 }]);
  const { sizes, problems } = load(small, ['.debug_info']);
  assert.deepEqual(sizes, [undefined]);
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /section \.debug_info: zstd data is broken \(Error: more than 16 bytes\)/);
  const zlib = packed(ELFCOMPRESS_ZLIB, [
    { name: '.debug_info', data: deflateSync(new Uint8Array(MIB)), claims: 1000 },
  ]);
  assert.deepEqual(load(zlib, ['.debug_info']).sizes, [undefined]);
});

test('the sizes of all uncompressed sections count together, against the size of the file', () => {
  const data = deflateSync(new Uint8Array(40 * MIB));
  const claim = (name: string): { name: string; data: Uint8Array; claims: number } => ({
    name,
    data,
    claims: 40 * MIB,
  });
  const names = ['.debug_info', '.debug_line', '.debug_str'];
  const { sizes, problems } = load(packed(ELFCOMPRESS_ZLIB, names.map(claim)), names);
  assert.deepEqual(sizes, [40 * MIB, undefined, undefined]);
  assert.match(
    problems[0] ?? '',
    /section \.debug_line claims 41943040 bytes once decompressed, more than the \d+ a file of this size/,
  );
});

test('what zstd itself compresses comes out as it was', (t) => {
  const contents = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * at) % 251));
  for (const level of ['-1', '-3', '-19']) {
    let packed: Buffer;
    try {
      packed = execFileSync('zstd', [level, '-c'], {
        input: contents,
        maxBuffer: 1 << 24,
        stdio: ['pipe', 'pipe', 'ignore'],
      });
    } catch {
      return t.skip('zstd is not installed');
    }
    // From a pipe: the frame does not say how much it holds.
    assert.deepEqual(Buffer.from(unzstd(packed, contents.length)), contents, level);
  }
});
