/**
 * Virtio over PCI (virtio 1.2 §4.1): the modern interface in a memory BAR and, of device types that virtio
 * 0.9 had, the legacy interface in ports (legacyRegisters.ts), for drivers that know no other. Interrupts by
 * MSI-X, or by the pin and the ISR. A driver that has not made the function a bus master is served as well:
 * old ones forget to.
 */
import * as abi from '../../abi/virtioPci.ts';
import type { BusDevice } from '../../bus/busDevice.ts';
import type { DoorbellPlace } from '../../bus/doorbell.ts';
import type { PciFunctionHost } from '../pci/pciFunctionHost.ts';
import { LegacyRegisters } from './legacyRegisters.ts';
import { PciCfgWindow } from './pciCfgWindow.ts';
import { BAR, NOTIFY_MULTIPLIER, PCI_CFG_INDEX, REGION, type Region } from './pciLayout.ts';
import type { QueueField, VirtioRegisters } from './virtioRegisters.ts';
import type { VirtioTransportDevice } from './virtioTransport.ts';

/** Registers of the queue selected that may be written while it is not enabled. */
const QUEUE_FIELDS: Readonly<Record<number, QueueField>> = {
  [abi.VIRTIO_PCI_COMMON_Q_SIZE]: 'queueSize',
  [abi.VIRTIO_PCI_COMMON_Q_DESCLO]: 'queueDescLow',
  [abi.VIRTIO_PCI_COMMON_Q_DESCHI]: 'queueDescHigh',
  [abi.VIRTIO_PCI_COMMON_Q_AVAILLO]: 'queueDriverLow',
  [abi.VIRTIO_PCI_COMMON_Q_AVAILHI]: 'queueDriverHigh',
  [abi.VIRTIO_PCI_COMMON_Q_USEDLO]: 'queueDeviceLow',
  [abi.VIRTIO_PCI_COMMON_Q_USEDHI]: 'queueDeviceHigh',
};

export interface PciTransportOptions {
  readonly name: string;
  readonly registers: VirtioRegisters;
  readonly pci: PciFunctionHost;
  /** Of the MSI-X capability. */
  readonly vectors: number;
  readonly hasLegacy: boolean;
  /** The guest has moved a BAR, and `kickPlace` with it. */
  readonly onMoved: () => void;
}

export class PciTransport implements VirtioTransportDevice {
  readonly bars: readonly (BusDevice | undefined)[];
  readonly capabilities: readonly (BusDevice | undefined)[];
  readonly #registers: VirtioRegisters;
  readonly #pci: PciFunctionHost;
  readonly #vectors: number;

  constructor({ name, registers, pci, vectors, hasLegacy, onMoved }: PciTransportOptions) {
    this.#registers = registers;
    this.#pci = pci;
    this.#vectors = vectors;
    const modern: BusDevice = {
      name,
      read: (offset, sizeBytes) => this.#readModern(offset, sizeBytes),
      write: (offset, sizeBytes, value) => this.#writeModern(offset, sizeBytes, value),
    };
    const legacy = hasLegacy ? new LegacyRegisters({ name, registers, pci, vectors }) : undefined;
    const bars: (BusDevice | undefined)[] = [];
    bars[BAR.LEGACY] = legacy;
    bars[BAR.MODERN] = modern;
    this.bars = bars;
    const capabilities: (BusDevice | undefined)[] = [];
    capabilities[PCI_CFG_INDEX] = new PciCfgWindow(name, registers, modern);
    this.capabilities = capabilities;
    let isBuilt = false;
    pci.onBarPlaced((bar, base) => {
      // The bus orders places by a lock of its own, and ours may not be taken inside it.
      if (bar === BAR.MODERN) registers.regs.memoryBar = base ?? 0;
      if (bar === BAR.LEGACY) registers.regs.portBar = base ?? 0;
      if (isBuilt) onMoved();
    });
    isBuilt = true;
  }

  /** All of it is behind BARs. */
  read(): number {
    return 0xffff_ffff;
  }

  write(): void {
    // see read()
  }

  kickPlace(queue: number): DoorbellPlace | undefined {
    const { isLegacy, memoryBar, portBar } = this.#registers.regs;
    if (isLegacy !== 0) {
      if (portBar === 0) return undefined;
      return { kind: 'port', address: portBar + abi.VIRTIO_PCI_QUEUE_NOTIFY, sizeBytes: 2, value: queue };
    }
    if (memoryBar === 0) return undefined;
    const address = memoryBar + REGION.NOTIFY.offset + queue * NOTIFY_MULTIPLIER;
    return { kind: 'mmio', address, sizeBytes: 0 };
  }

