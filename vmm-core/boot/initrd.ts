/**
 * Where the initrd goes: as high in low RAM as the kernel allows, on a page of its own, clear of the kernel.
 */
import type { ByteSource } from '../elf/byteSource.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { HIGH_RAM_BASE, HOLE_BASE, PAGE_BYTES, lowRamEnd } from '../memory/layout.ts';
import type { BusyRange } from './bootArea.ts';
import { initrdEmpty, initrdTooLarge, needsMemory } from './bootError.ts';
import { readIntoRam } from './imageRegions.ts';

export interface PlacedInitrd {
  readonly source: ByteSource;
  readonly address: number;
  readonly sizeBytes: number;
}

/**
 * Clear of `busy`. `maximumAddress` is the highest address its last byte may have
 * (setup_header.initrd_addr_max). Undefined when there is no initrd. Throws BootError.
 */
export function placeInitrd(
  initrd: ByteSource | undefined,
  memory: GuestMemory,
  busy: readonly BusyRange[],
  maximumAddress = HOLE_BASE - 1,
): PlacedInitrd | undefined {
  if (initrd === undefined) return undefined;
  if (initrd.sizeBytes === 0) throw initrdEmpty(initrd.name);
  const limit = maximumAddress + 1;
  const address = highestGap(initrd.sizeBytes, Math.min(lowRamEnd(memory.slots), limit), busy);
  if (address === undefined) throw doesNotFit(initrd, memory, busy, limit);
  return { source: initrd, address, sizeBytes: initrd.sizeBytes };
}

export function loadInitrd(initrd: PlacedInitrd | undefined, memory: GuestMemory): void {
  if (initrd !== undefined) readIntoRam(initrd.source, 0, initrd.sizeBytes, memory, initrd.address);
}

/**
 * The highest page from which `sizeBytes` fit below `top` and between the busy ranges. Walks the ranges from
 * the highest end down.
 */
function highestGap(sizeBytes: number, top: number, busy: readonly BusyRange[]): number | undefined {
  let ceiling = top;
  const ranges = busy.map(({ address, memoryBytes }) => ({ start: address, end: address + memoryBytes }));
  ranges.push({ start: 0, end: HIGH_RAM_BASE });
  for (const { start, end } of ranges.toSorted((a, b) => b.end - a.end)) {
    const address = Math.floor((ceiling - sizeBytes) / PAGE_BYTES) * PAGE_BYTES;
    if (address >= end) return address;
    ceiling = Math.min(ceiling, start);
  }
  return undefined;
}

function doesNotFit(
  initrd: ByteSource,
  memory: GuestMemory,
  busy: readonly BusyRange[],
  limit: number,
): Error {
  const kernelEnd = busy.reduce(
    (end, range) => Math.max(end, range.address + range.memoryBytes),
    HIGH_RAM_BASE,
  );
  const end =
    Math.ceil(kernelEnd / PAGE_BYTES) * PAGE_BYTES + Math.ceil(initrd.sizeBytes / PAGE_BYTES) * PAGE_BYTES;
  if (end > Math.min(limit, HOLE_BASE)) {
    return initrdTooLarge(initrd.name, initrd.sizeBytes, Math.min(limit, HOLE_BASE));
  }
  return needsMemory(`initrd ${initrd.name} beside the kernel`, end, memory.sizeBytes);
}
