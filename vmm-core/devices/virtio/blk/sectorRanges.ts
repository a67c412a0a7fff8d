/**
 * The ranges of a discard or a write-zeroes request (virtio 1.2 §5.2.6): copied from the guest once, all
 * checked before any is carried out.
 */
import {
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
  VirtioBlkDiscardWriteZeroes,
} from '../../../abi/virtioBlk.ts';
import { type DiskImage, SECTOR_BYTES } from '../../../backends/disk/diskImage.ts';
import type { ChainCursor } from './chainCursor.ts';

/** What the driver is told of each type; a request blocks the disk's thread. */
export const MAX_DISCARD_SECTORS = 1 << 21;
export const MAX_DISCARD_SEG = 32;
/** Where a file system cannot zero a range, zeros are written. */
export const MAX_WRITE_ZEROES_SECTORS = 1 << 17;
export const MAX_WRITE_ZEROES_SEG = 1;

const RANGE_BYTES = VirtioBlkDiscardWriteZeroes.size;
const { sector, num_sectors, flags } = VirtioBlkDiscardWriteZeroes.fields;
const U32_LIMIT = 2 ** 32;

export class SectorRanges {
  readonly #bytes = new Uint8Array(MAX_DISCARD_SEG * RANGE_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  #type = VIRTIO_BLK_T_DISCARD;
  #count = 0;

  /** The cursor is at the ranges. Returns the status that a driver gets for them before anything is done. */
  copy(type: number, cursor: ChainCursor, lengthBytes: number, capacitySectors: number): number {
    const isDiscard = type === VIRTIO_BLK_T_DISCARD;
    this.#type = type;
    this.#count = lengthBytes / RANGE_BYTES;
    const most = isDiscard ? MAX_DISCARD_SEG : MAX_WRITE_ZEROES_SEG;
    if (!Number.isInteger(this.#count) || this.#count < 1 || this.#count > most) return VIRTIO_BLK_S_IOERR;
    cursor.copyOut(this.#bytes.subarray(0, lengthBytes));
    const known = isDiscard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
    const sectors = isDiscard ? MAX_DISCARD_SECTORS : MAX_WRITE_ZEROES_SECTORS;
    for (let i = 0; i < this.#count; i++) {
      if ((this.#u32(i, flags.offset) & ~known) !== 0) return VIRTIO_BLK_S_UNSUPP;
    }
    for (let i = 0; i < this.#count; i++) {
      const length = this.#u32(i, num_sectors.offset);
      if (length > sectors || this.#sectorOf(i) > capacitySectors - length) return VIRTIO_BLK_S_IOERR;
    }
    return VIRTIO_BLK_S_OK;
  }

  /** Nothing is under way on the disk. Throws DiskError. */
  carryOut(image: DiskImage): void {
    for (let i = 0; i < this.#count; i++) {
      const offset = this.#sectorOf(i) * SECTOR_BYTES;
      const lengthBytes = this.#u32(i, num_sectors.offset) * SECTOR_BYTES;
      const mayUnmap = (this.#u32(i, flags.offset) & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) !== 0;
      if (lengthBytes === 0) continue;
      if (this.#type === VIRTIO_BLK_T_DISCARD) image.discard(offset, lengthBytes);
      else image.writeZeroes(offset, lengthBytes, mayUnmap);
    }
  }

  #u32(range: number, offset: number): number {
    return this.#view.getUint32(range * RANGE_BYTES + offset, true);
  }

  /** Rounded beyond 2^53, which no disk reaches. */
  #sectorOf(range: number): number {
    return this.#u32(range, sector.offset + 4) * U32_LIMIT + this.#u32(range, sector.offset);
  }
}
