/** The 8254, and the port of the speaker that it drives: KVM answers both. */
import * as abi from '../../abi/pit.ts';
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
};
