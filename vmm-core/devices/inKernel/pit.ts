/** The 8254, and the port of the speaker that it drives: KVM answers both. */
import * as abi from '../../abi/pit.ts';
import { eisaId, io, irqNoFlags } from '../../firmware/aml.ts';
import { pnpDevice } from '../../firmware/pnpDevice.ts';
import type { DeviceClass } from '../device.ts';

export const pit: DeviceClass = {
  id: 'pit',
  resources: () => ({
    ports: [
      { base: abi.PORT_PIT, sizeBytes: abi.PIT_PORTS },
      { base: abi.PORT_SPEAKER, sizeBytes: 1 },
    ],
    irqs: [{ gsi: abi.IRQ_PIT, trigger: 'edge' }],
  }),
  // KVM's default routing has IRQ 0 on IOAPIC input 0, unlike a real PC and QEMU, which use input 2: hence no
  // interrupt override.
  firmware: () => ({
    busTerms: [
      pnpDevice('TIMR', eisaId('PNP0100'), [io(abi.PORT_PIT, abi.PIT_PORTS), irqNoFlags(abi.IRQ_PIT)]),
    ],
  }),
};
