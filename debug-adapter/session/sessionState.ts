/** What the handlers of one debug session share. State and the smallest questions about it; behaviour is in handlers/. */
import type { CoreProcess } from '../../vmm-core/client/spawnCore.ts';
import type { BreakpointMode, StopEvent } from '../../vmm-core/protocol/run.ts';
import type { RequestCall, SendEvent } from '../dapConnection.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import { HandleMap } from './handleMap.ts';
import type { Log } from '../log.ts';
import type { ClientDescription } from '../requestArguments.ts';
import { obtainIndex } from '../symbols/index/indexLoader.ts';
import type { SymbolImage } from '../symbols/symbolImage.ts';
import type { AddressView } from '../target/addressView.ts';
import { SessionBreakpoints } from './sessionBreakpoints.ts';
import type { Disassembler } from '../target/disassembler.ts';
import { SourcePaths } from '../target/sourcePaths.ts';
import { SymbolSet } from '../target/symbolSet.ts';
import { symbolUnwinder, type UnwindFrame, type Unwinder } from '../target/unwind.ts';
import type { VmTarget } from '../target/vmTarget.ts';
import type { Value } from '../symbols/values/value.ts';

export interface SessionOptions {
  readonly stopOnEntry: boolean;
  readonly breakpointMode: BreakpointMode;
  readonly stepInterrupts: boolean;
  /** "Run Without Debugging": breakpoints are not set. */
  readonly noDebug: boolean;
}

/**
 * A stack frame as DAP shows it; several share one `UnwindFrame` where code was inlined. It says which, not what is in it: a write may
 * change that, see frameNow().
 */
export interface ShownFrame {
  readonly cpu: number;
  /** 0 for the frame the vCPU executes and for what is inlined there. */
  readonly depth: number;
  /** Counts from the innermost function inlined at the frame's address. */
  readonly inlineDepth: number;
}

/** What a `variablesReference` stands for. */
export type VariableContainer =
  | { readonly kind: 'registers'; readonly shown: ShownFrame }
  | { readonly kind: 'group'; readonly group: string; readonly shown: ShownFrame }
  | { readonly kind: 'segment'; readonly name: string; readonly shown: ShownFrame }
  | { readonly kind: 'locals'; readonly shown: ShownFrame }
  | {
      readonly kind: 'value';
      readonly value: Value;
      /** `SessionState.writes` when it was looked up: after a later one it is looked up anew. */
      readonly asOfWrite: number;
      /** The first child shown, when those before it are shown elsewhere. */
      readonly start?: number;
      readonly shown: ShownFrame;
    };

/** Something that runs the VM in several pieces, and decides at each stop whether it is one for the user. */
export interface UserStep {
  /** The stop was `pause`d for: no further piece. */
  pauseRequested: boolean;
  start(): Promise<void>;
  onStopped(event: StopEvent): void;
}

/**
 * idle: no VM; configuring: VM there, breakpoints being set; active: the user debugs; over: `terminated` was sent.
 * Stops reach the user only while active.
 */
export type Phase = 'idle' | 'configuring' | 'active' | 'over';

export class SessionState {
  readonly send: SendEvent;
  readonly log: Log;
  readonly breakpoints = new SessionBreakpoints();
  readonly frames = new HandleMap<ShownFrame>();
  readonly variables = new HandleMap<VariableContainer>();
  readonly unwinder: Unwinder = symbolUnwinder;

