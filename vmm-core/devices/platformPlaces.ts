/**
 * Places for devices that no bus enumerates, which firmware tells the guest of (ACPI). The interrupts are
 * those inputs of the I/O APIC that neither ISA nor PCI devices are wired to.
 */
import { UserError } from '../errors.ts';
import { PAGE_BYTES, PLATFORM_DEVICES } from '../memory/layout.ts';
import type { Resources } from './device.ts';

const FIRST_GSI = 16;
/** The last input is 23. */
const PLACES = 8;

/** Hands out one place after the other. */
export class PlatformPlaces {
  #taken = 0;

  /** What a device occupies, with its place. */
  complete(name: string, resources: Resources): Resources {
    if (resources.platform !== true) return resources;
    const place = this.#taken++;
    if (place >= PLACES)
      throw new UserError(`${name}: there is room for ${PLACES} devices on MMIO: put others on the PCI bus`);
    const window = { base: PLATFORM_DEVICES + place * PAGE_BYTES, sizeBytes: PAGE_BYTES };
    return {
      ...resources,
      mmio: [...(resources.mmio ?? []), window],
      irqs: [...(resources.irqs ?? []), { gsi: FIRST_GSI + place, trigger: 'edge' }],
    };
  }
}
