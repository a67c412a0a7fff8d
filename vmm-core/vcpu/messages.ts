/**
 * What crosses between the main thread and a vCPU's worker, apart from the mailbox and the stop board. One
 * union per direction.
 */
import type { MachinePlan } from '../devices/machinePlan.ts';
import type { DeviceMessage } from '../io/messages.ts';
import type { VcpuHandle } from '../kvm/vm.ts';
import type { RamSlot } from '../memory/guestMemory.ts';
import type { LogLevel } from '../log.ts';
import type { VcpuFacilities } from './vcpuFacilities.ts';

/** Main to worker, once: the vCPU to run. The worker then never returns to its event loop. */
export interface VcpuAssignment {
  readonly vmName: string;
  readonly vmFd: number;
  readonly vcpu: VcpuHandle;
  readonly mailbox: SharedArrayBuffer;
  readonly stopBoard: SharedArrayBuffer;
  readonly ram: readonly RamSlot[];
  readonly breakpoints: SharedArrayBuffer;
  readonly plan: MachinePlan;
  /** The devices' registers and rings, as the plan has them. */
  readonly deviceMemory: SharedArrayBuffer;
  /** The eventfds of the plan's doorbells. */
  readonly doorbellFds: readonly number[];
  /** The eventfd that wakes each I/O thread, by the thread's name. */
  readonly ioWakeFds: Readonly<Record<string, number>>;
  readonly facilities: VcpuFacilities;
  readonly logLevel: LogLevel;
}

/** Worker to main, before it has a vCPU: what V8 has compiled, where there was no code cache. */
export interface CompiledMessage {
  readonly kind: 'compiled';
  readonly code: Uint8Array;
}

/** Worker to main. */
export type VcpuMessage =
  /**
   * All vCPUs that were running have stopped, this one last: registers are in the mirrors of kvm_run,
   * pending I/O is finished, causes are on the stop board, the threads wait in their mailboxes.
   */
  | { readonly kind: 'stopped' }
  | DeviceMessage
  | { readonly kind: 'panic'; readonly event: 'panicked' | 'crash-loaded' };
