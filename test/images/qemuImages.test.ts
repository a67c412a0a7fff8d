/** Images that QEMU made, with every option: read right, and right for QEMU after we wrote to them. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { type DiskImage, SECTOR_BYTES } from '../../vmm-core/backends/disk/diskImage.ts';
import { checkQcow2 } from '../../vmm-core/backends/disk/checkImage.ts';
import { assertDiskIs, inFolder, openDisk, writeRawDisk } from '../support/diskFiles.ts';
import { Chances } from '../support/chances.ts';
import { seededRandom } from '../support/bytes.ts';
import { assertSameDisk, mustQemuImg, qemuCheck, qemuIo } from '../support/qemuImg.ts';
import { RecordedFile } from '../support/recordedFile.ts';

const SIZE_BYTES = 3 * 2 ** 20 + 5 * SECTOR_BYTES;

const KIB = 1024;
/** Of what is in the backing file alone, in the image, zero, and at the end, which is no whole cluster. */
const DISCARDS: readonly (readonly [number, number])[] = [
  [0, 192 * KIB],
  [480 * KIB, 200 * KIB],
  [1024 * KIB, 70 * KIB],
  [SIZE_BYTES - 100 * KIB, 100 * KIB],
];

interface Made {
  readonly name: string;
  readonly options: string;
  readonly flags?: readonly string[];
}

const MADE: readonly Made[] = [
  ...[9, 10, 12, 14, 16, 18, 21].map((bits) => ({
    name: `clusters of ${2 ** bits} bytes`,
    options: `cluster_size=${2 ** bits}`,
  })),
  ...[1, 2, 4, 8, 32, 64].map((bits) => ({
    name: `refcounts of ${bits} bits`,
    options: `refcount_bits=${bits},cluster_size=4096`,
  })),
  { name: 'version 2', options: 'compat=0.10' },
  { name: 'version 2, small clusters', options: 'compat=0.10,cluster_size=512' },
  { name: 'lazy refcounts', options: 'lazy_refcounts=on' },
  { name: 'zlib', options: 'compression_type=zlib', flags: ['-c'] },
  { name: 'zlib in small clusters', options: 'cluster_size=4096', flags: ['-c'] },
  { name: 'zlib in large clusters', options: 'cluster_size=2M', flags: ['-c'] },
  { name: 'zlib in version 2', options: 'compat=0.10', flags: ['-c'] },
  { name: 'zstd', options: 'compression_type=zstd', flags: ['-c'] },
  { name: 'zstd in small clusters', options: 'compression_type=zstd,cluster_size=1024', flags: ['-c'] },
  { name: 'metadata preallocated', options: 'preallocation=metadata' },
  { name: 'all preallocated', options: 'preallocation=full,cluster_size=8192' },
];

