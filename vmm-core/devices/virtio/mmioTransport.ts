/**
 * Virtio over MMIO, version 2 (virtio 1.2 §4.2). Its interrupt is an edge for each cause, not the level that
 * §4.2.2 has in mind: Linux's driver asks InterruptStatus and acknowledges first, so that a cause of
 * meanwhile makes an edge of its own.
 */
import * as abi from '../../abi/virtioMmio.ts';
import type { DoorbellPlace } from '../../bus/doorbell.ts';
import type { IrqLine } from '../../bus/irqLine.ts';
import type { QueueField, VirtioRegisters } from './virtioRegisters.ts';
import type { VirtioTransportDevice } from './virtioTransport.ts';

const VERSION = 2;
/** "QEMU": drivers do not care, and some tools show it. */
const VENDOR_ID = 0x554d4551;
/** §4.2.2: of a shared memory region that does not exist. */
const NO_REGION = 0xffff_ffff;
const REGISTER_BYTES = 4;
/** No device has that many. */
const NO_QUEUE = 0xffff;

/** Registers of the queue selected that may be written while it is not ready. */
const QUEUE_FIELDS: Readonly<Record<number, QueueField>> = {
  [abi.VIRTIO_MMIO_QUEUE_NUM]: 'queueSize',
  [abi.VIRTIO_MMIO_QUEUE_DESC_LOW]: 'queueDescLow',
  [abi.VIRTIO_MMIO_QUEUE_DESC_HIGH]: 'queueDescHigh',
  [abi.VIRTIO_MMIO_QUEUE_AVAIL_LOW]: 'queueDriverLow',
  [abi.VIRTIO_MMIO_QUEUE_AVAIL_HIGH]: 'queueDriverHigh',
  [abi.VIRTIO_MMIO_QUEUE_USED_LOW]: 'queueDeviceLow',
  [abi.VIRTIO_MMIO_QUEUE_USED_HIGH]: 'queueDeviceHigh',
};

export interface MmioTransportOptions {
  readonly deviceType: number;
  readonly registers: VirtioRegisters;
  readonly irq: IrqLine;
  /** Where its registers are. */
  readonly base: number;
}

export class MmioTransport implements VirtioTransportDevice {
  readonly #deviceType: number;
  readonly #registers: VirtioRegisters;
  readonly #irq: IrqLine;
  readonly #base: number;

  constructor({ deviceType, registers, irq, base }: MmioTransportOptions) {
    this.#deviceType = deviceType;
    this.#registers = registers;
    this.#irq = irq;
    this.#base = base;
  }

  /** §4.2.2.2: registers are of 32 bits and aligned; other reads give 0, other writes do nothing. */
  read(offset: number, sizeBytes: number): number {
    const { VIRTIO_MMIO_CONFIG } = abi;
    if (offset >= VIRTIO_MMIO_CONFIG)
      return this.#registers.readConfig(offset - VIRTIO_MMIO_CONFIG, sizeBytes);
    return sizeBytes === REGISTER_BYTES ? this.#readRegister(offset) : 0;
  }

  write(offset: number, sizeBytes: number, value: number): void {
    const { VIRTIO_MMIO_CONFIG } = abi;
    if (offset >= VIRTIO_MMIO_CONFIG)
      this.#registers.writeConfig(offset - VIRTIO_MMIO_CONFIG, sizeBytes, value);
    else if (sizeBytes === REGISTER_BYTES) this.#writeRegister(offset, value);
  }

  kickPlace(queue: number): DoorbellPlace {
    const address = this.#base + abi.VIRTIO_MMIO_QUEUE_NOTIFY;
    return { kind: 'mmio', address, sizeBytes: REGISTER_BYTES, value: queue };
  }

  usedBuffers(): void {
    this.#interrupt(abi.VIRTIO_MMIO_INT_VRING);
  }

  configChange(): void {
    this.#interrupt(abi.VIRTIO_MMIO_INT_CONFIG);
  }

  lowerInterrupt(): void {
    // an edge is over when it was made
  }

