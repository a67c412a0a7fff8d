/** The I/O APIC, which has an input for each interrupt: KVM answers its registers. */
import * as abi from '../../abi/ioApic.ts';
import type { DeviceClass } from '../device.ts';

export const ioApic: DeviceClass = {
  id: 'io-apic',
  resources: () => ({ mmio: [{ base: abi.IOAPIC_BASE, sizeBytes: abi.IOAPIC_BYTES }] }),
  firmware: () => ({
    ioApics: [{ id: abi.IOAPIC_ID, version: abi.IOAPIC_VERSION, address: abi.IOAPIC_BASE, gsiBase: 0 }],
  }),
};
