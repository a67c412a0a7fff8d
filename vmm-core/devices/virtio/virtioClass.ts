/**
 * What a virtio device is, whatever its transport: a class (one file and a line in catalog.ts, by way of
 * `virtioDevice`, which makes a DeviceClass of it). Its registers and configuration space run on whichever
 * thread touches them, its queues are served on one: the I/O thread for disks and networks, main for small
 * devices. Virtio 1.2.
 */
import type { Backend, MemoryBalloon, SerialLine } from '../../backends/backend.ts';
import type { StateBlock } from '../../bus/stateBlock.ts';
import type { VmConfig } from '../../config/vmConfig.ts';
import type { GuestMemory } from '../../memory/guestMemory.ts';
import type { Decoded } from '../../protocol/devices.ts';
import type { BackendHost, BackendPort } from '../device.ts';
import type { DeviceService, IoSlots, ServicePort } from '../deviceService.ts';
import type { LentRings, VirtQueue } from './queue.ts';
import type { VirtioState } from './virtioState.ts';

export type VirtioTransport = 'pci' | 'mmio';

/** C: what an instance must know, plain data. S: virtioState(…), then registers of its own. */
export interface VirtioClass<C extends VirtioInstance = VirtioInstance, S extends VirtioState = VirtioState> {
  readonly id: string;
  /** §5: 2 is a block device. */
  readonly deviceType: number;
  /** Of the PCI function: 24 bits. */
  readonly classCode: number;
  /** Its field `config` is the device-specific configuration space (§2.5). */
  readonly state: S;
  instances(config: VmConfig): readonly C[];
  nameOf(instance: C): string;
  /** Device features it offers, by number. VERSION_1 and those of the ring are added. */
  features(instance: C): readonly number[];
  /**
   * §2.2.2: why the device cannot work with the features that the driver has chosen, for the log; undefined:
   * it can. FEATURES_OK stays clear then.
   */
  refusal?(instance: C, has: (bit: number) => boolean): string | undefined;
  /** For the inspector: their names by number, as the specification spells them. */
  readonly featureNames?: Readonly<Record<number, string>>;
  /** For the inspector: what is in its configuration space and its own registers. See DeviceClass. */
  inspect?(instance: C, state: StateBlock<S>, memory: GuestMemory): Decoded;
  /** Largest size of each queue: powers of two, at most MAX_QUEUE_SIZE. */
  queueSizes(instance: C): readonly number[];
  /** Power-on contents of the configuration space and of its own registers. With the lock held. */
  reset?(instance: C, state: StateBlock<S>): void;
  /**
   * The driver wrote to the configuration space, 1, 2 or 4 bytes inside it. With the lock held. Absent: it is
   * read-only.
   */
  writeConfig?(instance: C, state: StateBlock<S>, offset: number, sizeBytes: number, value: number): void;
  /** The I/O thread of this instance (device.ts, Resources.ioThread); undefined: main serves it. */
  ioThread?(instance: C): string | undefined;
  serve(instance: C, port: VirtioPort<S>): VirtioService;
  /** The code of `serve` and `backend`; see DeviceClass. */
  load?(instances: readonly C[]): Promise<void>;
  /** Main's side of a device that the I/O thread serves. Throws UserError when that cannot be opened. */
  backend?(instance: C, port: VirtioBackendPort<S>): Backend;
}

export interface VirtioInstance {
  readonly transport: VirtioTransport;
}

/** What main lends to a back end. */
export interface VirtioBackendPort<S extends VirtioState = VirtioState> extends BackendPort<S> {
  /** See VirtioPort. */
  changeConfig(write: (config: Uint8Array) => void): void;
}

/** What the service of a device has to work with, on the thread that serves it. */
export interface VirtioPort<S extends VirtioState = VirtioState> extends Omit<
  ServicePort<S>,
  'device' | 'io' | 'tell'
> {
  /** On the I/O thread. */
  readonly io?: IoSlots;
  readonly tell?: ServicePort['tell'];
  /** On main. */
  readonly main?: BackendHost;
  /** Which of the driver's features are negotiated. Changes with a reset. */
  hasFeature(bit: number): boolean;
  /** Has `onKick` called soon. */
  kick(queue: number): void;
  /** The same object for all of the device's life; while the driver does not use it, it is empty. */
  queue(index: number): VirtQueue;
  /** Used buffers were added: interrupts the driver unless it asked not to be. */
  notifyUsed(queue: VirtQueue): void;
  /**
   * The rings of a queue, for somebody else to serve: it is empty here until it is taken back, which `pause`
   * has to see to. Undefined: the driver does not use it. All that was popped must have been returned.
   */
  lend(queue: number): LentRings | undefined;
  /** All chains before `nextAvail` are used. */
  takeBack(queue: number, nextAvail: number): void;
  /** Whoever has the queue on loan has used buffers, and found that the driver wants to know. */
  interruptLent(queue: number): void;
  /** Writes to the configuration space, and tells the driver of it. */
  changeConfig(write: (config: Uint8Array) => void): void;
  /**
   * The driver broke a rule that leaves the device unusable: NEEDS_RESET, and all queues are empty from then
   * on. `rule`: "§2.7.5.3: …". Queues call it for what is wrong with a chain.
   */
  fail(rule: string): void;
}

/**
 * The data side of one device, on its thread. Queues are empty, and onKick comes for nothing, until the
 * driver is ready.
 */
export interface VirtioService extends Pick<
  DeviceService,
  'onDone' | 'onAllDone' | 'onSlotFree' | 'onTimer' | 'onReady' | 'onMessage'
> {
  /**
   * The driver kicked queue `index`, or may have. Takes a bounded number of chains; true: there may be more,
   * and it is called again when others had their turn.
   */
  onKick(index: number): boolean;
  /** `onTimer` comes while it is paused, and while no driver is ready, too. */
  readonly hasOwnTime?: boolean;
  /**
   * Takes no more requests until `resume`. What is under way is finished, `isIdle` then tells. Absent:
   * onKick leaves nothing under way.
   */
  pause?(): void;
  readonly isIdle?: boolean;
  /** `onKick` follows for each queue. */
  resume?(): void;
  /** While paused and idle: the driver has reset the device, all that it knew of its queues is void. */
  reset?(): void;
  /** The same of one queue (§2.6.1): what it has yet to do for that is void. */
  resetQueue?(index: number): void;
  close?(): void;
  /** The VM ends: takes all that the guest has written; main only. */
  flush?(): void;
  /** When it has serial lines of the machine; main only. */
  readonly serial?: readonly SerialLine[] | undefined;
  /** When it is the machine's memory balloon; main only. */
  readonly balloon?: MemoryBalloon | undefined;
}
