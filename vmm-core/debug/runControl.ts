/**
 * Run control: all vCPUs run or all are stopped. Main thread. While the VM runs, exactly one `plan` (free
 * run or step) is under way; it ends with a verdict, which the owner (vm.ts) turns into events. Requests that
 * need a stopped VM for an instant (setBreakpoints while running) are `held` bodies: they run at the plan's
 * next stop, and the plan goes on.
 */
import { type CalleeEntered, STOP, type StopCause } from '../protocol/stopCause.ts';
import { STEP_INTERRUPTS, STEP_OVER, STEP_SILENT, type StepRequest } from '../vcpu/mailbox.ts';
import type { VcpuSet, VcpuStop } from '../vcpu/vcpuSet.ts';
import type { VcpuThread } from '../vcpu/vcpuThread.ts';
import type { Breakpoints, Hit } from './breakpoints.ts';

/** Why a plan ended: the deciding one of all vCPUs' causes, and whose it is. */
export interface Verdict {
  readonly cause: Exclude<StopCause, CalleeEntered>;
  readonly cpu: number;
  /** For breakpoints: all that are hit, on any vCPU. */
  readonly hits: readonly Hit[];
}

/** A step of one vCPU: until it leaves [start, end), over the calls in it if asked to. */
export interface VcpuStep {
  readonly cpu: number;
  readonly start: bigint;
  readonly end: bigint;
  readonly over: boolean;
  readonly interrupts: boolean;
}

export class RunControl {
  readonly #vcpus: VcpuSet;
  readonly #breakpoints: Breakpoints;
  readonly #onVerdict: (verdict: Verdict) => void;
  readonly #quiesce: (verdict: Verdict) => Promise<unknown> | undefined;
  #plan: Promise<void> | undefined;
  #pauseWanted = false;
  #held: (() => void)[] = [];

  /** `quiesce`: what has to end before the verdict is told; the VM counts as running until then. */
  constructor(
    vcpus: VcpuSet,
    breakpoints: Breakpoints,
    onVerdict: (verdict: Verdict) => void,
    quiesce: (verdict: Verdict) => Promise<unknown> | undefined = () => undefined,
  ) {
    this.#vcpus = vcpus;
    this.#breakpoints = breakpoints;
    this.#onVerdict = onVerdict;
    this.#quiesce = quiesce;
  }

  get running(): boolean {
    return this.#plan !== undefined;
  }

  /** Runs until there is a reason to stop; `onVerdict` tells it. */
  resume(): void {
    this.#start(() => this.#runFreely());
  }

  step(plan: VcpuStep): void {
    this.#start(() => this.#step(plan));
  }

