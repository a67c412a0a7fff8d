/**
 * What the handlers of one debug session share: state and simple questions about it. What is done with it is
 * in handlers/.
 */
import type { CoreProcess } from '../../vmm-core/client/spawnCore.ts';
import type { StopEvent } from '../../vmm-core/protocol/run.ts';
import type { SendEvent } from '../dapConnection.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import { type DebugSettings, DEFAULT_SETTINGS } from '../launchArguments.ts';
import type { Log } from '../log.ts';
import type { ClientDescription } from '../requestArguments.ts';
import { obtainIndex } from '../symbols/index/indexLoader.ts';
import type { SymbolImage } from '../symbols/symbolImage.ts';
import type { AddressView } from '../target/addressView.ts';
import { SourcePaths } from '../target/sourcePaths.ts';
import { SymbolSet } from '../target/symbolSet.ts';
import type { VmTarget } from '../target/vmTarget.ts';
import { CancellableWork } from './cancellableWork.ts';
import { HeldEvents } from './heldEvents.ts';
import { mayFollow, type Phase } from './phase.ts';
import { SessionBreakpoints } from './sessionBreakpoints.ts';
import { StopView } from './stopView.ts';
import { Turns } from './turns.ts';

/** The VM of a session. */
export interface SessionVm {
  readonly target: VmTarget;
  /** Whether we created it and so end it with the session. */
  readonly launched: boolean;
  /** Set when the adapter started the process itself. */
  readonly core?: CoreProcess | undefined;
}

/** Something that runs the VM in several pieces, and decides at each stop whether it is one for the user. */
export interface UserStep {
  /** The stop was `pause`d for: no further piece. */
  pauseRequested: boolean;
  start(): Promise<void>;
  onStopped(event: StopEvent): void;
}

export class SessionState {
  readonly send: SendEvent;
  readonly log: Log;
  /** Stop events wait until the response of the request that set the VM running is out. */
  readonly heldStops = new HeldEvents();
  readonly breakpoints = new SessionBreakpoints();
  /** Images already known to match the running build, or not: see checkBuilds. */
  readonly checkedBuilds = new WeakSet<SymbolImage>();
  /** Reads of memory: see readMemory. */
  readonly largeReads = new Turns();
  /** Work whose progress the editor is shown. */
  readonly cancellable = new CancellableWork();

  client: ClientDescription = {};
  symbols = SymbolSet.empty;
  /** Runs from the power button to the end of the guest's patience. */
  powerTimer: NodeJS.Timeout | undefined;
  /** Resolves when the VM has been ended or detached from, once that was asked for. */
  left: Promise<void> | undefined;
  /** Ends the adapter, after the last response is out. */
  finish: () => void = () => undefined;
  /** Tests pass their own. */
  obtainIndex: typeof obtainIndex = obtainIndex;

  #phase: Phase = 'connected';
  #step: UserStep | undefined;
  #vm: SessionVm | undefined;
  #settings = DEFAULT_SETTINGS;
  #sources = new SourcePaths();
  #stop = new StopView();

  constructor(send: SendEvent, log: Log) {
    this.send = send;
    this.log = log;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Whether the session may go on to that phase from where it is. If not, it stays. */
  enter(next: Exclude<Phase, 'stepping'>): boolean {
    return this.#go(next, undefined);
  }

  /** From here on the VM's stops are the step's, until the session enters another phase. */
  enterStep(step: UserStep): boolean {
    return this.#go('stepping', step);
  }

  /** Set in phase `stepping`. */
  get step(): UserStep | undefined {
    return this.#step;
  }

  #go(next: Phase, step: UserStep | undefined): boolean {
    const isAllowed = mayFollow(this.#phase, next);
    if (isAllowed) [this.#phase, this.#step] = [next, step];
    return isAllowed;
  }

  /** Whether the session has its VM. */
  begin(vm: SessionVm, settings: DebugSettings): void {
    this.#vm = vm;
    this.adopt(settings);
  }

  adopt(settings: DebugSettings): void {
    this.#settings = settings;
    this.#sources = new SourcePaths(settings.sourceMap);
  }

  get settings(): DebugSettings {
    return this.#settings;
  }

  get sources(): SourcePaths {
    return this.#sources;
  }

  get vm(): SessionVm | undefined {
    return this.#vm;
  }

  get target(): VmTarget | undefined {
    return this.#vm?.target;
  }

  /** The VM, or the error that there is none. */
  requireTarget(): VmTarget {
    return this.requireVm().target;
  }

  requireVm(): SessionVm {
    if (this.#vm === undefined) throw new UserError(USER_ERROR.noVm, 'no VM is being debugged');
    return this.#vm;
  }

  /** For the stop the VM is at; while it runs, nothing has been shown yet. */
  get stop(): StopView {
    return this.#stop;
  }

  /** The VM stopped, or runs: nothing that was shown before still holds. */
  renewStop(event?: StopEvent): void {
    this.#stop = this.#stop.next(event);
  }

  /** What addresses mean to a vCPU at this stop. While it runs its page tables cannot be read. */
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

  /** The vCPU meant by requests without a thread. */
  get currentCpu(): number {
    return this.#stop.event?.cpu ?? 0;
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
