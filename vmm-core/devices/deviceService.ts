/**
 * The side of a device that moves its data, where that has a thread of its own: the I/O thread (io/), or main
 * for small devices.
 */
import type { BusDevice } from '../bus/busDevice.ts';
import type { IoEngine } from '../bus/ioEngine.ts';
import type { Poller } from '../bus/poller.ts';
import type { StateBlock, StateShape } from '../bus/stateBlock.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';

/** On its thread. */
export interface DeviceService {
  /** The driver has signalled this doorbell, or may have. */
  onKick(doorbell: number): void;
  /** An I/O request is done; see IoEvents. */
  onDone?(slot: number, result: number): void;
  /** What one wait has brought has all been told by onDone and onReady: interrupts for it are due. */
  onAllDone?(): void;
  /** See IoSlots.takeSlot. */
  onSlotFree?(): void;
  onTimer?(): void;
  /** A descriptor of IoSlots.poller is ready: `events` are EPOLL… Paused or not. */
  onReady?(tag: number, events: number): void;
  /** The device has called DeviceHost.wakeService, or another of this thread's devices has. */
  onWake?(): void;
  /** A message from its back end on main (BackendPort.send). */
  onMessage?(message: unknown): void;
  /**
   * It shall be quiet: takes no more requests until `resume`. What is under way is finished; `isIdle` then
   * tells. Twice is as once. A driver's reset is the device's own affair (bus/serviceGate.ts).
   */
  pause(): void;
  readonly isIdle: boolean;
  /** Looks whether there is something to do: kicks of meanwhile are not repeated. */
  resume(): void;
  /** While paused and idle: the VM ends. */
  close(): void;
}

/** What the I/O thread lends. */
export interface ServicePort<S extends StateShape = StateShape> {
  readonly name: string;
  readonly state: StateBlock<S>;
  /** This thread's own. */
  readonly device: BusDevice;
  readonly memory: GuestMemory;
  /** What main opened of the host for it (Backend.opened); plain data. */
  readonly opened: unknown;
  readonly io: IoSlots;
  /** To its back end on main (Backend.onMessage). Plain data. */
  tell(message: unknown): void;
}

/** A share of the I/O thread's engine. Completions come to the service that took the slot. */
export interface IoSlots {
  readonly engine: IoEngine;
  /** -1: none is free; `onSlotFree` follows. */
  takeSlot(): number;
  giveSlot(slot: number): void;
  /** Calls DeviceService.onTimer on this thread after that time. Of several the earliest counts. */
  arm(delayMs: number): void;
  /** Tells DeviceService.onReady; made when it is first asked for. */
  readonly poller: Poller;
  /** `onKick` comes for it no more, but once perhaps: who gets the eventfd waits for it. */
  lendDoorbell(doorbell: number): number;
  /** `onKick` comes again, and for what was signalled meanwhile. */
  takeBackDoorbell(doorbell: number): void;
}
