/**
 * The bridge to the ISA bus, which old kernels look for. The wiring of PCI interrupts cannot be changed: its
 * routing registers are read-only.
 */
import * as abi from '../../abi/isaBridge.ts';
import type { DeviceClass } from '../device.ts';
import { PIRQ_GSIS } from './pciInterrupts.ts';

export const isaBridge: DeviceClass = {
  id: 'isa-bridge',
  resources: () => ({
    pci: {
      slot: { device: 1, function: 0 },
      ids: { ...abi.ISA_BRIDGE_IDS, subsystemVendorId: 0, subsystemId: 0 },
      registers: [{ offset: abi.PIRQRC, bytes: PIRQ_GSIS }],
    },
  }),
};
