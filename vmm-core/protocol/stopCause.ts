/**
 * Why a guest stops. Every reason is named here and nowhere else: a vCPU's thread makes a cause, run control
 * weighs those of all vCPUs, clients translate it for their users. JSON-safe, because the same value crosses
 * threads and the control socket.
 *
 * A new reason needs a name and a member here, the code that makes it, and a row in the debug adapter's
 * table of stops, which does not compile without one.
 */
import type { Hex } from './hex.ts';

export const STOP = {
  /** The VM is at its first instruction, after create or reset. */
  entry: 'entry',
  pause: 'pause',
  step: 'step',
  /** A step over a call is at the callee's first instruction. */
  calleeEntered: 'calleeEntered',
  breakpoint: 'breakpoint',
  /** ACPI S5, or KVM's own event for it. */
  powerOff: 'powerOff',
  reset: 'reset',
  /** isa-debug-exit. */
  debugExit: 'debugExit',
  tripleFault: 'tripleFault',
  /** Unknown exit, KVM internal error, failed entry. */
  failure: 'failure',
} as const;

/** Run control resumes from these by itself: no client is told. */
export interface CalleeEntered {
  readonly kind: typeof STOP.calleeEntered;
  /** Linear. */
  readonly returnAddress: Hex;
  /** RSP in the callee, before its first instruction. */
  readonly stack: Hex;
}

/** What the guest asked of its machine. */
export type PowerCause =
  | { readonly kind: typeof STOP.powerOff }
  /** `by`: the device, or KVM. */
  | { readonly kind: typeof STOP.reset; readonly by: string }
  | { readonly kind: typeof STOP.debugExit; readonly code: number };

/** The vCPU cannot go on. */
export type FatalCause =
  /** `before`: the general registers at the previous exit, on hosts where those at the fault are lost. */
  | { readonly kind: typeof STOP.tripleFault; readonly before?: Readonly<Record<string, Hex>> }
  | { readonly kind: typeof STOP.failure; readonly message: string };

export type StopCause =
  | { readonly kind: typeof STOP.entry }
  | { readonly kind: typeof STOP.pause }
  | { readonly kind: typeof STOP.step }
  | CalleeEntered
  | { readonly kind: typeof STOP.breakpoint }
  | PowerCause
  | FatalCause;

/** What can leave a client's VM stopped. Power events end or restart the VM instead. */
export type ShownCause = Exclude<StopCause, CalleeEntered | PowerCause>;

export function isFatal(kind: string): kind is FatalCause['kind'] {
  return kind === STOP.tripleFault || kind === STOP.failure;
}
