/**
 * What a driver sees of a virtio device, but for how its transport arranges it: status, features, queues,
 * configuration space (virtio 1.2 §2). On whichever thread touches a register. Writes that the driver may not
 * make are dropped, and logged.
 */
import {
  VIRTIO_CONFIG_S_ACKNOWLEDGE as ACKNOWLEDGE,
  VIRTIO_CONFIG_S_DRIVER as DRIVER,
  VIRTIO_CONFIG_S_DRIVER_OK as DRIVER_OK,
  VIRTIO_CONFIG_S_FAILED as FAILED,
  VIRTIO_CONFIG_S_FEATURES_OK as FEATURES_OK,
  VIRTIO_F_RING_RESET,
  VIRTIO_F_VERSION_1,
} from '../../abi/virtioConfig.ts';
import { VIRTIO_MSI_NO_VECTOR } from '../../abi/virtioPci.ts';
import { VRING_DESC_BYTES } from '../../abi/virtioRing.ts';
import type { ServiceGate } from '../../bus/serviceGate.ts';
import { clearFields, type Registers, type StateBlock } from '../../bus/stateBlock.ts';
import { log } from '../../log.ts';
import { isRunning, nextLegacyStatus, nextStatus } from './deviceStatus.ts';
import { QUEUE_OFF, QUEUE_ON, QUEUE_RESETTING, type VirtioState } from './virtioState.ts';

export interface VirtioRegistersOptions {
  /** The log tag. */
  readonly name: string;
  readonly shape: VirtioState;
  readonly state: StateBlock<VirtioState>;
  /** All it offers, by number. */
  readonly features: readonly number[];
  /** The largest size of each queue. */
  readonly queueSizes: readonly number[];
  readonly gate: ServiceGate;
  /** Tells the thread that serves the queues of a kick. */
  readonly kick: (queue: number) => void;
  /** The driver begins to kick, or has been reset. */
  readonly onReady: (isReady: boolean) => void;
  /** See DeviceHost. */
  readonly holdGuest: (isOver: () => boolean) => void;
  /** Why the device cannot work with these features; undefined: it can. */
  readonly refusal: (has: (bit: number) => boolean) => string | undefined;
  /** With the lock held: no cause of an interrupt is left. */
  readonly lowerInterrupt: () => void;
  /** With the lock held: contents of the configuration space. */
  readonly resetConfig: () => void;
  /** With the lock held, inside the configuration space. */
  readonly writeConfig: (offset: number, sizeBytes: number, value: number) => void;
}

/** Registers of a queue that the driver sets before it enables it. */
export type QueueField =
  | 'queueSize'
  | 'queueDescLow'
  | 'queueDescHigh'
  | 'queueDriverLow'
  | 'queueDriverHigh'
  | 'queueDeviceLow'
  | 'queueDeviceHigh';

/** Which of several things other registers are about. */
type Selector =
  | 'queueSelect'
  | 'deviceFeaturesSelect'
  | 'driverFeaturesSelect'
  | 'pciCfgBar'
  | 'pciCfgOffset'
  | 'pciCfgLength';

const U32 = 2 ** 32;
/** How long the guest is held before it is asked whether to stop: a pause is no later. */
const HOLD_MS = 20;
/** A reset takes no longer when the disk answers at once: then the driver need not poll. */
const USUAL_RESET_MS = 5;

export class VirtioRegisters {
  readonly regs: Registers<VirtioState>;
  readonly #options: VirtioRegistersOptions;
  readonly #state: StateBlock<VirtioState>;
  readonly #offered: readonly [number, number];
  /** Of `gate`: the last reset that a vCPU of this thread has waited for. */
  #waitedFor = 0;

  constructor(options: VirtioRegistersOptions) {
    this.#options = options;
    this.#state = options.state;
    this.regs = options.state.regs;
    this.#offered = [0, 1].map((word) => featureWord(options.features, word)) as [number, number];
  }

  get queues(): number {
    return this.#options.queueSizes.length;
  }

  /** §2.4.2: a reset that is under way does not read as 0. */
  get status(): number {
    const { status, isEarly } = this.regs;
    return isEarly === 0 ? status : status & ~DRIVER_OK;
  }

  /** The driver's write; by the legacy interface if so. */
  writeStatus(value: number, isLegacy = false): void {
    if (value === 0) return this.reset();
    const isReady = this.#state.locked(() => this.#advance(value, isLegacy));
    if (isReady) this.#begin();
  }

