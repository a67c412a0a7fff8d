/** What crosses between the main thread and an I/O thread. One union per direction. */
import type { MessagePort } from 'node:worker_threads';
import type { MachinePlan } from '../devices/machinePlan.ts';
import type { IoEngineKind } from '../kvm/io/openIoEngine.ts';
import type { LogLevel } from '../log.ts';
import type { RamSlot } from '../memory/guestMemory.ts';

/** Main to worker, at its start: the devices to serve. The worker then never returns to its event loop. */
export interface IoAssignment {
  readonly vmName: string;
  /** It serves the devices whose Resources.ioThread this is. */
  readonly threadName: string;
  readonly vmFd: number;
  readonly ram: readonly RamSlot[];
  readonly plan: MachinePlan;
  /** The devices' registers and rings, as the plan has them. */
  readonly deviceMemory: SharedArrayBuffer;
  /** The eventfds of the plan's doorbells. */
  readonly doorbellFds: readonly number[];
  /** The eventfd that wakes each I/O thread, by the thread's name. */
  readonly ioWakeFds: Readonly<Record<string, number>>;
  /** What main opened for each device (Backend.opened), by its place in the plan. */
  readonly opened: ReadonlyMap<number, unknown>;
  readonly engine: IoEngineKind;
  readonly commands: MessagePort;
  readonly logLevel: LogLevel;
}

/** Main to worker. The worker is woken by its eventfd: it waits for that, not for messages. */
export type IoCommand =
  /** Take no more requests; `quiet` follows when none is under way. */
  | { readonly kind: 'quiesce' }
  | { readonly kind: 'resume' }
  /** The VM ends: as `quiesce`, then all services are closed. `closed` follows, and the end of the thread. */
  | { readonly kind: 'close' }
  /** From a device's back end to its service; `device` is its place in the plan. */
  | { readonly kind: 'send'; readonly device: number; readonly message: unknown };

/** Worker to main. */
export type IoMessage =
  | { readonly kind: 'quiet' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'tell'; readonly device: number; readonly message: unknown }
  | DeviceMessage;

/** From a device to main, from any thread; `device` is its place in the plan. */
export type DeviceMessage =
  /** It tells its back end. */
  | {
      readonly kind: 'notify';
      readonly device: number;
      readonly event: string;
      readonly value: number;
    }
  /** It wants its onTimer() called. */
  | { readonly kind: 'timer'; readonly device: number; readonly delayMs: number };