  phase: Phase = 'idle';
  options: SessionOptions = {
    stopOnEntry: false,
    breakpointMode: 'auto',
    stepInterrupts: false,
    noDebug: false,
  };
  client: ClientDescription = {};
  initialized = false;
  /** Whether we created the VM, and end it with the session. */
  launched = false;
  /** We are ending the session ourselves: the VM's end needs no message. */
  leaving = false;
  /** Stops are ours until it is false again: restart pauses and resets. */
  quiet = false;
  target: VmTarget | undefined;
  /** Set when the adapter started the process itself. */
  core: CoreProcess | undefined;
  symbols = SymbolSet.empty;
  /** Images known to be of the running build or not: see checkBuilds. */
  readonly checkedBuilds = new WeakSet<SymbolImage>();
  /** Tests have their own. */
  obtainIndex: typeof obtainIndex = obtainIndex;
  /** The last of those that were asked for: one at a time, see readMemory. */
  largeReads: Promise<unknown> = Promise.resolve();
  /** What ends the work behind a progress the editor is shown. */
  readonly cancellable = new Map<string, () => void>();
  nextProgress = 1;
  sources = new SourcePaths();
  lastStop: StopEvent | undefined;
  step: UserStep | undefined;
  /** The editor was told, or has asked, that the VM runs. */
  wasRunning = false;
  /** Runs from the power button to the end of the guest's patience. */
  powerTimer: NodeJS.Timeout | undefined;
  /** Resolves when the VM has been ended or let go, once somebody asked for that. */
  left: Promise<void> | undefined;
  disassembler: Promise<Disassembler> | undefined;
  /** Writes to registers and memory so far: what was read before the last one may be out of date. */
  writes = 0;
  /** Frames of each vCPU at this stop, as far as somebody asked. */
  stacks = new Map<number, { readonly frames: UnwindFrame[]; complete: boolean }>();
  /**
   * vCPUs that stand where inlined copies begin, but are shown at the call of them: how many copies are hidden. A step by line that
   * reaches such a line stops there, as it would before a call.
   */
  readonly hiddenFrames = new Map<number, number>();
  /** Ends the adapter, after the last response is out. */
  finish: () => void = () => undefined;
  #held = 0;
  #waiting: (() => void)[] = [];

  constructor(send: SendEvent, log: Log) {
    this.send = send;
    this.log = log;
  }

  /** The VM, or the error that there is none. */
  requireTarget(): VmTarget {
    if (this.target === undefined) throw new UserError(USER_ERROR.noVm, 'no VM is being debugged');
    return this.target;
  }

  /** What addresses mean to a vCPU at this stop. While it runs its page tables cannot be asked for. */
  async viewOf(cpu: number): Promise<AddressView> {
    const { symbols } = this;
    const target = this.requireTarget();
    if (!symbols.hasSpaces || target.state !== 'paused') return symbols.everywhere;
    const { values } = await target.readRegisters(cpu);
    return symbols.inSpace(BigInt(values['cr3'] ?? 0));
  }

  /** The vCPU of a DAP thread. Threads are numbered from 1: some clients take 0 for "none". */
  cpuOf(threadId: number): number {
    const cpu = threadId - 1;
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= this.requireTarget().cpuCount) {
      throw new UserError(USER_ERROR.badReference, `there is no thread ${threadId}`);
    }
    return cpu;
  }

  /** The vCPU that requests without a thread mean. */
  get currentCpu(): number {
    return this.lastStop?.cpu ?? 0;
  }

  frame(frameId: number): ShownFrame {
    const shown = this.frames.get(frameId);
    if (shown === undefined) throw new UserError(USER_ERROR.stale, `frame ${frameId} is of an earlier stop`);
    return shown;
  }

  /** Nothing read at the last stop is true any more. */
  forgetStop(): void {
    this.frames.clear();
    this.variables.clear();
    this.stacks.clear();
    this.hiddenFrames.clear();
  }

  /** After any write, to whatever: nothing that was computed from registers or memory is kept. */
  forgetRead(): void {
    this.writes += 1;
    this.stacks.clear();
  }

  /** Stop events wait until the response of `call`, which sets the VM running, is out. */
  holdStops(call: RequestCall): void {
    this.#held += 1;
    call.after(() => {
      this.#held -= 1;
      if (this.#held > 0) return;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const action of waiting) action();
    });
  }

  /** Runs `action` now, or after the held responses. */
  whenReleased(action: () => void): void {
    if (this.#held === 0) action();
    else this.#waiting.push(action);
  }

  output(text: string, category: 'console' | 'important' | 'stderr' = 'console'): void {
    this.send('output', { category, output: `${text}\n` });
  }

  /** `supportsInvalidatedEvent` clients read again what a write changed. */
  invalidate(areas: readonly string[], threadId?: number): void {
    if (this.client.supportsInvalidatedEvent !== true) return;
    this.send('invalidated', { areas, ...(threadId === undefined ? {} : { threadId }) });
  }
}