  #interrupt(cause: number): void {
    this.#registers.raiseIsr(cause, () => {
      this.#irq.set(true);
      this.#irq.set(false);
    });
  }

  #readRegister(offset: number): number {
    const registers = this.#registers;
    const { regs } = registers;
    switch (offset) {
      case abi.VIRTIO_MMIO_MAGIC_VALUE:
        return abi.VIRTIO_MMIO_MAGIC;
      case abi.VIRTIO_MMIO_VERSION:
        return VERSION;
      case abi.VIRTIO_MMIO_DEVICE_ID:
        return this.#deviceType;
      case abi.VIRTIO_MMIO_VENDOR_ID:
        return VENDOR_ID;
      case abi.VIRTIO_MMIO_DEVICE_FEATURES:
        return registers.deviceFeatures(regs.deviceFeaturesSelect);
      case abi.VIRTIO_MMIO_QUEUE_NUM_MAX:
        return registers.maxQueueSize(regs.queueSelect);
      case abi.VIRTIO_MMIO_QUEUE_READY:
        return registers.isQueueEnabled(regs.queueSelect) ? 1 : 0;
      case abi.VIRTIO_MMIO_INTERRUPT_STATUS:
        return regs.isr;
      case abi.VIRTIO_MMIO_STATUS:
        return registers.status;
      case abi.VIRTIO_MMIO_CONFIG_GENERATION:
        return regs.configGeneration;
      case abi.VIRTIO_MMIO_SHM_LEN_LOW:
      case abi.VIRTIO_MMIO_SHM_LEN_HIGH:
      case abi.VIRTIO_MMIO_SHM_BASE_LOW:
      case abi.VIRTIO_MMIO_SHM_BASE_HIGH:
        return NO_REGION;
      case abi.VIRTIO_MMIO_QUEUE_RESET:
        return registers.isQueueResetting(regs.queueSelect) ? 1 : 0;
      default: // write-only, or reserved
        return 0;
    }
  }

  #writeRegister(offset: number, value: number): void {
    const registers = this.#registers;
    const { regs } = registers;
    switch (offset) {
      case abi.VIRTIO_MMIO_DEVICE_FEATURES_SEL:
        registers.select('deviceFeaturesSelect', value);
        break;
      case abi.VIRTIO_MMIO_DRIVER_FEATURES_SEL:
        registers.select('driverFeaturesSelect', value);
        break;
      case abi.VIRTIO_MMIO_DRIVER_FEATURES:
        registers.writeDriverFeatures(regs.driverFeaturesSelect, value);
        break;
      case abi.VIRTIO_MMIO_QUEUE_SEL:
        registers.select('queueSelect', Math.min(value, NO_QUEUE));
        break;
      case abi.VIRTIO_MMIO_QUEUE_READY:
        this.#writeQueueReady(value);
        break;
      case abi.VIRTIO_MMIO_QUEUE_NOTIFY:
        registers.kick(value);
        break;
      case abi.VIRTIO_MMIO_QUEUE_RESET:
        if (value === 1 && registers.hasQueueReset) registers.resetQueue(regs.queueSelect);
        registers.waitShortly();
        break;
      case abi.VIRTIO_MMIO_INTERRUPT_ACK:
        registers.clearIsr(value);
        break;
      case abi.VIRTIO_MMIO_STATUS:
        registers.writeStatus(value & 0xff);
        if (value === 0) registers.holdGuest(); // Linux takes its rings away without a look
        break;
      default:
        this.#writeQueueField(offset, value);
        break;
    }
  }

  #writeQueueReady(value: number): void {
    const { queueSelect } = this.#registers.regs;
    if (value === 1) return this.#registers.enableQueue(queueSelect);
    if (value !== 0) return;
    this.#registers.resetQueue(queueSelect);
    this.#registers.holdGuest(); // Linux expects 0 at its first look
  }

  #writeQueueField(offset: number, value: number): void {
    const field = QUEUE_FIELDS[offset];
    if (field !== undefined) this.#registers.writeQueue(field, this.#registers.regs.queueSelect, value);
  }
}
