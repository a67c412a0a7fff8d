/**
 * Run control: stops, resumes, steps, breakpoints. All-stop: whatever stops one vCPU stops all of them, and
 * `stopped` is sent once all have stopped.
 */
import { NotificationType, RequestType, RequestType0 } from 'vscode-jsonrpc';
import type { Hex } from './hex.ts';
import type { ShownCause } from './stopCause.ts';

export interface StopEvent {
  readonly cause: ShownCause;
  /** The vCPU that caused it (0 for `pause`). */
  readonly cpu: number;
  /** Linear RIP of that vCPU (CS base applied). */
  readonly pc: Hex;
  /** This client's breakpoints that were hit, on any vCPU: empty when only another client's were. */
  readonly breakpointIds: readonly number[];
  /** For `tripleFault` and `failure`: a sentence; `details` holds registers and code bytes as text. */
  readonly message?: string;
  readonly details?: string;
}

/** To all clients. */
export const stopped = new NotificationType<StopEvent>('debug/stopped');
/** To all clients. Not sent for the instant a step takes. */
export const resumed = new NotificationType<Record<string, never>>('debug/resumed');

/** Runs all vCPUs. Leaves a breakpoint under RIP behind. No-op when running. */
export const resume = new RequestType0<void, void>('debug/resume');
/** Stops all vCPUs; resolves after `stopped` was sent. No-op when paused. */
export const pause = new RequestType0<void, void>('debug/pause');

export interface StepParams {
  readonly cpu: number;
  /** Keep stepping while the linear RIP of `cpu` is in [start, end): a source line in one request. */
  readonly range?: { readonly start: Hex; readonly end: Hex };
  /** Run calls until they return (stop when back in the frame that stepped). */
  readonly over?: boolean;
  /**
   * Let interrupts be taken while stepping (default: blocked where the host can do that,
   * KVM_GUESTDBG_BLOCKIRQ).
   */
  readonly interrupts?: boolean;
}
/** Steps one vCPU, the others stay stopped; resolves when started. `stopped` follows, usually with `step`. */
export const step = new RequestType<StepParams, void, void>('debug/step');

/** auto: hardware while the page is not mapped or paging is off, int3 once it is and the host delivers it. */
export const BREAKPOINT_MODES = ['auto', 'hw', 'sw'] as const;
export type BreakpointMode = (typeof BREAKPOINT_MODES)[number];

export interface BreakpointSpec {
  /** Chosen by the client, unique among its breakpoints; echoed in `stopped`. */
  readonly id: number;
  /** Linear address. */
  readonly address: Hex;
  readonly mode: BreakpointMode;
  /** Removed at its first hit or at any other stop (run-to-cursor, step out). */
  readonly temporary?: boolean;
  /** Hit only by this vCPU; the others run past it. */
  readonly cpu?: number;
  /** Hit only while RSP is above this: the return into one frame, not into a deeper recursion. */
  readonly stackAbove?: Hex;
}

export interface BreakpointStatus {
  readonly id: number;
  readonly verified: boolean;
  /** How it is armed. */
  readonly armed?: 'hw' | 'sw';
  /** When not verified: the reason, for the user. */
  readonly message?: string;
}

/** Replaces all breakpoints of this client. Works while running (the vCPUs are held for an instant). */
export const setBreakpoints = new RequestType<
  { readonly breakpoints: readonly BreakpointSpec[] },
  { readonly breakpoints: readonly BreakpointStatus[] },
  void
>('debug/setBreakpoints');
