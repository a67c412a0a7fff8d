/**
 * What a device is. Its class (one object, a line of catalog.ts) says from the configuration which of it a
 * machine has, and what each occupies; planner.ts makes the machine's plan of that. From the plan every
 * thread builds the registers (`build`); the main thread alone makes the other side, which talks to the host
 * (`backend`).
 */
import type { Backend } from '../backends/backend.ts';
import type { BusDevice } from '../bus/busDevice.ts';
import type { DoorbellPlace } from '../bus/doorbell.ts';
import type { IrqLine } from '../bus/irqLine.ts';
import type { StateBlock, StateShape } from '../bus/stateBlock.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import type { FirmwareContribution } from '../firmware/contribution.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import type { Decoded } from '../protocol/devices.ts';
import type { Clock } from './clock.ts';
import type { DeviceService, ServicePort } from './deviceService.ts';
import type { GuestPower } from './guestPower.ts';
import type { PciBus } from './pci/pciBus.ts';
import type { PciFunctionHost } from './pci/pciFunctionHost.ts';
import type { PciResources } from './pci/pciResources.ts';
import type { VirtioKind } from './virtio/virtioKind.ts';

/** C: what an instance must know, plain data that is sent to every thread. S: its registers. */
export interface DeviceClass<C = unknown, S extends StateShape = StateShape> {
  readonly id: string;
  /** Absent: it has no registers. */
  readonly state?: S;
  /** Which of it there are; [] is none. Absent: one, always. */
  instances?(config: VmConfig): readonly C[];
  /** Names the instances where there may be several; absent: `id`. */
  nameOf?(instance: C): string;
  resources(instance: C): Resources;
  /**
   * What it adds to the tables that a PC's firmware leaves in memory; `resources` with what the planner gave
   * it. Absent: nothing.
   */
  firmware?(instance: C, resources: Resources): FirmwareContribution;
  /** Absent: KVM has the chip. */
  build?(instance: C, host: DeviceHost<S>): Device;
  /**
   * Loads the code of its back end and its service, before either of these instances is made: machines
   * without the device do without it, and so do vCPUs' threads, which load nothing.
   */
  load?(instances: readonly C[]): Promise<void>;
  /** Absent: nothing of the host is behind it. Throws UserError when that cannot be opened. */
  backend?(instance: C, port: BackendPort<S>): Backend;
  /** What moves its data on its I/O thread (Resources.ioThread). */
  service?(instance: C, port: ServicePort<S>): DeviceService;
  /**
   * What its registers mean, for people, where they need more than their names. Main thread, while the guest
   * runs: only reads, and takes nothing for granted.
   */
  inspect?(instance: C, state: StateBlock<S>, memory: GuestMemory): Decoded | undefined;
  /** A virtio device: the inspector decodes what all of those have. */
  readonly virtio?: VirtioKind;
}

/** What an instance occupies. Nothing else may: planner.ts refuses it. */
export interface Resources {
  readonly ports?: readonly Window[];
  readonly mmio?: readonly Window[];
  readonly irqs?: readonly Irq[];
  readonly pci?: PciResources;
  /** A page of the address space and an edge-triggered interrupt, which the planner chooses. */
  readonly platform?: true;
  /** How many: each is an eventfd that the guest can signal by a write without an exit (kvm/doorbell.ts). */
  readonly doorbells?: number;
  /**
   * Names the I/O thread that serves its doorbells: IO_THREAD, or one for itself. Absent: main does, in its
   * back end.
   */
  readonly ioThread?: string;
}

/** The one that devices share. */
export const IO_THREAD = 'io';

export interface Window {
  readonly base: number;
  readonly sizeBytes: number;
  /** The device sees accesses to `base` as this offset; absent: 0. */
  readonly offset?: number;
  /** One register that answers 32-bit accesses only; others may have windows there. */
  readonly isDwordOnly?: true;
}

/** A global system interrupt. An ISA interrupt has its own number. */
export interface Irq {
  readonly gsi: number;
  readonly trigger: 'edge' | 'level';
  /** Others may drive it as well, if they say so too. */
  readonly isShared?: true;
}

