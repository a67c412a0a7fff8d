/**
 * A step by source line, made of the VM's range steps. The rules are those users know from gdb: a step ends
 * at the first instruction of another line, in a function entered by `stepIn` after its prologue, or where
 * the function returned to.
 */
import type { CpuRegisters } from '../../vmm-core/protocol/registers.ts';
import type { StopEvent } from '../../vmm-core/protocol/run.ts';
import { STOP } from '../../vmm-core/protocol/stopCause.ts';
import { messageOf } from '../errors.ts';
import type { SessionState, UserStep } from '../session/sessionState.ts';
import type { AddressView } from '../target/addressView.ts';
import { interruptedPc } from '../target/interruptFrame.ts';
import { codeBits, linearPc, linearSp } from '../target/registers.ts';
import type { VmTarget } from '../target/vmTarget.ts';
import { emitStopped } from '../session/vmEvents.ts';
import { asStep } from './stepOut.ts';

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

export type StepKind = 'over' | 'into' | 'out';

/** Where the step began: the frame the user saw, which may be at the call of inlined copies. */
interface Origin {
  readonly file: string | undefined;
  readonly line: number | undefined;
  /** The frame of the code, whatever is inlined in it. */
  readonly functionStart: bigint | undefined;
  /** How many functions: its own and those it is inlined in. */
  readonly level: number;
  readonly functionName: string | undefined;
}

type Decision =
  /** `hidden`: inlined copies that begin here and are not entered yet. */
  | { readonly kind: 'stop'; readonly hidden?: number }
  | { readonly kind: 'range'; readonly range: Range; readonly over: boolean; readonly last?: boolean }
  | { readonly kind: 'return'; readonly to: bigint; readonly stackAbove: bigint };

const STOP_HERE: Decision = { kind: 'stop' };

export class LineStep implements UserStep {
  pauseRequested = false;
  readonly #state: SessionState;
  readonly #target: VmTarget;
  readonly #cpu: number;
  readonly #kind: StepKind;
  readonly #origin: Origin;
  /** What is being stepped through, or was last. */
  #range: Range;
  /**
   * Where the last piece began: a breakpoint there was already hit, and does not count again after a fault's
   * handler has returned.
   */
  #from: bigint;
  #ownBreakpointId = -1;
  /** The next stop is the end, wherever it is. */
  #last = false;

  private constructor(
    state: SessionState,
    cpu: number,
    kind: StepKind,
    first: { readonly pc: bigint; readonly origin: Origin; readonly range: Range },
  ) {
    this.#state = state;
    this.#target = state.requireTarget();
    this.#cpu = cpu;
    this.#kind = kind;
    this.#from = first.pc;
    this.#origin = first.origin;
    this.#range = first.range;
  }

  /**
   * `undefined` in code without line information, where a step is one instruction, and for a step out of code
   * that is not inlined.
   */
  static async prepare(state: SessionState, cpu: number, kind: StepKind): Promise<LineStep | undefined> {
    const view = await state.viewOf(cpu);
    const pc = linearPc(await state.requireTarget().readRegisters(cpu));
    const chain = view.inlineChainAt(pc);
    const hidden = state.stop.hiddenFrames.get(cpu) ?? 0;
    const visible = chain[hidden];
    const level = chain.length - hidden;
    const row = view.lineAt(pc)?.row;
    const position = hidden > 0 ? visible : row;
    if (row === undefined || (kind === 'out' && level <= 1)) return undefined;
    const range =
      kind === 'out' ? visible?.range : hidden > 0 ? chain[hidden - 1]?.range : view.statementRange(pc);
    if (range === undefined) return undefined;
    const functionStart = view.functionAt(pc)?.start;
    const { file, line } = position ?? {};
    const origin: Origin = { file, line, functionStart, level, functionName: visible?.function };
    return new LineStep(state, cpu, kind, { pc, origin, range });
  }

  start(): Promise<void> {
    return this.#step(this.#range, this.#steppingOver);
  }

