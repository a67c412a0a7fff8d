/** What the handlers of one debug session share. State and the smallest questions about it; behaviour is in handlers/. */
import type { CoreProcess } from '../../vmm-core/client/spawnCore.ts';
import type { BreakpointMode, StopEvent } from '../../vmm-core/protocol/run.ts';
import type { RequestCall, SendEvent } from '../dapConnection.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { ClientDescription } from '../requestArguments.ts';
import { obtainIndex } from '../symbols/index/indexLoader.ts';
import type { SymbolImage } from '../symbols/symbolImage.ts';
import type { AddressView } from '../target/addressView.ts';
import { SourcePaths } from '../target/sourcePaths.ts';
import { SymbolSet } from '../target/symbolSet.ts';
import type { VmTarget } from '../target/vmTarget.ts';
import { CancellableWork } from './cancellableWork.ts';
import { SessionBreakpoints } from './sessionBreakpoints.ts';
import { StopView } from './stopView.ts';
import { Turns } from './turns.ts';

export interface SessionOptions {
  readonly stopOnEntry: boolean;
  readonly breakpointMode: BreakpointMode;
  readonly stepInterrupts: boolean;
  /** "Run Without Debugging": breakpoints are not set. */
  readonly noDebug: boolean;
}

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
  /** Of memory: see readMemory. */
  readonly largeReads = new Turns();
  /** What the editor is shown a progress of. */
  readonly cancellable = new CancellableWork();
  sources = new SourcePaths();
  step: UserStep | undefined;
  /** The editor was told, or has asked, that the VM runs. */
  wasRunning = false;
  /** Runs from the power button to the end of the guest's patience. */
  powerTimer: NodeJS.Timeout | undefined;
  /** Resolves when the VM has been ended or let go, once somebody asked for that. */
  left: Promise<void> | undefined;
  /** Ends the adapter, after the last response is out. */
  finish: () => void = () => undefined;
  #stop = new StopView();
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
    return this.#stop.event?.cpu ?? 0;
  }

  /** Of the stop the VM is at; while it runs, nothing was shown yet. */
  get stop(): StopView {
    return this.#stop;
  }

  /** The VM stopped, or runs: nothing that was shown before is true any more. */
  renewStop(event?: StopEvent): void {
    this.#stop = this.#stop.next(event);
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
