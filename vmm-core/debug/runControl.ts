/**
 * Run control: all vCPUs run or all are stopped (design.md §3). Main thread. While the VM runs, exactly one `plan` (free run or step) is
 * under way; it ends with a verdict, which the owner (vm.ts) turns into events. Requests that need a stopped VM for an instant
 * (setBreakpoints while running) are `held` bodies: they run at the plan's next stop, and the plan goes on.
 */
import type { GeneralRegisters } from '../abi/x86.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { STEP_INTERRUPTS, STEP_OVER, STEP_SILENT } from '../vcpu/mailbox.ts';
import type { PowerEvent, StopCause } from '../vcpu/messages.ts';
import type { VcpuThread } from '../vcpu/vcpuThread.ts';
import type { Breakpoints, Hit } from './breakpoints.ts';

/** Why a plan ended, over all vCPUs. */
export type Verdict =
  | { readonly kind: 'pause'; readonly cpu: number }
  | { readonly kind: 'step'; readonly cpu: number }
  | { readonly kind: 'breakpoint'; readonly cpu: number; readonly hits: readonly Hit[] }
  | { readonly kind: 'power'; readonly event: PowerEvent }
  /** `before`: see StopCause. */
  | { readonly kind: 'tripleFault'; readonly cpu: number; readonly before?: GeneralRegisters }
  | { readonly kind: 'error'; readonly cpu: number; readonly message: string };

export interface StepPlan {
  readonly cpu: number;
  readonly start: bigint;
  readonly end: bigint;
  readonly over: boolean;
  readonly interrupts: boolean;
}

/** Each vCPU with why it stopped. */
type Causes = readonly { readonly cpu: number; readonly cause: StopCause }[];

interface Machine {
  readonly threads: readonly VcpuThread[];
  readonly memory: GuestMemory;
}

export class RunControl {
  readonly #machine: Machine;
  readonly #breakpoints: Breakpoints;
  readonly #onVerdict: (verdict: Verdict) => void;
  #plan: Promise<void> | undefined;
  #pauseWanted = false;
  #held: (() => void)[] = [];

  constructor(machine: Machine, breakpoints: Breakpoints, onVerdict: (verdict: Verdict) => void) {
    this.#machine = machine;
    this.#breakpoints = breakpoints;
    this.#onVerdict = onVerdict;
  }

  get running(): boolean {
    return this.#plan !== undefined;
  }

  /** Runs until something is worth a stop; `onVerdict` tells what. */
  resume(): void {
    this.#start(() => this.#runFreely());
  }

  step(plan: StepPlan): void {
    this.#start(() => this.#step(plan));
  }

