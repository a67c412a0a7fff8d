/**
 * The debugger in vmm-core (design.md §3): run control, breakpoints, registers, memory. All-stop: whatever stops one
 * vCPU stops all of them, and `stopped` is sent once all have stopped.
 */
import { NotificationType, RequestType, RequestType0 } from 'vscode-jsonrpc';
import type { Bytes } from './codec.ts';

/** `0x…` lower-case hex, up to 64 bits. */
export type Hex = string;

export type StopReason =
  | 'entry' // first instruction, after create or reset
  | 'pause'
  | 'step'
  | 'breakpoint'
  | 'tripleFault'
  | 'error'; // unknown exit, KVM internal error, failed entry: the VM cannot continue

export interface StopEvent {
  readonly reason: StopReason;
  /** The vCPU that caused it (0 for `pause`). */
  readonly cpu: number;
  /** Linear RIP of that vCPU (CS base applied). */
  readonly pc: Hex;
  /** Ids of this client's breakpoints that were hit, over all vCPUs: none where only another client's were. */
  readonly breakpointIds: readonly number[];
  /** For `tripleFault` and `error`: a sentence; `details` holds registers and code bytes as text. */
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
  /** Run calls to their return (stop when back in the frame that stepped). */
  readonly over?: boolean;
  /** Let interrupts be taken while stepping (default: blocked where the host can, KVM_GUESTDBG_BLOCKIRQ). */
  readonly interrupts?: boolean;
}
/** Steps one vCPU, the others stay stopped; resolves when started, `stopped` follows with `step` (or another reason). */
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
  /** Hit only by this vCPU; the others pass. */
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

/** A segment register as shown to users. */
export interface SegmentValue {
  readonly selector: number;
  readonly base: Hex;
  readonly limit: Hex;
  readonly type: number;
  readonly dpl: number;
  readonly present: boolean;
  readonly s: boolean;
  readonly l: boolean;
  readonly db: boolean;
  readonly g: boolean;
  readonly avl: boolean;
  readonly unusable: boolean;
}

/** How the vCPU executes now, from CR0, EFER, RFLAGS.VM and CS. */
export type CpuMode = 'real' | 'vm86' | 'protected16' | 'protected32' | 'long16' | 'long32' | 'long64';

export interface CpuRegisters {
  readonly cpu: number;
  readonly mode: CpuMode;
  readonly cpl: number;
  /** False while the vCPU waits for INIT/SIPI or sits in HLT. */
  readonly runnable: boolean;
  /** rax rbx rcx rdx rsi rdi rsp rbp r8..r15 rip rflags, cr0 cr2 cr3 cr4 cr8 efer, fs_base gs_base, gdt_base gdt_limit idt_base idt_limit. */
  readonly values: Readonly<Record<string, Hex>>;
  /** cs ds es fs gs ss tr ldt. */
  readonly segments: Readonly<Record<string, SegmentValue>>;
}

/** Only while paused. */
export const readRegisters = new RequestType<{ readonly cpu: number }, CpuRegisters, void>(
  'debug/readRegisters',
);

/**
 * Sets registers by the names in CpuRegisters.values, or a selector by segment name (`cs`, …: in protected and long mode
 * the descriptor is loaded from the guest's GDT/LDT, in real mode base = selector << 4). Unknown names and values
 * that do not fit or that KVM refuses are User errors and change nothing.
 */
export const writeRegisters = new RequestType<
  { readonly cpu: number; readonly values: Readonly<Record<string, Hex>> },
  CpuRegisters,
  void
>('debug/writeRegisters');

export interface MemoryParams {
  /** Linear (through the page tables of `cpu`) unless `physical`. */
  readonly address: Hex;
  readonly physical?: boolean;
  /** Whose CR3; default 0. */
  readonly cpu?: number;
}

/** Planted int3 bytes are hidden. Works while running too (page tables as of now). Shorter than asked at an unmapped page. */
export const readMemory = new RequestType<
  MemoryParams & { readonly lengthBytes: number },
  { readonly data: Bytes; readonly unreadableBytes: number },
  void
>('debug/readMemory');

/** All or nothing. Keeps planted int3 bytes armed over the new contents. */
export const writeMemory = new RequestType<
  MemoryParams & { readonly data: Bytes },
  { readonly writtenBytes: number },
  void
>('debug/writeMemory');

/** What a client wrote. */
export type Change =
  | { readonly kind: 'registers'; readonly cpu: number; readonly names: readonly string[] }
  | (MemoryParams & { readonly kind: 'memory'; readonly lengthBytes: number });

/** To all clients but the one that wrote: what they have read before may be out of date. */
export const changed = new NotificationType<Change>('debug/changed');

/** A walk of the page tables. `gpa` is absent when not mapped; `entries` from the top level down. */
export const translate = new RequestType<
  MemoryParams,
  {
    readonly gpa?: Hex;
    readonly pageBytes?: number;
    readonly writable?: boolean;
    readonly user?: boolean;
    readonly executable?: boolean;
    readonly entries: readonly { readonly level: number; readonly gpa: Hex; readonly value: Hex }[];
  },
  void
>('debug/translate');
