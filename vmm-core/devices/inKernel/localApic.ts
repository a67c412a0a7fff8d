/** The local APICs of all CPUs, at one address: KVM answers it. */
import * as abi from '../../abi/localApic.ts';
import type { DeviceClass } from '../device.ts';

export const localApic: DeviceClass = {
  id: 'local-apic',
  resources: () => ({ mmio: [{ base: abi.LAPIC_BASE, sizeBytes: abi.LAPIC_BYTES }] }),
};