  /** Resolves after the verdict of what was running, which is `pause` unless the guest was faster. */
  async pause(): Promise<void> {
    if (this.#plan === undefined) return;
    this.#pauseWanted = true;
    this.#kickAll();
    await this.#plan;
  }

  /** Runs `body` with all vCPUs stopped: now, or at an instant that nobody notices. */
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
      this.#kickAll();
    });
  }

  #start(plan: () => Promise<Verdict>): void {
    if (this.#plan !== undefined) throw new Error('the VM is running already');
    for (const { vcpu } of this.#machine.threads) vcpu.noteStop();
    this.#breakpoints.arm(); // the guest may have mapped pages since they were decided
    this.#pauseWanted = false;
    this.#plan = plan().then((verdict) => {
      this.#serveHeld(); // asked for after the last stop was looked at
      this.#plan = undefined;
      this.#breakpoints.dropTemporary();
      this.#onVerdict(verdict);
    });
  }

  #kickAll(): void {
    for (const thread of this.#machine.threads) thread.pause();
  }

  async #runFreely(): Promise<Verdict> {
    for (;;) {
      const failed = await this.#leaveBreakpoints();
      const verdict = failed ?? this.#judge(await this.#runAll());
      if (verdict !== undefined) return verdict;
    }
  }

  /** Steps every vCPU that stands on a breakpoint off it, alone, so that it is not hit again. */
  async #leaveBreakpoints(): Promise<Verdict | undefined> {
    for (const { index, vcpu } of this.#machine.threads) {
      if (!this.#breakpoints.isArmedAt(vcpu.run.linearRip)) continue;
      const cause = await this.#stepThread(index, { flags: STEP_SILENT, start: 0n, end: 0n });
      const verdict = cause.kind === 'step' ? undefined : this.#judge([{ cpu: index, cause }]);
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }

  /** All vCPUs until one stops by itself or a pause is wanted; held bodies are served on the way. */
  async #runAll(): Promise<Causes> {
    for (;;) {
      const causes = await this.#runOnce();
      this.#serveHeld();
      const idle = causes.every(({ cause }) => cause.kind === 'pause');
      if (this.#pauseWanted || !idle) return causes;
      // Held bodies may have armed a breakpoint under a vCPU: go through leaveBreakpoints again.
      if (causes.some(({ cpu }) => this.#standsOnBreakpoint(cpu))) return causes;
    }
  }

  async #runOnce(): Promise<Causes> {
    const { threads } = this.#machine;
    // From the last to the first: main may run vCPU 0 itself for a start, and the others need not wait for that.
    const stops = [...threads]
      .reverse()
      .map((thread) => thread.run())
      .reverse();
    if (this.#pauseWanted || this.#held.length > 0) this.#kickAll(); // asked for before the vCPUs ran
    await Promise.race(stops);
    this.#kickAll();
    const causes = await Promise.all(stops);
    return causes.map((cause, cpu) => ({ cpu, cause }));
  }

  #standsOnBreakpoint(cpu: number): boolean {
    const thread = this.#machine.threads[cpu];
    return thread !== undefined && this.#breakpoints.isArmedAt(thread.vcpu.run.linearRip);
  }

  #serveHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const body of held) body();
  }

  /** A step of one vCPU; held bodies interrupt and continue it. */
  async #stepThread(cpu: number, request: { flags: number; start: bigint; end: bigint }): Promise<StopCause> {
    const thread = this.#machine.threads[cpu];
    if (thread === undefined) throw new Error(`no vCPU ${cpu}`);
    for (;;) {
      const done = thread.step(request);
      if (this.#pauseWanted || this.#held.length > 0) thread.pause();
      const cause = await done;
      this.#serveHeld();
      if (cause.kind !== 'pause' || this.#pauseWanted) return cause;
    }
  }

  async #step(plan: StepPlan): Promise<Verdict> {
    const flags = (plan.over ? STEP_OVER : 0) | (plan.interrupts ? STEP_INTERRUPTS : 0);
    for (;;) {
      const cause = await this.#stepThread(plan.cpu, { flags, start: plan.start, end: plan.end });
      if (cause.kind === 'step') return { kind: 'step', cpu: plan.cpu };
      const verdict =
        cause.kind === 'call'
          ? (this.#hitAt(plan.cpu) ?? (await this.#runToReturn(plan.cpu, cause.returnAddress, cause.stack)))
          : this.#judge([{ cpu: plan.cpu, cause }]);
      if (verdict !== undefined) return verdict;
      // Back from a call, or on a breakpoint whose condition does not hold.
      const rip = this.#machine.threads[plan.cpu]?.vcpu.run.linearRip ?? 0n;
      if (rip < plan.start || rip >= plan.end) return { kind: 'step', cpu: plan.cpu };
    }
  }

  /** A breakpoint on the instruction where a vCPU stands: the first one of a callee. */
  #hitAt(cpu: number): Verdict | undefined {
    const hits = this.#breakpoints.hitBy(cpu, this.#machine.threads[cpu]);
    return hits.length === 0 ? undefined : { kind: 'breakpoint', cpu, hits };
  }

  /** Undefined once the call has returned; all vCPUs run meanwhile, for a callee may wait for another CPU. */
  async #runToReturn(cpu: number, address: bigint, stack: bigint): Promise<Verdict | undefined> {
    const returned = this.#breakpoints.addInternal(address, cpu, stack);
    try {
      const verdict = await this.#runFreely();
      const back = verdict.kind === 'breakpoint' && verdict.hits.every(isInternal) && verdict.cpu === cpu;
      return back ? undefined : verdict;
    } finally {
      this.#breakpoints.removeInternal(returned);
    }
  }

  /** What all causes together mean; undefined when nobody needs to know (a condition does not hold, a breakpoint is gone). */
  #judge(causes: Causes): Verdict | undefined {
    for (const { cpu, cause } of causes) {
      if (cause.kind === 'power') return { kind: 'power', event: cause.event };
      if (cause.kind === 'tripleFault') return { ...cause, cpu };
      if (cause.kind === 'error') return { kind: 'error', cpu, message: cause.message };
    }
    const hits = causes
      .filter(({ cause }) => cause.kind === 'breakpoint')
      .flatMap(({ cpu }) =>
        this.#breakpoints.hitBy(cpu, this.#machine.threads[cpu]).map((hit) => ({ cpu, hit })),
      );
    // The vCPU to show is one that stands on a breakpoint somebody set, not on the return of a call stepped over.
    const first = hits.find(({ hit }) => !isInternal(hit)) ?? hits[0];
    if (first !== undefined) {
      return { kind: 'breakpoint', cpu: first.cpu, hits: [...new Set(hits.map(({ hit }) => hit))] };
    }
    return this.#pauseWanted ? { kind: 'pause', cpu: causes[0]?.cpu ?? 0 } : undefined;
  }
}

/** The return of a call stepped over: nobody is told. */
function isInternal({ id }: Hit): boolean {
  return id === undefined;
}
