/** How ACPI tells of a virtio device on MMIO, which no bus enumerates: virtio 1.2 §4.2.1 leaves it to us. */
import { interrupt, memory32Fixed, string } from '../../firmware/aml.ts';
import type { FirmwareContribution } from '../../firmware/contribution.ts';
import { pnpDevice } from '../../firmware/pnpDevice.ts';
import { PAGE_BYTES, PLATFORM_DEVICES } from '../../memory/layout.ts';
import type { Resources } from '../device.ts';

/** Registered by Linaro; Linux, FreeBSD and others look for it. */
const HID = 'LNRO0005';

export function virtioFirmware({ mmio = [], irqs = [] }: Resources): FirmwareContribution {
  const [window] = mmio;
  const [irq] = irqs;
  if (window === undefined || irq === undefined) return {};
  const place = (window.base - PLATFORM_DEVICES) / PAGE_BYTES;
  const resources = [memory32Fixed(window.base, window.sizeBytes), interrupt(irq.gsi)];
  return { busTerms: [pnpDevice(`VR${place.toString().padStart(2, '0')}`, string(HID), resources, place)] };
}