  get #steppingOver(): boolean {
    return this.#kind !== 'into';
  }

  onStopped(event: StopEvent): void {
    void this.#onStopped(event);
  }

  async #onStopped(event: StopEvent): Promise<void> {
    const returned = event.breakpointIds.includes(this.#ownBreakpointId);
    const again = returned && BigInt(event.pc) === this.#from;
    const shown = asStep(
      again ? { ...event, breakpointIds: [this.#ownBreakpointId] } : event,
      this.#ownBreakpointId,
    );
    if (shown.cause.kind !== STOP.step || event.cpu !== this.#cpu || this.#last)
      return emitStopped(this.#state, shown);
    try {
      const decision = await this.#decide();
      if (!this.#isCurrent()) return;
      if (this.pauseRequested) return emitStopped(this.#state, { ...shown, cause: { kind: STOP.pause } });
      if (decision.kind === 'stop') {
        if (decision.hidden !== undefined) this.#state.stop.hiddenFrames.set(this.#cpu, decision.hidden);
        return emitStopped(this.#state, shown);
      }
      if (decision.kind === 'return') return await this.#runTo(decision.to, decision.stackAbove);
      this.#last = decision.last === true;
      this.#from = BigInt(event.pc);
      await this.#step(decision.range, decision.over);
    } catch (error) {
      if (!this.#isCurrent() || this.#target.closed) return;
      this.#state.output(`the step ended early: ${messageOf(error)}`);
      emitStopped(this.#state, shown);
    }
  }

  /** A restart or disconnect may have taken the VM away while we waited for an answer. */
  #isCurrent(): boolean {
    return this.#state.step === this;
  }

  #step(range: Range, over: boolean): Promise<void> {
    this.#range = range;
    return this.#target.step(this.#cpu, { range, over, interrupts: this.#state.settings.stepInterrupts });
  }

  async #runTo(address: bigint, stackAbove: bigint): Promise<void> {
    this.#ownBreakpointId = await this.#state.breakpoints.addTemporary({
      address,
      cpu: this.#cpu,
      stackAbove,
    });
    await this.#target.resume();
  }

  /** At a stop outside the last range: is this where the user wants to be? */
  async #decide(): Promise<Decision> {
    const view = await this.#state.viewOf(this.#cpu);
    const registers = await this.#target.readRegisters(this.#cpu);
    const pc = linearPc(registers);
    const functionStart = view.functionAt(pc)?.start;
    if (this.#steppingOver && functionStart !== this.#origin.functionStart) {
      // `next` steps over the handler of a fault or an interrupt as over a call; `stepIn` goes into it.
      const interrupted = await interruptedPc(
        registers,
        (address, lengthBytes) => this.#read(address, lengthBytes),
        this.#range,
      );
      if (interrupted !== undefined)
        return { kind: 'return', to: interrupted, stackAbove: linearSp(registers) };
    }
    const found = view.lineAt(pc);
    const range = view.statementRange(pc);
    if (found === undefined || range === undefined) return this.#calledCode(view, pc, registers);
    if (functionStart === pc && this.#kind === 'into') {
      const end = view.prologueEnd(pc);
      return end > pc ? { kind: 'range', range: { start: pc, end }, over: true, last: true } : STOP_HERE;
    }
    if (functionStart !== this.#origin.functionStart) return STOP_HERE; // returned, or jumped away
    const inlined = this.#kind === 'out' ? this.#leaving(view, pc) : this.#inlined(view, pc);
    if (inlined !== undefined) return inlined;
    const { row } = found;
    const sameLine = row.file === this.#origin.file && row.line === this.#origin.line;
    // Line 0 is not a line of the source.
    const midStatement = row.range.start !== pc || !row.isStatement || row.line === 0;
    return sameLine || midStatement ? { kind: 'range', range, over: this.#steppingOver } : STOP_HERE;
  }

  /** Inside copies inlined in the frame the step began in: as if they had been called. */
  #inlined(view: AddressView, pc: bigint): Decision | undefined {
    const chain = view.inlineChainAt(pc);
    const entered = chain.length - this.#origin.level;
    const callee = chain[entered - 1];
    const caller = chain[entered];
    if (callee === undefined || caller === undefined) return undefined;
    if (caller.function !== this.#origin.functionName) return undefined;
    const isStart = callee.range.start === pc;
    const isOwnCall = caller.file === this.#origin.file && caller.line === this.#origin.line;
    if (!isOwnCall && isStart) return { kind: 'stop', hidden: entered }; // at the line of another call
    if (this.#kind === 'over') return { kind: 'range', range: callee.range, over: true };
    return isStart ? { kind: 'stop', hidden: entered - 1 } : undefined;
  }

  /** Out of an inlined copy: until no piece of it is left. */
  #leaving(view: AddressView, pc: bigint): Decision {
    const chain = view.inlineChainAt(pc);
    const left = chain[chain.length - this.#origin.level];
    const inside = left !== undefined && left.inlined && left.function === this.#origin.functionName;
    return inside ? { kind: 'range', range: left.range, over: true } : STOP_HERE;
  }

  /**
   * `stepIn` into a function without lines: let it return. Reached in any other way (a jump, a return, an
   * interrupt): stop.
   */
  async #calledCode(view: AddressView, pc: bigint, registers: CpuRegisters): Promise<Decision> {
    if (this.#steppingOver || view.codeStart(pc) !== pc) return STOP_HERE;
    const sp = linearSp(registers);
    const word = await this.#read(sp, codeBits(registers.mode) / 8);
    if (word === undefined) return STOP_HERE;
    const returnTo = word.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
    const caller = view.functionAt(returnTo)?.start;
    if (caller === undefined || caller !== this.#origin.functionStart) return STOP_HERE;
    return { kind: 'return', to: returnTo, stackAbove: sp };
  }

  async #read(address: bigint, lengthBytes: number): Promise<Uint8Array | undefined> {
    const { data, unreadableBytes } = await this.#target.readMemory({ address, cpu: this.#cpu }, lengthBytes);
    return unreadableBytes === 0 ? data : undefined;
  }
}