describe('images of QEMU', () => {
  for (const made of MADE)
    it(`${made.name}: read, written, and right for QEMU`, () => {
      inFolder((folder) => {
        const raw = path.join(folder, 'disk.raw');
        const image = path.join(folder, 'disk.qcow2');
        writeRawDisk(raw, SIZE_BYTES);
        mustQemuImg('convert', '-O', 'qcow2', '-o', made.options, ...(made.flags ?? []), raw, image);
        const opened = openDisk(image, 'qcow2', { isReadOnly: true });
        assertDiskIs(opened, raw);
        opened.close();
        writeBoth(image, raw, 7);
        assertSameDisk(image, 'qcow2', raw);
        assertSound(image);
      });
    });

  it('snapshots inside stay as they were when their disk is written to', () => {
    inFolder((folder) => {
      const raw = path.join(folder, 'disk.raw');
      const before = path.join(folder, 'before.raw');
      const image = path.join(folder, 'disk.qcow2');
      writeRawDisk(raw, SIZE_BYTES);
      mustQemuImg('convert', '-O', 'qcow2', '-o', 'cluster_size=4096', raw, image);
      mustQemuImg('snapshot', '-c', 'first', image);
      copyFileSync(raw, before);
      writeBoth(image, raw, 11);
      assertSameDisk(image, 'qcow2', raw);
      assertSound(image);
      mustQemuImg('snapshot', '-c', 'second', image);
      writeBoth(image, raw, 12);
      assertSound(image);
      mustQemuImg('snapshot', '-d', 'second', image);
      assertSound(image);
      mustQemuImg('snapshot', '-a', 'first', image);
      assertSameDisk(image, 'qcow2', before);
    });
  });

  for (const format of ['raw', 'qcow2'] as const)
    it(`over a backing file that is ${format}: read, copied on write, emptied`, () => {
      inFolder((folder) => {
        const raw = path.join(folder, 'disk.raw');
        const base = path.join(folder, `base.${format}`);
        const image = path.join(folder, 'disk.qcow2');
        writeRawDisk(raw, SIZE_BYTES);
        mustQemuImg('convert', '-O', format, raw, base);
        const baseBytes = readFileSync(base);
        mustQemuImg('create', '-f', 'qcow2', '-b', `base.${format}`, '-F', format, image);
        const opened = openDisk(image, 'qcow2', { backing: 'beside' });
        assertDiskIs(opened, raw);
        opened.close();
        writeBoth(image, raw, 21, { backing: 'beside' });
        assertSameDisk(image, 'qcow2', raw);
        assertSound(image);
        assert.ok(readFileSync(base).equals(baseBytes), 'the backing file is as it was');
      });
    });

  for (const compat of ['0.10', '1.1'])
    it(`a discard over a backing file does what it does in QEMU, compat=${compat}`, () => {
      inFolder((folder) => {
        const base = path.join(folder, 'base.raw');
        const [ours, theirs] = ['ours', 'theirs'].map((it) => path.join(folder, `${it}.qcow2`)) as [
          string,
          string,
        ];
        writeRawDisk(base, SIZE_BYTES);
        for (const it of [ours, theirs]) {
          mustQemuImg('create', '-f', 'qcow2', '-o', `compat=${compat}`, '-b', base, '-F', 'raw', it);
          qemuIo('-f', 'qcow2', '-c', 'write -P 7 64k 256k', '-c', 'write -z 512k 128k', it);
        }
        const opened = openDisk(ours, 'qcow2', { backing: 'beside' });
        for (const [offset, lengthBytes] of DISCARDS) {
          opened.discard(offset, lengthBytes);
          qemuIo('-d', 'unmap', '-f', 'qcow2', '-c', `discard ${offset} ${lengthBytes}`, theirs);
        }
        opened.close();
        mustQemuImg('compare', '-s', '-f', 'qcow2', '-F', 'qcow2', ours, theirs);
        assert.deepEqual(extentsOf(ours), extentsOf(theirs));
        assertSound(ours);
      });
    });

  it('grown over a longer backing file, it has zeros where it grew', () => {
    inFolder((folder) => {
      const base = path.join(folder, 'base.raw');
      const raw = path.join(folder, 'disk.raw');
      const image = path.join(folder, 'disk.qcow2');
      writeRawDisk(base, SIZE_BYTES);
      mustQemuImg('create', '-f', 'qcow2', '-b', base, '-F', 'raw', image, `${SIZE_BYTES - 2 ** 20}`);
      const opened = openDisk(image, 'qcow2', { backing: 'beside' });
      opened.resize(SIZE_BYTES);
      opened.close();
      const expected = readFileSync(base);
      expected.fill(0, SIZE_BYTES - 2 ** 20);
      writeFileSync(raw, expected);
      assertSameDisk(image, 'qcow2', raw);
      assertSound(image);
    });
  });

  it('a bitmap is not announced any more when the disk was written to', () => {
    inFolder((folder) => {
      const raw = path.join(folder, 'disk.raw');
      const image = path.join(folder, 'disk.qcow2');
      writeRawDisk(raw, SIZE_BYTES);
      mustQemuImg('convert', '-O', 'qcow2', raw, image);
      mustQemuImg('bitmap', '--add', image, 'changed');
      assert.equal(ownCheck(image).leaks, 0, 'its clusters are counted');
      writeBoth(image, raw, 31);
      assertSameDisk(image, 'qcow2', raw);
      assert.equal(qemuCheck(image).status, 3, 'what is left of it is a leak');
    });
  });

  for (const cache of ['none', 'unsafe'] as const)
    it(`cache ${cache}: read, written, and right for QEMU`, () => {
      inFolder((folder) => {
        const raw = path.join(folder, 'disk.raw');
        const image = path.join(folder, 'disk.qcow2');
        writeRawDisk(raw, SIZE_BYTES);
        mustQemuImg('convert', '-O', 'qcow2', raw, image);
        writeBoth(image, raw, 41, { cache });
        assertSameDisk(image, 'qcow2', raw);
        assertSound(image);
      });
    });

  it('in snapshot mode the image stays as it was', () => {
    inFolder((folder) => {
      const raw = path.join(folder, 'disk.raw');
      const image = path.join(folder, 'disk.qcow2');
      writeRawDisk(raw, SIZE_BYTES);
      mustQemuImg('convert', '-O', 'qcow2', raw, image);
      const before = readFileSync(image);
      writeBoth(image, raw, 51, { isSnapshot: true });
      assert.ok(readFileSync(image).equals(before));
    });
  });
});