  /**
   * §2.4, by the driver: done when the status reads 0. A device whose driver was never ready is at once; with
   * others the service first finishes what is under way.
   */
  reset(): void {
    const { regs } = this;
    // First: who finds it reset may be ready again before we are back here.
    if ((regs.status & DRIVER_OK) !== 0) this.#options.onReady(false);
    const isToBeAsked = this.#state.locked(() => {
      if (regs.isResetting !== 0) return false;
      if ((regs.status & DRIVER_OK) === 0) {
        this.#clear();
        return false;
      }
      regs.isResetting = 1;
      regs.status = ACKNOWLEDGE; // whatever is not 0, and lets the driver do nothing
      return true;
    });
    if (isToBeAsked) this.#ask();
  }

  /** Of the machine: its back ends are quiet. */
  powerOn(): void {
    this.reset();
    this.#options.gate.wait(this.#options.gate.asked);
  }

  /**
   * The service's thread, with nothing under way: what the driver has reset is so from here on. True: all of
   * the device.
   */
  finishResets(): boolean {
    return this.#state.locked(() => {
      const isOfDevice = this.regs.isResetting !== 0;
      if (isOfDevice) this.#clear();
      else this.#clearResettingQueues();
      return isOfDevice;
    });
  }

  /** For drivers that know a reset to be done by reading so. The usual one is, when this returns. */
  waitShortly(): void {
    const { gate } = this.#options;
    const { asked } = gate;
    if (asked === this.#waitedFor) return; // a string instruction can write thousands of times in one exit
    this.#waitedFor = asked;
    gate.wait(asked, USUAL_RESET_MS);
  }

  /** For drivers that take a reset as done: they do not go on before it is. */
  holdGuest(): void {
    const { gate, holdGuest } = this.#options;
    const { asked } = gate;
    if (!gate.wait(asked, 0)) holdGuest(() => gate.wait(asked, HOLD_MS));
  }

  select(selector: Selector, value: number): void {
    this.#state.locked(() => (this.regs[selector] = value));
  }

  /** 32 of the features offered. */
  deviceFeatures(word: number): number {
    return this.#offered[word] ?? 0;
  }

  driverFeatures(word: number): number {
    if (word === 0) return this.regs.driverFeaturesLow;
    return word === 1 ? this.regs.driverFeaturesHigh : 0;
  }

  /** §3.1.1: after DRIVER, before FEATURES_OK. What is not offered is not taken. */
  writeDriverFeatures(word: number, value: number, isLegacy = false): void {
    this.#state.locked(() => {
      const status = this.regs.status & (DRIVER | FEATURES_OK | DRIVER_OK);
      if (status !== DRIVER && !(isLegacy && status === 0))
        return this.#refuse('features written at the wrong time');
      if (word === 0) this.regs.driverFeaturesLow = value & this.deviceFeatures(0);
      if (word === 1) this.regs.driverFeaturesHigh = value & this.deviceFeatures(1);
    });
  }

  hasFeature(bit: number): boolean {
    return (this.driverFeatures(bit >>> 5) & (1 << (bit & 31))) !== 0;
  }

  /** The largest size of the queue; 0: there is no such queue. */
  maxQueueSize(queue: number): number {
    return this.#options.queueSizes[queue] ?? 0;
  }

  /** As it reads: until a reset of the queue is done. */
  isQueueEnabled(queue: number): boolean {
    return (this.regs.queueEnabled[queue] ?? QUEUE_OFF) !== QUEUE_OFF;
  }

  isQueueResetting(queue: number): boolean {
    return this.regs.queueEnabled[queue] === QUEUE_RESETTING;
  }

  readQueue(field: QueueField, queue: number): number {
    return this.regs[field][queue] ?? 0;
  }

  /** PCI: `vectors` are those of its MSI-X capability; a vector that it has not reads back as none. */
  writeQueueVector(queue: number, vector: number, vectors: number): void {
    this.#state.locked(() => {
      if (this.maxQueueSize(queue) === 0) return;
      this.regs.queueVector[queue] = vector < vectors ? vector : VIRTIO_MSI_NO_VECTOR;
    });
  }

  /** See writeQueueVector. */
  writeConfigVector(vector: number, vectors: number): void {
    this.#state.locked(() => (this.regs.configVector = vector < vectors ? vector : VIRTIO_MSI_NO_VECTOR));
  }

  /** Of a queue that is not enabled, between FEATURES_OK and the end. */
  writeQueue(field: QueueField, queue: number, value: number): void {
    this.#state.locked(() => {
      if (this.#isOpenToChange(queue)) this.regs[field][queue] = value;
      else this.#refuse(`${field} written at the wrong time`);
    });
  }

  /** What is wrong with its rings the service finds. */
  enableQueue(queue: number): void {
    const isEnabled = this.#state.locked(() => {
      if (!this.#isOpenToChange(queue)) return this.#refuse('queue enabled at the wrong time');
      this.#enable(queue);
      return true;
    });
    if (isEnabled) this.#kickIfEnabled(queue);
  }

  /** §2.6.1; of MMIO also QueueReady = 0. Done when it does not read as enabled. */
  resetQueue(queue: number): void {
    const { queueEnabled } = this.regs;
    const isToBeAsked = this.#state.locked(() => {
      if (queueEnabled[queue] !== QUEUE_ON) return false;
      queueEnabled[queue] = QUEUE_RESETTING;
      return true;
    });
    if (isToBeAsked) this.#ask();
  }

  get hasQueueReset(): boolean {
    return this.hasFeature(VIRTIO_F_RING_RESET);
  }

  /** §2.7.2: the legacy interface has one address for all three parts, in pages; 0 takes the queue away. */
  writeLegacyQueue(queue: number, pageNumber: number, pageBytes: number): void {
    if (pageNumber === 0) return this.resetQueue(queue);
    const size = this.maxQueueSize(queue);
    if (size === 0) return;
    const desc = pageNumber * pageBytes;
    const driver = desc + size * VRING_DESC_BYTES;
    const device = Math.ceil((driver + 6 + 2 * size) / pageBytes) * pageBytes;
    const isEnabled = this.#state.locked(() => {
      if (this.isQueueEnabled(queue)) return this.#refuse('queue moved while it is in use');
      this.#setAddress('queueDescLow', 'queueDescHigh', queue, desc);
      this.#setAddress('queueDriverLow', 'queueDriverHigh', queue, driver);
      this.#setAddress('queueDeviceLow', 'queueDeviceHigh', queue, device);
      this.#enable(queue);
      return true;
    });
    if (isEnabled) this.#kickIfEnabled(queue);
  }

  /** The driver kicked that queue by a write that came as an exit. */
  kick(queue: number): void {
    this.#kickIfEnabled(queue);
  }

  /**
   * By the legacy interface, whose drivers may use a device before DRIVER_OK (§3.1.2): Linux before 3.18
   * reads a disk's partitions so, and waits. The first kick begins what DRIVER_OK would.
   */
  kickLegacy(queue: number): void {
    const { regs } = this;
    const isEarly = this.#state.locked(() => {
      const isBefore = (regs.status & (DRIVER | DRIVER_OK | FAILED)) === DRIVER && regs.isResetting === 0;
      if (!isBefore || regs.queueEnabled[queue] !== QUEUE_ON) return false;
      const isReady = this.#advance(DRIVER_OK, true);
      regs.isEarly = 1;
      return isReady;
    });
    if (isEarly) this.#begin();
    else this.#kickIfEnabled(queue);
  }

  /**
   * Any width at any place; what is beyond the space reads 0. A read finds a change done, with its
   * generation, or not begun (§2.5.3): hence the lock.
   */
  readConfig(offset: number, sizeBytes: number): number {
    return this.#state.locked(() => {
      let value = 0;
      for (let i = sizeBytes - 1; i >= 0; i--) value = value * 256 + (this.regs.config[offset + i] ?? 0);
      return value;
    });
  }

  writeConfig(offset: number, sizeBytes: number, value: number): void {
    if (offset + sizeBytes > this.regs.config.length) return;
    this.#state.locked(() => this.#options.writeConfig(offset, sizeBytes, value));
  }

  /**
   * Adds a cause of an interrupt, and has the transport say so while the lock is held. Not to a driver that
   * has reset the device since (§3.1.1: none before DRIVER_OK).
   */
  raiseIsr(cause: number, signal: () => void): void {
    this.#state.locked(() => {
      if ((this.regs.status & DRIVER_OK) === 0) return;
      this.regs.isr |= cause;
      signal();
    });
  }

  /** Takes causes away. Returns what there was. */
  clearIsr(causes: number): number {
    return this.#state.locked(() => {
      const before = this.regs.isr;
      this.regs.isr = before & ~causes;
      if ((before & ~causes) === 0) this.#options.lowerInterrupt();
      return before;
    });
  }

  /** The service begins, and looks at what the driver made available before. */
  #begin(): void {
    this.#options.onReady(true);
    for (let queue = 0; queue < this.queues; queue++) this.#kickIfEnabled(queue);
  }

  /** The service does what the registers say; we do when there is none any more. */
  #ask(): void {
    const { gate } = this.#options;
    gate.ask();
    if (gate.isBroken) this.finishResets();
  }

  /** True: the driver has become ready. */
  #advance(value: number, isLegacy: boolean): boolean {
    const { regs } = this;
    if (regs.isResetting !== 0) return this.#refuse('status written before the reset was done');
    const before = regs.status;
    const after = isLegacy ? nextLegacyStatus(before, value) : nextStatus(before, value);
    if (after === undefined) return this.#refuse('status written out of order');
    const isNew = (bit: number): boolean => (after & ~before & bit) !== 0;
    // §2.2.2: FEATURES_OK stays clear when the device cannot work with what the driver has chosen.
    const refusal = isNew(FEATURES_OK) ? this.#refusal() : undefined;
    if (refusal !== undefined) return this.#refuse(`FEATURES_OK: ${refusal}`);
    regs.status = after;
    regs.isLegacy = isLegacy ? 1 : 0;
    if ((value & DRIVER_OK) !== 0) regs.isEarly = 0;
    if (isNew(DRIVER_OK | FAILED)) regs.changes++;
    return isNew(DRIVER_OK) && isRunning(after);
  }

  #refusal(): string | undefined {
    if (!this.hasFeature(VIRTIO_F_VERSION_1)) return 'without VIRTIO_F_VERSION_1';
    return this.#options.refusal((bit) => this.hasFeature(bit));
  }

  #isOpenToChange(queue: number): boolean {
    const status = this.regs.status & (FEATURES_OK | FAILED);
    return this.maxQueueSize(queue) !== 0 && status === FEATURES_OK && !this.isQueueEnabled(queue);
  }

  #enable(queue: number): void {
    const { queueEnabled, queueGeneration } = this.regs;
    queueEnabled[queue] = QUEUE_ON;
    queueGeneration[queue] = (queueGeneration[queue] ?? 0) + 1;
    this.regs.changes++;
  }

  #kickIfEnabled(queue: number): void {
    if (isRunning(this.regs.status) && this.regs.queueEnabled[queue] === QUEUE_ON) this.#options.kick(queue);
  }

  #setAddress(low: QueueField, high: QueueField, queue: number, address: number): void {
    this.regs[low][queue] = address % U32;
    this.regs[high][queue] = Math.floor(address / U32);
  }

  #clear(): void {
    const { shape, lowerInterrupt, resetConfig } = this.#options;
    clearFields(shape, this.regs, ['changes', 'queueGeneration', 'memoryBar', 'portBar']);
    lowerInterrupt();
    this.regs.configVector = VIRTIO_MSI_NO_VECTOR;
    for (let queue = 0; queue < this.queues; queue++) this.#clearQueue(queue);
    this.regs.changes++;
    resetConfig();
  }

  #clearResettingQueues(): void {
    for (let queue = 0; queue < this.queues; queue++)
      if (this.isQueueResetting(queue)) this.#clearQueue(queue);
    this.regs.changes++;
  }

  #clearQueue(queue: number): void {
    const { regs } = this;
    regs.queueEnabled[queue] = QUEUE_OFF;
    regs.queueSize[queue] = this.maxQueueSize(queue);
    regs.queueVector[queue] = VIRTIO_MSI_NO_VECTOR;
    this.#setAddress('queueDescLow', 'queueDescHigh', queue, 0);
    this.#setAddress('queueDriverLow', 'queueDriverHigh', queue, 0);
    this.#setAddress('queueDeviceLow', 'queueDeviceHigh', queue, 0);
  }

  #refuse(what: string): false {
    log.guest(this.#options.name, `virtio: ${what}: ignored`, { status: this.regs.status });
    return false;
  }
}

function featureWord(features: readonly number[], word: number): number {
  const bits = features.filter((it) => it >>> 5 === word).map((it) => 1 << (it & 31));
  return bits.reduce((sum, bit) => sum | bit, 0) >>> 0;
}
