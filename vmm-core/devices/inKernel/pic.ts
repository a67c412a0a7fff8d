/** The two 8259As: KVM answers their ports. */
import { ACPI_MADT_PCAT_COMPAT } from '../../abi/acpiTables.ts';
import * as abi from '../../abi/pic.ts';
import { eisaId, io, irqNoFlags } from '../../firmware/aml.ts';
import { pnpDevice } from '../../firmware/pnpDevice.ts';
import type { DeviceClass } from '../device.ts';

const ISA_IRQS = 16;

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
  firmware: () => ({
    busTerms: [
      pnpDevice('PIC', eisaId('PNP0000'), [
        io(abi.PORT_PIC_MASTER, abi.PIC_PORTS),
        io(abi.PORT_PIC_SLAVE, abi.PIC_PORTS),
        io(abi.PORT_PIC_ELCR, abi.ELCR_PORTS),
        irqNoFlags(abi.IRQ_PIC_CASCADE),
      ]),
    ],
    madtFlags: ACPI_MADT_PCAT_COMPAT,
    // The slave's output is the master's input 2, which the ISA bus does not have.
    isaIrqs: Array.from({ length: ISA_IRQS }, (_, irq) => irq).filter((irq) => irq !== abi.IRQ_PIC_CASCADE),
  }),
};