/** What a thread lends to a device that it builds. */
export interface DeviceHost<S extends StateShape = StateShape> {
  /** Of the instance; its log tag. */
  readonly name: string;
  readonly state: StateBlock<S>;
  /** What it occupies, with what the planner gave it. */
  readonly resources: Resources;
  readonly clock: Clock;
  readonly power: GuestPower;
  /** How long a guest may be held back by a full output ring; absent: for ever. */
  readonly outputWaitMs?: number;
  /** The interrupt that is at this place among its resources. */
  readonly irq: (index?: number) => IrqLine;
  /** When it is a PCI function. */
  readonly pci?: PciFunctionHost;
  /** For the bridge to it. */
  readonly pciBus: PciBus;
  /** The doorbell of this number. */
  readonly doorbell: (index: number) => Doorbell;
  /**
   * Has whoever serves its doorbells look at what is in shared memory: DeviceService.onWake, or, where main
   * serves them, WAKE_EVENT for the back end, on main itself within the call.
   */
  readonly wakeService: () => void;
  /**
   * Within an access of the guest: it does not go on before `isOver`, which may wait for some milliseconds.
   * It can be stopped and looked at meanwhile.
   */
  readonly holdGuest: (isOver: () => boolean) => void;
  /**
   * The main thread calls onTimer() after that time, or a little earlier. Any thread; of several the earliest
   * counts.
   */
  readonly arm: (delayMs: number) => void;
  /** Tells the main thread's side. Any thread; the name of an event is the device's own. */
  readonly notify: (event: string, value?: number) => void;
}

/** See Resources.doorbells. */
export interface Doorbell {
  /** Signals it, where the write came as an exit. */
  ring(): void;
  /** Where a write signals it from now on; undefined: nowhere. Every thread may say it. */
  place(at: DoorbellPlace | undefined): void;
}

/** See DeviceHost.wakeService. */
export const WAKE_EVENT = 'wake';

/** What the main thread lends to a back end. */
export interface BackendPort<S extends StateShape = StateShape> extends BackendHost {
  readonly name: string;
  readonly state: StateBlock<S>;
  /** The main thread's own. */
  readonly device: Device;
  /** To its service on the I/O thread (DeviceService.onMessage). Plain data. */
  readonly send: (message: unknown) => void;
}

/** The same for all of them. */
export interface BackendHost {
  readonly memory: GuestMemory;
  /** The guest is held back by a full ring until the event loop has turned. */
  readonly onBehind: () => void;
  /** Something the guest writes is lost from here on; `message` is a sentence for the user. */
  readonly onLost: (message: string) => void;
  /** The host fails, and the guest is told so by its device; `message` is a sentence for the user. */
  readonly onTrouble: (message: string) => void;
  /** The guest was to end and does not: the VM ends. `message` is a sentence for the user. */
  readonly onStuck: (message: string) => void;
  /** The guest has shut down, and waits for whoever switches it off: the VM ends. */
  readonly onHalted: () => void;
}

/** Registers on a bus, and what else the machine may ask of a device. All of that on the main thread. */
export interface Device extends BusDevice {
  /** Of a PCI function: what is behind its BARs, by index. */
  readonly bars?: readonly (BusDevice | undefined)[] | undefined;
  /**
   * Of a PCI function: what answers for a vendor-specific capability, by index, in place of its bytes. Offset
   * 0 is the capability's third byte.
   */
  readonly capabilities?: readonly (BusDevice | undefined)[] | undefined;
  /** Once, before the first vCPU runs: what survives a reset, because a battery keeps it. */
  powerOn?(): void;
  /** Power-on state of everything else. vCPUs are stopped. */
  reset?(): void;
  /**
   * Something was pushed into its input ring: takes what is due. Returns how many bytes the guest has yet to
   * read.
   */
  receive?(): number;
  /** See DeviceHost.arm; may come for nothing. */
  onTimer?(): void;
  /** False when the guest has not enabled the button. */
  powerButton?(): boolean;
  /** The guest is about to end: its next reset is that. */
  powersOffByReset?(): boolean;
  /** Its service is closed, or the thread of that has died: nobody may wait for it any more. */
  serviceEnded?(): void;
}
