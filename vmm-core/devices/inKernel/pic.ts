/** The two 8259As: KVM answers their ports. */
import * as abi from '../../abi/pic.ts';
import type { DeviceClass } from '../device.ts';

export const pic: DeviceClass = {
  id: 'pic',
  resources: () => ({
    ports: [
      { base: abi.PORT_PIC_MASTER, sizeBytes: abi.PIC_PORTS },
      { base: abi.PORT_PIC_SLAVE, sizeBytes: abi.PIC_PORTS },
      { base: abi.PORT_PIC_ELCR, sizeBytes: abi.ELCR_PORTS },
    ],
    irqs: [{ gsi: abi.IRQ_PIC_CASCADE, trigger: 'edge' }],
  }),
};
