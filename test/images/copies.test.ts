/** Images that we made, copied and committed, as QEMU sees them. */
import assert from 'node:assert/strict';
import { openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { checkQcow2 } from '../../vmm-core/backends/disk/checkImage.ts';
import { commitImage } from '../../vmm-core/backends/disk/commitImage.ts';
import { copyImage } from '../../vmm-core/backends/disk/copyImage.ts';
import { createDerived, createImage } from '../../vmm-core/backends/disk/createImage.ts';
import { HostFile } from '../../vmm-core/backends/disk/imageFile.ts';
import { attachLayers, openImage } from '../../vmm-core/backends/disk/openImage.ts';
import type { Qcow2Format } from '../../vmm-core/backends/disk/qcow2/formatQcow2.ts';
import { Qcow2Image } from '../../vmm-core/backends/disk/qcow2/qcow2Image.ts';
import { inFolderAsync, openDisk, PLAIN, writeRawDisk } from '../support/diskFiles.ts';
import { assertSameDisk, mustQemuImg, qemuCheck } from '../support/qemuImg.ts';

const SIZE_BYTES = 5 * 2 ** 20 + 512;
const FORMATS: readonly Partial<Qcow2Format>[] = [
  {},
  { version: 2 },
  { clusterBytes: 512 },
  { clusterBytes: 2 ** 21 },
  { clusterBytes: 4096, refcountBits: 1 },
  { clusterBytes: 1024, refcountBits: 64, hasLazyRefcounts: true },
];

describe('copies', () => {
  for (const qcow2 of FORMATS)
    for (const compresses of [false, true])
      it(`into qcow2 ${JSON.stringify(qcow2)}${compresses ? ', compressed' : ''}: the same for QEMU`, () =>
        inFolderAsync(async (folder) => {
          const raw = path.join(folder, 'disk.raw');
          const image = path.join(folder, 'disk.qcow2');
          writeRawDisk(raw, SIZE_BYTES);
          createImage(image, { format: 'qcow2', sizeBytes: SIZE_BYTES, qcow2 });
          await copy({ from: raw, to: image, compresses });
          assertSameDisk(image, 'qcow2', raw);
          const { status, output } = qemuCheck(image);
          assert.equal(status, 0, output);
          const tablesBytes = 8 * (qcow2.clusterBytes ?? 65536);
          assert.ok(statSync(image).size < SIZE_BYTES + tablesBytes, 'zeros take no room');
        }));

  it('into raw: holes stay holes', () =>
    inFolderAsync(async (folder) => {
      const raw = path.join(folder, 'disk.raw');
      const image = path.join(folder, 'disk.qcow2');
      const again = path.join(folder, 'again.raw');
      writeRawDisk(raw, SIZE_BYTES);
      mustQemuImg('convert', '-c', '-O', 'qcow2', raw, image);
      createImage(again, { format: 'raw', sizeBytes: SIZE_BYTES });
      const source = openDisk(image, 'qcow2', { isReadOnly: true });
      const target = openDisk(again, 'raw');
      const progress: number[] = [];
      await copyImage(source, target, { onProgress: (done) => progress.push(done) });
      for (const it of [source, target]) it.close();
      assert.ok(readFileSync(again).equals(readFileSync(raw)));
      assert.ok(statSync(again).blocks <= statSync(raw).blocks + 64);
      assert.equal(progress.at(-1), SIZE_BYTES);
    }));

  it('stop when they are told to', () =>
    inFolderAsync(async (folder) => {
      const raw = path.join(folder, 'disk.raw');
      const image = path.join(folder, 'disk.qcow2');
      writeRawDisk(raw, SIZE_BYTES);
      createImage(image, { format: 'qcow2', sizeBytes: SIZE_BYTES });
      const source = openDisk(raw, 'raw', { isReadOnly: true });
      const target = openDisk(image, 'qcow2');
      const stop = new AbortController();
      const copied = copyImage(source, target, { signal: stop.signal, onProgress: () => stop.abort() });
      await assert.rejects(copied, { name: 'AbortError' });
      for (const it of [source, target]) it.close();
      assert.equal(qemuCheck(image).status, 0);
    }));
});

describe('new images', () => {
  it('do not replace a file, and leave nothing when they cannot be made', () =>
    inFolderAsync(async (folder) => {
      const image = path.join(folder, 'disk.qcow2');
      createImage(image, { format: 'qcow2', sizeBytes: 512 });
      assert.throws(() => createImage(image, { format: 'raw', sizeBytes: 512 }), /exists already/);
      const other = path.join(folder, 'other');
      assert.throws(() => createImage(other, { format: 'raw', sizeBytes: 100 }), /whole sectors/);
      const tooLarge = { format: 'qcow2', sizeBytes: 2 ** 45, qcow2: { clusterBytes: 512 } } as const;
      assert.throws(() => createImage(other, tooLarge), /too large: with clusters of 512 bytes/);
      assert.throws(
        () => createImage(path.join(folder, 'no/disk'), { format: 'raw', sizeBytes: 512 }),
        /ENOENT/,
      );
      assert.deepEqual(readdirSync(folder), ['disk.qcow2']);
    }));

  it('may be over another, whose size and format QEMU finds in them', () =>
    inFolderAsync(async (folder) => {
      const base = path.join(folder, 'base.raw');
      const image = path.join(folder, 'derived.qcow2');
      writeRawDisk(base, SIZE_BYTES);
      createDerived(image, { path: base, format: 'raw' }, 'none');
      assertSameDisk(image, 'qcow2', base);
      const info = JSON.parse(mustQemuImg('info', '--output=json', image)) as Record<string, unknown>;
      assert.equal(info['backing-filename'], 'base.raw');
      assert.equal(info['backing-filename-format'], 'raw');
    }));

  it('of a terabyte are small, and counted right when they are full of tables', () =>
    inFolderAsync(async (folder) => {
      const image = path.join(folder, 'disk.qcow2');
      createImage(image, { format: 'qcow2', sizeBytes: 2 ** 40 });
      assert.ok(statSync(image).size < 2 ** 20);
      const opened = openDisk(image, 'qcow2');
      const sector = new Uint8Array(512).fill(1);
      for (let at = 0; at < 2 ** 40; at += 2 ** 34) opened.write(at, sector);
      opened.close();
      assert.equal(qemuCheck(image).status, 0);
    }));
});

for (const format of ['raw', 'qcow2'] as const)
  it(`a commit moves all into a backing file that is ${format}, and empties the image`, () =>
    inFolderAsync(async (folder) => {
      const base = path.join(folder, `base.${format}`);
      const image = path.join(folder, 'top.qcow2');
      const expected = path.join(folder, 'expected.raw');
      mustQemuImg('create', '-f', format, base, String(SIZE_BYTES - 1024));
      createDerived(image, { path: base, format }, 'none', SIZE_BYTES);
      writeRawDisk(expected, SIZE_BYTES);
      await copy({ from: expected, to: image, compresses: false });
      const options = {
        ...PLAIN,
        path: image,
        format: 'qcow2',
        backing: 'beside',
        writesBacking: true,
      } as const;
      const [top, below] = attachLayers(openImage(options));
      assert.ok(top instanceof Qcow2Image && below !== undefined);
      await commitImage(top, below);
      top.close();
      assertSameDisk(base, format, expected);
      assertSameDisk(image, 'qcow2', expected);
      assert.equal(qemuCheck(image).status, 0);
      assert.match(mustQemuImg('map', image), /^(?!.*top)/s, 'nothing is left in it');
    }));

it('a commit gives back the place of what the guest has zeroed', () =>
  inFolderAsync(async (folder) => {
    const base = path.join(folder, 'base.raw');
    const image = path.join(folder, 'top.qcow2');
    writeFileSync(base, new Uint8Array(SIZE_BYTES).fill(1));
    createDerived(image, { path: base, format: 'raw' }, 'none');
    const options = {
      ...PLAIN,
      path: image,
      format: 'qcow2',
      backing: 'beside',
      writesBacking: true,
    } as const;
    const [top, below] = attachLayers(openImage(options));
    assert.ok(top instanceof Qcow2Image && below !== undefined);
    top.writeZeroes(0, SIZE_BYTES, true);
    await commitImage(top, below);
    top.close();
    assert.ok(readFileSync(base).every((byte) => byte === 0));
    assert.ok(statSync(base).blocks * 512 < SIZE_BYTES / 10);
  }));

it('leaks are found and given back', () =>
  inFolderAsync(async (folder) => {
    const image = path.join(folder, 'disk.qcow2');
    createImage(image, { format: 'qcow2', sizeBytes: SIZE_BYTES, qcow2: { clusterBytes: 4096 } });
    const opened = openImage({ ...PLAIN, path: image, format: 'qcow2' });
    const [layer] = attachLayers(opened);
    assert.ok(layer instanceof Qcow2Image);
    layer.write(0, new Uint8Array(8192).fill(3));
    layer.close();
    leakLastCluster(image);
    assert.equal(qemuCheck(image).status, 3);
    const file = openForCheck(image);
    assert.equal(checkQcow2(file, { repairsLeaks: false }).leaks, 1);
    assert.equal(checkQcow2(file, { repairsLeaks: true }).leaksRepaired, 1);
    assert.equal(checkQcow2(file, { repairsLeaks: false }).leaks, 0);
    file.close();
    assert.equal(qemuCheck(image).status, 0);
  }));

async function copy(what: { from: string; to: string; compresses: boolean }): Promise<void> {
  const source = openDisk(what.from, 'raw', { isReadOnly: true });
  const target = openDisk(what.to, 'qcow2', { backing: 'beside' });
  await copyImage(source, target, { compresses: what.compresses });
  for (const it of [source, target]) it.close();
}

/** The refcount of a cluster that nothing refers to becomes 1. */
function leakLastCluster(image: string): void {
  const bytes = readFileSync(image);
  const table = Number(bytes.readBigUInt64BE(48));
  const block = Number(bytes.readBigUInt64BE(table));
  const last = bytes.length / 4096;
  bytes.writeUInt16BE(1, block + last * 2);
  writeFileSync(image, Buffer.concat([bytes, Buffer.alloc(4096)]));
}

function openForCheck(image: string): HostFile {
  return new HostFile({ fd: openSync(image, 'r+'), path: image, alignmentBytes: 1, isUnsafe: false });
}
