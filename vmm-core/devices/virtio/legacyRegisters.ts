/**
 * The legacy interface of virtio over PCI (virtio 1.2 §4.1.4.10), in ports: what virtio 0.9 was. Values are
 * in the guest's byte order, which is ours. A queue is one block of pages, of the size that the device says.
 */
import * as abi from '../../abi/virtioPci.ts';
import type { BusDevice } from '../../bus/busDevice.ts';
import type { PciFunctionHost } from '../pci/pciFunctionHost.ts';
import type { VirtioRegisters } from './virtioRegisters.ts';

const PAGES_TO_4_GIB = 2 ** (32 - abi.VIRTIO_PCI_QUEUE_ADDR_SHIFT);

export interface LegacyRegistersOptions {
  readonly name: string;
  readonly registers: VirtioRegisters;
  readonly pci: PciFunctionHost;
  /** Of the MSI-X capability. */
  readonly vectors: number;
}

export class LegacyRegisters implements BusDevice {
  readonly name: string;
  readonly #registers: VirtioRegisters;
  readonly #pci: PciFunctionHost;
  readonly #vectors: number;

  constructor({ name, registers, pci, vectors }: LegacyRegistersOptions) {
    this.name = name;
    this.#registers = registers;
    this.#pci = pci;
    this.#vectors = vectors;
  }

  read(offset: number, sizeBytes: number): number {
    if (offset >= this.#configStart) return this.#registers.readConfig(offset - this.#configStart, sizeBytes);
    const registers = this.#registers;
    const { regs } = registers;
    const queue = regs.queueSelect;
    switch (offset) {
      case abi.VIRTIO_PCI_HOST_FEATURES:
        return registers.deviceFeatures(0);
      case abi.VIRTIO_PCI_GUEST_FEATURES:
        return registers.driverFeatures(0);
      case abi.VIRTIO_PCI_QUEUE_PFN:
        return this.#pageNumber(queue);
      case abi.VIRTIO_PCI_QUEUE_NUM:
        return registers.maxQueueSize(queue);
      case abi.VIRTIO_PCI_QUEUE_SEL:
        return queue;
      case abi.VIRTIO_PCI_STATUS:
        return registers.status;
      case abi.VIRTIO_PCI_ISR:
        return registers.clearIsr(0xff);
      case abi.VIRTIO_MSI_CONFIG_VECTOR:
        return regs.configVector;
      case abi.VIRTIO_MSI_QUEUE_VECTOR:
        return regs.queueVector[queue] ?? abi.VIRTIO_MSI_NO_VECTOR;
      default:
        return 0;
    }
  }

  write(offset: number, sizeBytes: number, value: number): void {
    if (offset >= this.#configStart)
      return this.#registers.writeConfig(offset - this.#configStart, sizeBytes, value);
    const registers = this.#registers;
    const queue = registers.regs.queueSelect;
    switch (offset) {
      case abi.VIRTIO_PCI_GUEST_FEATURES:
        registers.writeDriverFeatures(0, value, true);
        break;
      case abi.VIRTIO_PCI_QUEUE_PFN:
        registers.writeLegacyQueue(queue, value, abi.VIRTIO_PCI_VRING_ALIGN);
        if (value === 0) registers.holdGuest();
        break;
      case abi.VIRTIO_PCI_QUEUE_SEL:
        registers.select('queueSelect', value);
        break;
      case abi.VIRTIO_PCI_QUEUE_NOTIFY:
        registers.kickLegacy(value & 0xffff);
        break;
      case abi.VIRTIO_PCI_STATUS:
        registers.writeStatus(value & 0xff, true);
        if (value === 0) registers.holdGuest(); // Linux looks once, and does not wait for 0
        break;
      case abi.VIRTIO_MSI_CONFIG_VECTOR:
        registers.writeConfigVector(value, this.#vectors);
        break;
      case abi.VIRTIO_MSI_QUEUE_VECTOR:
        registers.writeQueueVector(queue, value, this.#vectors);
        break;
      default:
        break;
    }
  }

  /** The vectors are there while MSI-X is enabled, and move what is behind them. */
  get #configStart(): number {
    return this.#pci.isMsixEnabled ? abi.VIRTIO_MSI_QUEUE_VECTOR + 2 : abi.VIRTIO_MSI_CONFIG_VECTOR;
  }

  #pageNumber(queue: number): number {
    const low = this.#registers.readQueue('queueDescLow', queue);
    const high = this.#registers.readQueue('queueDescHigh', queue);
    return (low >>> abi.VIRTIO_PCI_QUEUE_ADDR_SHIFT) + high * PAGES_TO_4_GIB;
  }
}
