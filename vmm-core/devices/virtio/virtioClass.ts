/**
 * What a virtio device is, whatever its transport: a class (one file and a line in catalog.ts, by way of
 * `virtioDevice`, which makes a DeviceClass of it). Its registers and configuration space run on whichever
 * thread touches them, its queues are served on one: the I/O thread for disks and networks, main for small
 * devices. Virtio 1.2.
 */
import type { StateBlock, StateShape } from '../../bus/stateBlock.ts';
import type { VmConfig } from '../../config/vmConfig.ts';
import type { GuestMemory } from '../../memory/guestMemory.ts';
import type { DeviceService, IoSlots } from '../deviceService.ts';
import type { VirtQueue } from './queue.ts';

export type VirtioTransport = 'pci' | 'mmio';

/** C: what an instance must know, plain data. S: registers of its own, its configuration space above all. */
export interface VirtioClass<C extends VirtioInstance = VirtioInstance, S extends StateShape = StateShape> {
  readonly id: string;
  /** §5: 2 is a block device. */
  readonly deviceType: number;
  /** Of the PCI function: 24 bits. */
  readonly classCode: number;
  readonly state: S;
  /** A field of `state` that is the device-specific configuration space (§2.5). Absent: it has none. */
  readonly configField?: string;
  instances(config: VmConfig): readonly C[];
  nameOf(instance: C): string;
  /** Device features it offers, by number. VERSION_1 and those of the ring are the transport's. */
  features(instance: C): readonly number[];
  /** Largest size of each queue. */
  queueSizes(instance: C): readonly number[];
  /** Power-on contents of the configuration space and what else is in `state`. Main thread. */
  reset(instance: C, state: StateBlock<S>): void;
  /** The driver wrote to the configuration space, at most 4 bytes; absent: it is read-only. */
  writeConfig?(instance: C, state: StateBlock<S>, offset: number, sizeBytes: number, value: number): void;
  readonly thread: 'main' | 'io';
  serve(instance: C, port: VirtioPort<S>): DeviceService;
}

export interface VirtioInstance {
  readonly transport: VirtioTransport;
}

/** What the thread that serves the queues lends. */
export interface VirtioPort<S extends StateShape = StateShape> {
  readonly name: string;
  readonly state: StateBlock<S>;
  readonly memory: GuestMemory;
  /** What main opened of the host for it (Backend.opened); plain data. */
  readonly opened: unknown;
  /** Of the I/O thread; slots are taken from `takeSlot`. Absent on main. */
  readonly io?: IoSlots;
  /** Which of the driver's features are negotiated. */
  hasFeature(bit: number): boolean;
  queue(index: number): VirtQueue;
  /** Used buffers were added: interrupts the driver unless it asked not to be. */
  notifyUsed(queue: VirtQueue): void;
  /** The configuration space has changed. */
  notifyConfig(): void;
  /** The driver broke a rule that leaves the queue unusable: NEEDS_RESET. `rule`: "§2.7.5.3: …". */
  fail(rule: string): void;
}
