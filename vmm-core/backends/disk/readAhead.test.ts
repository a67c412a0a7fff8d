import assert from 'node:assert/strict';
import fs, { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { seededRandom } from '../../../test/support/bytes.ts';
import { nthFaults, PlannedFaults } from '../../../test/support/ioFaults.ts';
import { injectFaults, type IoRequest } from '../../kvm/io/faults.ts';
import { formatImage } from './createImage.ts';
import { DiskError } from './diskError.ts';
import type { DiskImage } from './diskImage.ts';
import { HostFile } from './imageFile.ts';
import { attachFile } from './openImage.ts';
import { Qcow2Image } from './qcow2/qcow2Image.ts';
import { packCluster } from './qcow2/unpack.ts';
import { RawImage } from './rawImage.ts';
import { piecesOf } from './readAhead.ts';

const UNIT_BYTES = 64 << 10;
const MIB = 1 << 20;
/** The last cluster is not whole. */
const DISK_BYTES = 5 * MIB + 512;
const CLUSTER_BYTES = 4096;
const { EIO } = constants.errno;

let folder: string;
let file: string;
let fd: number;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'trapframe-ahead-'));
  file = path.join(folder, 'disk.raw');
  fd = openSync(file, 'w+');
});
afterEach(() => {
  injectFaults(undefined);
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

it('gives the data of a disk in its order, in whole units, without the holes of the file', async () => {
  truncateSync(file, 20 * MIB + 512);
  const places = [0, 3 * MIB + 4096, 3 * MIB + 2 * UNIT_BYTES, 9 * MIB, 20 * MIB];
  for (const at of places) writeSync(fd, new Uint8Array(512).fill(5), 0, 512, at);
  const pieces = await allPieces(rawImage());
  for (const { offset, length } of pieces) {
    assert.equal(offset % UNIT_BYTES, 0);
    assert.ok(length % UNIT_BYTES === 0 || offset + length === 20 * MIB + 512);
  }
  assert.deepEqual(
    pieces.map((it) => it.offset),
    [0, 3 * MIB, 3 * MIB + 2 * UNIT_BYTES, 9 * MIB, 20 * MIB],
  );
  assert.equal(fivesIn(pieces), places.length * 512);
});

it('a file that is one hole has no pieces, and one that is full has all its bytes', async () => {
  truncateSync(file, 64 * MIB);
  assert.deepEqual(await allPieces(rawImage()), []);
  writeSync(fd, new Uint8Array(9 * MIB).fill(5), 0, 9 * MIB, 55 * MIB);
  const pieces = await allPieces(rawImage());
  assert.equal(pieces[0]?.offset, 55 * MIB);
  assert.equal(fivesIn(pieces), 9 * MIB);
});

it('clusters of any kind, anywhere in the file, become what the disk reads as', async () => {
  const random = seededRandom(9);
  formatImage(hostFile(), { format: 'qcow2', sizeBytes: DISK_BYTES, qcow2: { clusterBytes: CLUSTER_BYTES } });
  const image = attachFile(hostFile(), 'qcow2');
  assert.ok(image instanceof Qcow2Image);
  for (let count = 0; count < 600; count++) await writeSomething(image, random);
  image.flush();
  const expected = new Uint8Array(DISK_BYTES);
  image.read(0, expected);
  const disk = new Uint8Array(DISK_BYTES);
  for await (const pieces of piecesOf(image, UNIT_BYTES))
    for (const { offset, bytes } of pieces) disk.set(bytes, offset);
  assert.ok(Buffer.from(disk).equals(expected));
});

it('a compressed cluster that cannot be unpacked is an error', async () => {
  formatImage(hostFile(), { format: 'qcow2', sizeBytes: DISK_BYTES, qcow2: { clusterBytes: CLUSTER_BYTES } });
  const image = attachFile(hostFile(), 'qcow2');
  assert.ok(image instanceof Qcow2Image);
  image.writePacked(0, new Uint8Array(100).fill(0xff));
  await assert.rejects(allPieces(image), /the compressed cluster at 0x[0-9a-f]+/);
});

it('what other threads still read is over when a compressed cluster was an error', async (t) => {
  formatImage(hostFile(), { format: 'qcow2', sizeBytes: DISK_BYTES, qcow2: { clusterBytes: CLUSTER_BYTES } });
  const image = attachFile(hostFile(), 'qcow2');
  assert.ok(image instanceof Qcow2Image);
  image.writePacked(0, new Uint8Array(100).fill(0xff));
  image.write(MIB, new Uint8Array(MIB).fill(5));
  t.mock.method(image, 'readPackedAhead', () => Promise.reject(new DiskError('it is broken', EIO)));
  const told: string[] = [];
  t.mock.method(fs, 'read', (...args: readonly unknown[]): void => {
    setImmediate(() => {
      told.push('read');
      (args.at(-1) as (error: null, count: number) => void)(null, MIB);
    });
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  await assert.rejects(allPieces(image), /it is broken/);
  assert.deepEqual(told, ['read']);
});

describe('a read that fails', () => {
  beforeEach(() => {
    writeSync(fd, new Uint8Array(9 * MIB).fill(5));
  });

  it('is an error of the list that it belongs to', async () => {
    injectFaults(new PlannedFaults((it) => (isReadOf(3 * MIB, it) ? { errno: EIO } : undefined)));
    let bytes = 0;
    await assert.rejects(async () => {
      for await (const pieces of piecesOf(rawImage(), UNIT_BYTES))
        for (const it of pieces) bytes += it.bytes.length;
    }, DiskError);
    assert.ok(bytes > 0 && bytes <= 3 * MIB);
  });

  it('once, or is short, is made good by the image', async () => {
    injectFaults(nthFaults({ read: { 2: { errno: EIO }, 3: { shortBytes: 4096 } } }));
    const pieces = await allPieces(rawImage());
    assert.equal(fivesIn(pieces), 9 * MIB);
  });
});

interface SeenPiece {
  readonly offset: number;
  readonly length: number;
  readonly fives: number;
}

async function allPieces(image: DiskImage): Promise<SeenPiece[]> {
  const seen: SeenPiece[] = [];
  for await (const pieces of piecesOf(image, UNIT_BYTES))
    for (const { offset, bytes } of pieces)
      seen.push({
        offset,
        length: bytes.length,
        fives: bytes.reduce((sum, it) => sum + Number(it === 5), 0),
      });
  return seen;
}

function rawImage(): RawImage {
  return new RawImage(hostFile(), { isReadOnly: true, discards: false, isUnsafe: true });
}

function hostFile(): HostFile {
  return new HostFile({ fd, path: file, alignmentBytes: 1, isUnsafe: true });
}

function fivesIn(pieces: readonly SeenPiece[]): number {
  return pieces.reduce((sum, it) => sum + it.fives, 0);
}

/** Some clusters of data, of zeros, or one that is compressed. */
async function writeSomething(image: Qcow2Image, random: () => number): Promise<void> {
  const at = Math.floor((random() * DISK_BYTES) / CLUSTER_BYTES) * CLUSTER_BYTES;
  const lengthBytes = Math.min(DISK_BYTES - at, CLUSTER_BYTES * Math.ceil(random() * 12));
  const content = new Uint8Array(lengthBytes).map((_, index) => (index >> 4) + at / CLUSTER_BYTES);
  const kind = random();
  if (kind < 0.4) image.write(at, content);
  else if (kind < 0.6) image.writeZeroes(at, lengthBytes, random() < 0.5);
  else {
    const packed = await packCluster(content.subarray(0, CLUSTER_BYTES));
    if (packed !== undefined && lengthBytes >= CLUSTER_BYTES) image.writePacked(at, packed);
  }
}

function isReadOf(offset: number, request: IoRequest): boolean {
  return request.call === 'read' && request.offset <= offset && offset < request.offset + request.lengthBytes;
}
