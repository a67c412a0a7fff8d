/** Where an image has data: as its `locate` says it, but that the holes of its files are zeros, too. */
import { nextData, nextHole } from '../../kvm/fileIo.ts';
import { type DiskImage, EXTENT, type Extent, SECTOR_BYTES } from './diskImage.ts';

/** Of a file, [from, to) is data as a whole. */
interface DataRange {
  from: number;
  to: number;
}

export class SparseExtents {
  readonly #image: DiskImage;
  /** The last one of each file: to look for a hole anew at every extent, tmpfs goes through all its pages. */
  readonly #data = new Map<number, DataRange>();

  constructor(image: DiskImage) {
    this.#image = image;
  }

  /** As DiskImage.locate; an extent of zeros is as long as it can be. */
  locate(offset: number, lengthBytes: number, extent: Extent): void {
    this.#locateOne(offset, lengthBytes, extent);
    if (extent.kind !== EXTENT.ZERO) return;
    let zeros = 0;
    while (extent.kind === EXTENT.ZERO) {
      zeros += extent.lengthBytes;
      if (zeros === lengthBytes) break;
      this.#locateOne(offset + zeros, lengthBytes - zeros, extent);
    }
    extent.kind = EXTENT.ZERO;
    extent.lengthBytes = zeros;
  }

  #locateOne(offset: number, lengthBytes: number, extent: Extent): void {
    this.#image.locate(offset, lengthBytes, extent);
    if (extent.kind !== EXTENT.DATA) return;
    const { from, to } = this.#dataAt(extent.fd, extent.fileOffset);
    if (from > extent.fileOffset) extent.kind = EXTENT.ZERO;
    const end = extent.kind === EXTENT.ZERO ? from : to;
    extent.lengthBytes = Math.min(extent.lengthBytes, end - extent.fileOffset);
  }

  /** The first one that ends behind `offset`. */
  #dataAt(fd: number, offset: number): DataRange {
    const known = this.#data.get(fd);
    if (known !== undefined && known.from <= offset && offset < known.to) return known;
    const from = nextData(fd, offset);
    const to = from === Infinity ? Infinity : nextHole(fd, from); // the end of the file is a hole
    const range = { from: roundDown(from), to: roundUp(to) };
    this.#data.set(fd, range);
    return range;
  }
}

function roundDown(offset: number): number {
  return Math.floor(offset / SECTOR_BYTES) * SECTOR_BYTES;
}

function roundUp(offset: number): number {
  return Math.ceil(offset / SECTOR_BYTES) * SECTOR_BYTES;
}
