/**
 * Where the VM's own structures go below 1 MiB: each has an address it prefers (memory/layout.ts) and moves
 * when a part of the image is loaded there. One object a boot, used by the loaders in turn; the image itself
 * is never moved.
 */
import {
  BIOS_AREA,
  BIOS_DATA_END,
  BOOT_STACK,
  CONVENTIONAL_RAM_END,
  HIGH_RAM_BASE,
  MP_TABLE,
  PAGE_BYTES,
} from '../memory/layout.ts';
import { noRoomForBootData } from './bootError.ts';

/** A range of guest-physical memory that the image uses. */
export interface BusyRange {
  readonly address: number;
  readonly memoryBytes: number;
}

interface Zone {
  readonly start: number;
  readonly end: number;
}

/** What the guest may use for itself once it has read what is there. */
const CONVENTIONAL: Zone = { start: BIOS_DATA_END, end: CONVENTIONAL_RAM_END };
/** Reserved in the memory map, and scanned for tables. */
const BIOS: Zone = { start: BIOS_AREA, end: HIGH_RAM_BASE };
/** MP specification 1.4 §4: the floating pointer is looked for here, not below. */
const MP_SCANNED: Zone = { start: MP_TABLE, end: HIGH_RAM_BASE };

export class BootArea {
  readonly #image: string;
  readonly #taken: Zone[];

  /** `image` names the kernel in errors. */
  constructor(image: string, busy: readonly BusyRange[]) {
    this.#image = image;
    this.#taken = busy.map(({ address, memoryBytes }) => ({ start: address, end: address + memoryBytes }));
  }

  /**
   * The address for `sizeBytes`: `preferred` if it is free, else the first place behind it, else the first in
   * the same zone: kernels that guard their null pointers have no page 0. Throws BootError.
   */
  place(preferred: number, sizeBytes: number, alignment = 16): number {
    const zone = zoneOf(preferred);
    const behind = { start: preferred, end: zone.end };
    const address =
      this.#firstFit(behind, sizeBytes, alignment) ?? this.#firstFit(zone, sizeBytes, alignment);
    if (address === undefined) throw noRoomForBootData(this.#image, sizeBytes, zone.start, zone.end);
    this.#taken.push({ start: address, end: address + sizeBytes });
    return address;
  }

  /**
   * The top of a page for kernels that push before they set up a stack. No protocol asks for one, but
   * firmware's is there on a PC.
   */
  placeStack(): number {
    return this.place(BOOT_STACK, PAGE_BYTES, PAGE_BYTES) + PAGE_BYTES - 16;
  }

  #overlapping(address: number, sizeBytes: number): Zone | undefined {
    return this.#taken.find(({ start, end }) => address < end && start < address + sizeBytes);
  }

  #firstFit({ start, end }: Zone, sizeBytes: number, alignment: number): number | undefined {
    for (let address = alignUp(start, alignment); address + sizeBytes <= end;) {
      const obstacle = this.#overlapping(address, sizeBytes);
      if (obstacle === undefined) return address;
      address = alignUp(obstacle.end, alignment);
    }
    return undefined;
  }
}

function zoneOf(preferred: number): Zone {
  if (preferred < CONVENTIONAL.end) return CONVENTIONAL;
  return preferred === MP_TABLE ? MP_SCANNED : BIOS;
}

function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
