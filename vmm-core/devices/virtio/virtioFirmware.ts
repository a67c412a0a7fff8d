/**
 * How a guest is told of a virtio device on MMIO, which no bus enumerates (virtio 1.2 §4.2.1): by ACPI; one
 * that does without has the MP table and its command line.
 */
import { interrupt, memory32Fixed, string } from '../../firmware/aml.ts';
import type { FirmwareContribution } from '../../firmware/contribution.ts';
import { pnpDevice } from '../../firmware/pnpDevice.ts';
import { KIB, PAGE_BYTES, PLATFORM_DEVICES } from '../../memory/layout.ts';
import type { Resources } from '../device.ts';

/** Registered by Linaro; Linux, FreeBSD and others look for it. */
const HID = 'LNRO0005';

export function virtioFirmware({ mmio = [], irqs = [] }: Resources): FirmwareContribution {
  const [window] = mmio;
  const [irq] = irqs;
  if (window === undefined || irq === undefined) return {};
  const place = (window.base - PLATFORM_DEVICES) / PAGE_BYTES;
  const resources = [memory32Fixed(window.base, window.sizeBytes), interrupt(irq.gsi)];
  const address = `0x${window.base.toString(16)}`;
  return {
    busTerms: [pnpDevice(`VR${place.toString().padStart(2, '0')}`, string(HID), resources, place)],
    isaIrqs: [irq.gsi],
    kernelParameters: [`virtio_mmio.device=${window.sizeBytes / KIB}K@${address}:${irq.gsi}`],
  };
}
