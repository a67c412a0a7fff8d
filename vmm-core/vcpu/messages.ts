/**
 * What crosses between the main thread and a vCPU's worker, apart from the mailbox. One union per direction.
 */
import type { VcpuHandle } from '../kvm/vm.ts';
import type { RamSlot } from '../memory/guestMemory.ts';
import type { LogLevel } from '../log.ts';
import type { StopCause } from '../protocol/stopCause.ts';
import type { VcpuFacilities } from './vcpuFacilities.ts';

/** Main to worker, once: the vCPU to run. The worker then never returns to its event loop. */
export interface VcpuAssignment {
  readonly vmName: string;
  readonly vmFd: number;
  readonly vcpu: VcpuHandle;
  readonly mailbox: SharedArrayBuffer;
  readonly ram: readonly RamSlot[];
  readonly breakpoints: SharedArrayBuffer;
  /** The devices' registers and rings (devices/deviceSet.ts). */
  readonly devices: SharedArrayBuffer;
  readonly debugExit: boolean;
  readonly facilities: VcpuFacilities;
  readonly logLevel: LogLevel;
}

/** Worker to main. */
export type VcpuMessage =
  /** Registers are in the mirror of kvm_run, pending I/O is finished, the thread waits in its mailbox. */
  | { readonly kind: 'stopped'; readonly cause: StopCause }
  /** An output ring went from empty to not empty. `port`: 0..3 COM, 4 debugcon. */
  | { readonly kind: 'output'; readonly port: number }
  | { readonly kind: 'panic'; readonly event: 'panicked' | 'crash-loaded' }
  /** The RTC wants a tick on the main thread after this delay. */
  | { readonly kind: 'rtcTimer'; readonly delayMs: number };
