/**
 * Puts parts of a file into guest RAM. All parts are checked before the first byte is written, so that a
 * refused image leaves no trace; bytes go from the file straight into RAM, so that a vmlinux of 600 MB costs
 * what its segments cost.
 */
import type { ByteSource } from '../elf/byteSource.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { GIB, HOLE_BASE, HOLE_END } from '../memory/layout.ts';
import { addressNotPhysical, addressTaken, imageDamaged, needsMemory } from './bootError.ts';

/** `memoryBytes` from `address` on: `fileBytes` from the file, the rest zero (bss). */
export interface ImageRegion {
  readonly address: number;
  readonly fileOffset: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

/** The largest VM's RAM ends here. No number up to here loses bits. */
const PHYSICAL_LIMIT = 128 * GIB + (HOLE_END - HOLE_BASE);

/** `regions` have been checked. */
export function loadRegions(image: ByteSource, regions: readonly ImageRegion[], memory: GuestMemory): void {
  // All of bss first: where one part's bss reaches over another's bytes, the bytes count, in whatever order
  // they are listed.
  for (const { address, fileBytes, memoryBytes } of regions)
    zeroRam(memory, address + fileBytes, memoryBytes - fileBytes);
  for (const { address, fileOffset, fileBytes } of regions)
    readIntoRam(image, fileOffset, fileBytes, memory, address);
}

/**
 * Throws BootError unless every region is in the file and may be loaded where it wants to be. That is all of
 * RAM, where a PC has video memory and ROM (0xa0000..0xfffff) too: to us that is RAM, and linkers put an ELF
 * header there.
 */
export function checkRegions(image: ByteSource, regions: readonly ImageRegion[], memory: GuestMemory): void {
  let totalBytes = 0;
  for (const region of regions) {
    const { address, fileOffset, fileBytes, memoryBytes } = region;
    if (fileOffset < 0 || fileOffset + fileBytes > image.sizeBytes) {
      throw imageDamaged(image.name, `it ends before byte ${fileOffset + fileBytes}`);
    }
    if (address >= PHYSICAL_LIMIT) throw addressNotPhysical(image.name, address);
    const end = address + memoryBytes;
    if (address < HOLE_END && end > HOLE_BASE) {
      throw addressTaken(image.name, address, end, 'the device area below 4 GiB');
    }
    if (!isRam(memory, address, memoryBytes)) {
      throw needsMemory(`kernel image ${image.name}`, end, memory.sizeBytes);
    }
    totalBytes += memoryBytes;
  }
  // Segments that overlap would each be copied and zeroed: this bounds the work by the size of the RAM.
  if (totalBytes > memory.sizeBytes) throw imageDamaged(image.name, 'its segments overlap');
}

/** True if the range is RAM, possibly over several adjacent slots. */
export function isRam(memory: GuestMemory, address: number, lengthBytes: number): boolean {
  const end = address + lengthBytes;
  for (let at = address; at < end;) {
    const available = memory.contiguousBytes(at);
    if (available === 0) return false;
    at += available;
  }
  return true;
}

/** A range of RAM may cross from one slot into the next; no view can. */
export function readIntoRam(
  source: ByteSource,
  fileOffset: number,
  lengthBytes: number,
  memory: GuestMemory,
  address: number,
): void {
  for (let done = 0; done < lengthBytes;) {
    const view = viewFrom(memory, address + done, lengthBytes - done);
    source.readInto(fileOffset + done, view);
    done += view.length;
  }
}

function zeroRam(memory: GuestMemory, address: number, lengthBytes: number): void {
  for (let done = 0; done < lengthBytes;) {
    const view = viewFrom(memory, address + done, lengthBytes - done);
    view.fill(0);
    done += view.length;
  }
}

/** The longest view that starts at `address` and is at most `maximumBytes` long. */
function viewFrom(memory: GuestMemory, address: number, maximumBytes: number): Uint8Array {
  const lengthBytes = Math.min(maximumBytes, Math.max(1, memory.contiguousBytes(address)));
  return memory.slice(gpa(address), lengthBytes);
}