  usedBuffers(queue: number): void {
    if (this.#pci.isMsixEnabled) this.#send(this.#registers.regs.queueVector[queue]);
    else this.#registers.raiseIsr(abi.VIRTIO_PCI_ISR_QUEUE, () => this.#pci.setPin(true));
  }

  /** §4.1.4.5.1: the ISR tells of it with MSI-X too. */
  configChange(): void {
    const isMsix = this.#pci.isMsixEnabled;
    this.#registers.raiseIsr(abi.VIRTIO_PCI_ISR_CONFIG, () => {
      if (!isMsix) this.#pci.setPin(true);
    });
    if (isMsix) this.#send(this.#registers.regs.configVector);
  }

  lowerInterrupt(): void {
    this.#pci.setPin(false);
  }

  #send(vector: number | undefined): void {
    if (vector !== undefined && vector !== abi.VIRTIO_MSI_NO_VECTOR) this.#pci.raise(vector);
  }

  #readModern(offset: number, sizeBytes: number): number {
    const { COMMON, ISR, DEVICE } = REGION;
    if (isIn(COMMON, offset)) return this.#readCommon(offset - COMMON.offset);
    if (offset === ISR.offset) return this.#registers.clearIsr(0xff);
    if (isIn(DEVICE, offset)) return this.#registers.readConfig(offset - DEVICE.offset, sizeBytes);
    return 0;
  }

  #writeModern(offset: number, sizeBytes: number, value: number): void {
    const { COMMON, DEVICE, NOTIFY } = REGION;
    if (isIn(COMMON, offset)) this.#writeCommon(offset - COMMON.offset, value);
    else if (isIn(DEVICE, offset)) this.#registers.writeConfig(offset - DEVICE.offset, sizeBytes, value);
    else if (isIn(NOTIFY, offset)) this.#registers.kick((offset - NOTIFY.offset) / NOTIFY_MULTIPLIER);
  }

  #readCommon(offset: number): number {
    const registers = this.#registers;
    const { regs } = registers;
    const queue = regs.queueSelect;
    const exists = registers.maxQueueSize(queue) !== 0;
    switch (offset) {
      case abi.VIRTIO_PCI_COMMON_DFSELECT:
        return regs.deviceFeaturesSelect;
      case abi.VIRTIO_PCI_COMMON_DF:
        return registers.deviceFeatures(regs.deviceFeaturesSelect);
      case abi.VIRTIO_PCI_COMMON_GFSELECT:
        return regs.driverFeaturesSelect;
      case abi.VIRTIO_PCI_COMMON_GF:
        return registers.driverFeatures(regs.driverFeaturesSelect);
      case abi.VIRTIO_PCI_COMMON_MSIX:
        return regs.configVector;
      case abi.VIRTIO_PCI_COMMON_NUMQ:
        return registers.queues;
      case abi.VIRTIO_PCI_COMMON_STATUS:
        return registers.status;
      case abi.VIRTIO_PCI_COMMON_CFGGENERATION:
        return regs.configGeneration;
      case abi.VIRTIO_PCI_COMMON_Q_SELECT:
        return queue;
      case abi.VIRTIO_PCI_COMMON_Q_MSIX:
        return exists ? (regs.queueVector[queue] ?? 0) : abi.VIRTIO_MSI_NO_VECTOR;
      case abi.VIRTIO_PCI_COMMON_Q_ENABLE:
        return registers.isQueueEnabled(queue) ? 1 : 0;
      case abi.VIRTIO_PCI_COMMON_Q_NOFF:
      case abi.VIRTIO_PCI_COMMON_Q_NDATA:
        return exists ? queue : 0;
      case abi.VIRTIO_PCI_COMMON_Q_RESET:
        return registers.isQueueResetting(queue) ? 1 : 0;
      default: {
        const field = QUEUE_FIELDS[offset];
        return field === undefined ? 0 : registers.readQueue(field, queue);
      }
    }
  }

  #writeCommon(offset: number, value: number): void {
    const registers = this.#registers;
    const { regs } = registers;
    const queue = regs.queueSelect;
    switch (offset) {
      case abi.VIRTIO_PCI_COMMON_DFSELECT:
        registers.select('deviceFeaturesSelect', value);
        break;
      case abi.VIRTIO_PCI_COMMON_GFSELECT:
        registers.select('driverFeaturesSelect', value);
        break;
      case abi.VIRTIO_PCI_COMMON_GF:
        registers.writeDriverFeatures(regs.driverFeaturesSelect, value);
        break;
      case abi.VIRTIO_PCI_COMMON_MSIX:
        registers.writeConfigVector(value, this.#vectors);
        break;
      case abi.VIRTIO_PCI_COMMON_STATUS:
        registers.writeStatus(value & 0xff);
        if (value === 0) registers.waitShortly(); // §4.1.4.3.2: the driver waits until it reads 0
        break;
      case abi.VIRTIO_PCI_COMMON_Q_SELECT:
        registers.select('queueSelect', value);
        break;
      case abi.VIRTIO_PCI_COMMON_Q_MSIX:
        registers.writeQueueVector(queue, value, this.#vectors);
        break;
      case abi.VIRTIO_PCI_COMMON_Q_ENABLE: // §4.1.4.3.2: a driver does not write 0
        if (value === 1) registers.enableQueue(queue);
        break;
      case abi.VIRTIO_PCI_COMMON_Q_RESET:
        if (value === 1 && registers.hasQueueReset) registers.resetQueue(queue);
        registers.waitShortly();
        break;
      default: {
        const field = QUEUE_FIELDS[offset];
        if (field !== undefined) registers.writeQueue(field, queue, value);
        break;
      }
    }
  }
}

function isIn({ offset: start, lengthBytes }: Region, offset: number): boolean {
  return offset >= start && offset < start + lengthBytes;
}
