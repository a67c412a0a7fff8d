/**
 * What a disk was told, sector by sector, and so what it may have: after a crash what it had at the last
 * flush, or anything that it was told since.
 */
import assert from 'node:assert/strict';
import { type DiskImage, SECTOR_BYTES } from '../../vmm-core/backends/disk/diskImage.ts';

const ZEROS = new Uint8Array(SECTOR_BYTES);

/** 0: zeros. */
type Stamp = number;

interface Told {
  readonly step: number;
  readonly stamp: Stamp;
  /** A discard: what was there before may still be. */
  mayKeep?: boolean;
}

export class DiskHistory {
  /** Of all sectors that the disk ever had. */
  readonly #told: Told[][] = [];
  #sizeBytes = 0;
  #stamp = 0;

  constructor(sizeBytes: number) {
    this.resize(sizeBytes, 0);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** New content for the range; it is told as step `step`. */
  write(offset: number, lengthBytes: number, step: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes);
    for (let at = 0; at < lengthBytes; at += SECTOR_BYTES) {
      const stamp = ++this.#stamp;
      bytes.set(sectorWith(stamp, offset + at), at);
      this.#tell(offset + at, { step, stamp });
    }
    return bytes;
  }

  zero(offset: number, lengthBytes: number, step: number): void {
    for (let at = 0; at < lengthBytes; at += SECTOR_BYTES) this.#tell(offset + at, { step, stamp: 0 });
  }

  discard(offset: number, lengthBytes: number, step: number): void {
    for (let at = 0; at < lengthBytes; at += SECTOR_BYTES)
      this.#tell(offset + at, { step, stamp: 0, mayKeep: true });
  }

  /** What step `step` told may have been done in part, or not at all. */
  failed(step: number): void {
    for (const told of this.#told) {
      const last = told.at(-1);
      if (last?.step === step) last.mayKeep = true;
    }
  }

  /** Where it grows it has zeros; where it shrinks, as long as it has not, anything. */
  resize(sizeBytes: number, step: number): void {
    for (let at = this.#sizeBytes; at < sizeBytes; at += SECTOR_BYTES) {
      this.#told[at / SECTOR_BYTES] ??= [];
      this.#tell(at, { step, stamp: 0 });
    }
    if (sizeBytes < this.#sizeBytes) this.discard(sizeBytes, this.#sizeBytes - sizeBytes, step);
    this.#sizeBytes = sizeBytes;
  }

  /** Content that it may have: as of `flushed`, or of any step from there to `last`. */
  assertHolds(image: DiskImage, flushed: number, last: number): void {
    const disk = new Uint8Array(Math.min(image.sizeBytes, this.#told.length * SECTOR_BYTES));
    image.read(0, disk);
    for (let at = 0; at < disk.length; at += SECTOR_BYTES) {
      const told = this.#told[at / SECTOR_BYTES] ?? [];
      let had = told.findLastIndex((it) => it.step <= flushed);
      while (had > 0 && told[had]?.mayKeep === true) had--;
      const allowed = told.slice(Math.max(had, 0)).filter((it) => it.step <= last);
      const found = stampOf(disk.subarray(at, at + SECTOR_BYTES), at);
      assert.ok(
        allowed.some((it) => it.stamp === found),
        `the sector at 0x${at.toString(16)} has ${found}, not one of ${allowed.map((it) => it.stamp).join(', ')}`,
      );
    }
  }

  #tell(offset: number, told: Told): void {
    this.#told[offset / SECTOR_BYTES]?.push(told);
  }
}

function sectorWith(stamp: Stamp, offset: number): Uint8Array {
  const sector = new Uint8Array(SECTOR_BYTES).fill(0x5a);
  const view = new DataView(sector.buffer);
  view.setUint32(0, stamp);
  view.setFloat64(8, offset);
  view.setUint32(SECTOR_BYTES - 4, stamp);
  return sector;
}

/** NaN: it is a sector of another place, or nothing that was ever written. */
function stampOf(sector: Uint8Array, offset: number): Stamp {
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  const stamp = view.getUint32(0);
  if (stamp === 0 && Buffer.compare(sector, ZEROS) === 0) return 0;
  return view.getFloat64(8) === offset && view.getUint32(SECTOR_BYTES - 4) === stamp ? stamp : NaN;
}