  /** Resolves after the running plan's verdict, which is `pause` unless the guest was faster. */
  async pause(): Promise<void> {
    if (this.#plan === undefined) return;
    this.#pauseWanted = true;
    this.#vcpus.pause();
    await this.#plan;
  }

  /** Runs `body` with all vCPUs stopped: now, or at an instant that no client notices. */
  async hold<T>(body: () => T): Promise<T> {
    if (this.#plan === undefined) return body();
    return new Promise((resolve, reject) => {
      this.#held.push(() => {
        try {
          resolve(body());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
      this.#vcpus.pause();
    });
  }

  #start(plan: () => Promise<Verdict>): void {
    if (this.#plan !== undefined) throw new Error('the VM is running already');
    for (const { vcpu } of this.#vcpus.threads) vcpu.noteStop();
    this.#breakpoints.arm(); // the guest may have mapped pages since the last decision
    this.#pauseWanted = false;
    this.#plan = plan().then((verdict) => this.#finish(verdict));
  }

  async #finish(verdict: Verdict): Promise<void> {
    const quiet = this.#quiesce(verdict);
    if (quiet !== undefined) await quiet;
    this.#serveHeld(); // asked for after the last stop was looked at
    this.#plan = undefined;
    this.#breakpoints.dropTemporary();
    this.#onVerdict(verdict);
  }

  async #runFreely(): Promise<Verdict> {
    for (;;) {
      const failed = await this.#leaveBreakpoints();
      const verdict = failed ?? this.#judge(await this.#runAll());
      if (verdict !== undefined) return verdict;
    }
  }

  /** Steps every vCPU that is on a breakpoint off it, alone, so that it is not hit again. */
  async #leaveBreakpoints(): Promise<Verdict | undefined> {
    for (const { index, vcpu } of this.#vcpus.threads) {
      if (!this.#breakpoints.isArmedAt(vcpu.run.linearRip)) continue;
      const cause = await this.#stepThread(index, { flags: STEP_SILENT, start: 0n, end: 0n });
      const verdict = cause.kind === STOP.step ? undefined : this.#judge([{ cpu: index, cause }]);
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }

  /** Runs all vCPUs until one stops by itself or a pause is wanted; serves held bodies on the way. */
  async #runAll(): Promise<readonly VcpuStop[]> {
    for (;;) {
      const stops = await this.#untilStopped(this.#vcpus.run());
      const idle = stops.every(({ cause }) => cause.kind === STOP.pause);
      if (this.#pauseWanted || !idle) return stops;
      // Held bodies may have armed a breakpoint under a vCPU: go through leaveBreakpoints again.
      if (this.#vcpus.threads.some((thread) => this.#standsOnBreakpoint(thread))) return stops;
    }
  }

  /** Of vCPUs that were set running. A request from before they ran stops them at once. */
  async #untilStopped<T>(stop: Promise<T>): Promise<T> {
    if (this.#pauseWanted || this.#held.length > 0) this.#vcpus.pause();
    const result = await stop;
    this.#serveHeld();
    return result;
  }

  #standsOnBreakpoint({ vcpu }: VcpuThread): boolean {
    return this.#breakpoints.isArmedAt(vcpu.run.linearRip);
  }

  #serveHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const body of held) body();
  }

  /** A step of one vCPU; held bodies interrupt and continue it. */
  async #stepThread(cpu: number, request: StepRequest): Promise<StopCause> {
    for (;;) {
      const cause = await this.#untilStopped(this.#vcpus.step(cpu, request));
      if (cause.kind !== STOP.pause || this.#pauseWanted) return cause;
    }
  }

  async #step(plan: VcpuStep): Promise<Verdict> {
    const flags = (plan.over ? STEP_OVER : 0) | (plan.interrupts ? STEP_INTERRUPTS : 0);
    for (;;) {
      const cause = await this.#stepThread(plan.cpu, { flags, start: plan.start, end: plan.end });
      if (cause.kind === STOP.step) return stepped(plan);
      const verdict =
        cause.kind === STOP.calleeEntered
          ? (this.#hitAt(plan.cpu) ?? (await this.#runToReturn(plan.cpu, cause)))
          : this.#judge([{ cpu: plan.cpu, cause }]);
      if (verdict !== undefined) return verdict;
      // Back from a call, or on a breakpoint whose condition does not hold.
      const rip = this.#vcpus.threads[plan.cpu]?.vcpu.run.linearRip ?? 0n;
      if (rip < plan.start || rip >= plan.end) return stepped(plan);
    }
  }

  /** A breakpoint on a vCPU's current instruction: the first one of a callee. */
  #hitAt(cpu: number): Verdict | undefined {
    const hits = this.#breakpoints.hitBy(cpu, this.#vcpus.threads[cpu]);
    return hits.length === 0 ? undefined : { cause: { kind: STOP.breakpoint }, cpu, hits };
  }

  /**
   * Undefined once the call has returned; all vCPUs run meanwhile, because a callee may wait for another
   * CPU.
   */
  async #runToReturn(cpu: number, { returnAddress, stack }: CalleeEntered): Promise<Verdict | undefined> {
    const returned = this.#breakpoints.addInternal(BigInt(returnAddress), cpu, BigInt(stack));
    try {
      const verdict = await this.#runFreely();
      const { cause, hits } = verdict;
      const back = cause.kind === STOP.breakpoint && hits.every(isInternal) && verdict.cpu === cpu;
      return back ? undefined : verdict;
    } finally {
      this.#breakpoints.removeInternal(returned);
    }
  }

  /** What all causes together mean; undefined when there is nothing to report, as when a condition fails. */
  #judge(causes: readonly VcpuStop[]): Verdict | undefined {
    for (const { cpu, cause } of causes) if (isDecisive(cause)) return { cause, cpu, hits: [] };
    const pause: Verdict = { cause: { kind: STOP.pause }, cpu: causes[0]?.cpu ?? 0, hits: [] };
    return this.#hitAmong(causes) ?? (this.#pauseWanted ? pause : undefined);
  }

  #hitAmong(causes: readonly VcpuStop[]): Verdict | undefined {
    const hits = causes
      .filter(({ cause }) => cause.kind === STOP.breakpoint)
      .flatMap(({ cpu }) =>
        this.#breakpoints.hitBy(cpu, this.#vcpus.threads[cpu]).map((hit) => ({ cpu, hit })),
      );
    // The vCPU to show is one on a breakpoint that somebody set, not on the return of a call stepped over.
    const first = hits.find(({ hit }) => !isInternal(hit)) ?? hits[0];
    if (first === undefined) return undefined;
    const all = [...new Set(hits.map(({ hit }) => hit))];
    return { cause: { kind: STOP.breakpoint }, cpu: first.cpu, hits: all };
  }
}

/** A reason to stop whatever the other causes are. */
function isDecisive(cause: StopCause): cause is Verdict['cause'] {
  switch (cause.kind) {
    case STOP.pause: // may have been for a held body
    case STOP.breakpoint: // its condition may not hold
    case STOP.step: // ends the plan that asked for it, elsewhere
    case STOP.calleeEntered:
      return false;
    default:
      return true;
  }
}

function stepped({ cpu }: VcpuStep): Verdict {
  return { cause: { kind: STOP.step }, cpu, hits: [] };
}

/** The return of a stepped-over call: not reported. */
function isInternal({ id }: Hit): boolean {
  return id === undefined;
}