/** By `qemu-img map`, but for where in the file they are. */
function extentsOf(image: string): readonly unknown[] {
  const extents = JSON.parse(mustQemuImg('map', '--output=json', image)) as Record<string, unknown>[];
  return extents.map(({ start, length, depth, zero, data }) => [start, length, depth, zero, data]);
}

/** The same seeded writes, zeros and discards of whole clusters on the image and on the raw file. */
function writeBoth(
  image: string,
  raw: string,
  seed: number,
  options: Parameters<typeof openDisk>[2] = {},
): void {
  const chances = new Chances(seededRandom(seed));
  const disk = readFileSync(raw);
  const opened = openDisk(image, 'qcow2', options);
  for (let step = 0; step < 120; step++) changeBoth(chances, opened, disk);
  assertSameBytes(opened, disk);
  opened.close();
  writeFileSync(raw, disk);
}

function changeBoth(chances: Chances, image: DiskImage, disk: Buffer): void {
  const sectors = image.sizeBytes / SECTOR_BYTES;
  const first = chances.below(sectors);
  const count = 1 + chances.below(Math.min(sectors - first, chances.of([4, 40, 400])));
  const [offset, lengthBytes] = [first * SECTOR_BYTES, count * SECTOR_BYTES];
  if (chances.chance(0.7)) {
    const bytes = new Uint8Array(lengthBytes).fill(1 + chances.below(255));
    image.write(offset, bytes);
    disk.set(bytes, offset);
  } else {
    image.writeZeroes(offset, lengthBytes, chances.chance(0.5));
    disk.fill(0, offset, offset + lengthBytes);
  }
  if (chances.chance(0.1)) image.flush();
}

function assertSameBytes(image: DiskImage, disk: Buffer): void {
  const found = new Uint8Array(disk.length);
  image.read(0, found);
  assert.ok(disk.equals(found), 'reads as it was written');
}

function ownCheck(image: string): ReturnType<typeof checkQcow2> {
  return checkQcow2(new RecordedFile(readFileSync(image)), { repairsLeaks: false });
}

function assertSound(image: string): void {
  const { status, output } = qemuCheck(image);
  assert.equal(status, 0, output);
  const own = ownCheck(image);
  assert.deepEqual([own.errors, own.leaks, own.problems], [0, 0, []]);
}
