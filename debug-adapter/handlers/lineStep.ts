/**
 * A step by source line, made of range steps of the VM. The rules are those users know from gdb: a step ends at the first
 * instruction of another line, in a function entered by `stepIn` after its prologue, or where the function returned to.
 */
import type { CpuRegisters, StopEvent } from '../../vmm-core/protocol/debug.ts';
import { messageOf } from '../errors.ts';
import type { SessionState, StepPlan } from '../sessionState.ts';
import { interruptedPc } from '../target/interruptFrame.ts';
import { codeBits, linearPc, linearSp } from '../target/registers.ts';
import type { VmTarget } from '../target/vmTarget.ts';
import { emitStopped } from './events.ts';
import { asStep } from './stepOut.ts';

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** Where the step began. */
interface Origin {
  readonly file: string;
  readonly line: number;
  readonly functionStart: bigint | undefined;
}

type Decision =
  | { readonly kind: 'stop' }
  | { readonly kind: 'step'; readonly range: Range; readonly over: boolean; readonly last?: boolean }
  | { readonly kind: 'return'; readonly to: bigint; readonly stackAbove: bigint };

const STOP: Decision = { kind: 'stop' };

export class LineStep implements StepPlan {
  pauseRequested = false;
  readonly #state: SessionState;
  readonly #target: VmTarget;
  readonly #cpu: number;
  readonly #over: boolean;
  readonly #origin: Origin;
  /** What is being stepped through, or was last. */
  #range: Range;
  /** Where the last piece began: a breakpoint there has been hit already, and is not again after a fault's handler has returned. */
  #from: bigint;
  #ownBreakpointId = -1;
  /** The next stop is the end, whatever is there. */
  #last = false;

  private constructor(
    state: SessionState,
    cpu: number,
    over: boolean,
    pc: bigint,
    origin: Origin,
    range: Range,
  ) {
    this.#state = state;
    this.#target = state.requireTarget();
    this.#cpu = cpu;
    this.#over = over;
    this.#from = pc;
    this.#origin = origin;
    this.#range = range;
  }

  /** `undefined` in code without line information, where a step is one instruction. */
  static async prepare(state: SessionState, cpu: number, over: boolean): Promise<LineStep | undefined> {
    const pc = linearPc(await state.requireTarget().readRegisters(cpu));
    const line = state.symbols.lineAt(pc);
    const range = state.symbols.statementRange(pc);
    if (line === undefined || range === undefined) return undefined;
    const functionStart = state.symbols.functionAt(pc)?.start;
    const origin = { file: line.row.file, line: line.row.line, functionStart };
    return new LineStep(state, cpu, over, pc, origin, range);
  }

  start(): Promise<void> {
    return this.#step(this.#range, this.#over);
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
    if (shown.reason !== 'step' || event.cpu !== this.#cpu || this.#last)
      return emitStopped(this.#state, shown);
    try {
      const decision = await this.#decide();
      if (!this.#isCurrent()) return;
      if (this.pauseRequested) return emitStopped(this.#state, { ...shown, reason: 'pause' });
      if (decision.kind === 'stop') return emitStopped(this.#state, shown);
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

  /** A restart or disconnect may have taken the VM from us while we waited for an answer. */
  #isCurrent(): boolean {
    return this.#state.plan === this;
  }

  #step(range: Range, over: boolean): Promise<void> {
    this.#range = range;
    return this.#target.step(this.#cpu, { range, over, interrupts: this.#state.options.stepInterrupts });
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
    const { symbols } = this.#state;
    const registers = await this.#target.readRegisters(this.#cpu);
    const pc = linearPc(registers);
    const functionStart = symbols.functionAt(pc)?.start;
    if (this.#over && functionStart !== this.#origin.functionStart) {
      // `next` goes over the handler of a fault or an interrupt as over a call; `stepIn` is how to look into it.
      const interrupted = await interruptedPc(
        registers,
        (address, lengthBytes) => this.#read(address, lengthBytes),
        this.#range,
      );
      if (interrupted !== undefined)
        return { kind: 'return', to: interrupted, stackAbove: linearSp(registers) };
    }
    const found = symbols.lineAt(pc);
    const range = symbols.statementRange(pc);
    if (found === undefined || range === undefined) return this.#calledCode(pc, registers);
    if (functionStart === pc && !this.#over) {
      const end = symbols.prologueEnd(pc);
      return end > pc ? { kind: 'step', range: { start: pc, end }, over: true, last: true } : STOP;
    }
    if (functionStart !== this.#origin.functionStart) return STOP; // returned, or jumped away
    const { row } = found;
    const sameLine = row.file === this.#origin.file && row.line === this.#origin.line;
    const midStatement = row.range.start !== pc || !row.isStatement || row.line === 0; // line 0: no line of the source
    return sameLine || midStatement ? { kind: 'step', range, over: this.#over } : STOP;
  }

  /** `stepIn` into a function without lines: let it return. Any other way there (a jump, a return, an interrupt): stop. */
  async #calledCode(pc: bigint, registers: CpuRegisters): Promise<Decision> {
    if (this.#over || this.#state.symbols.codeStart(pc) !== pc) return STOP;
    const sp = linearSp(registers);
    const word = await this.#read(sp, codeBits(registers.mode) / 8);
    if (word === undefined) return STOP;
    const returnTo = word.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
    const caller = this.#state.symbols.functionAt(returnTo)?.start;
    if (caller === undefined || caller !== this.#origin.functionStart) return STOP;
    return { kind: 'return', to: returnTo, stackAbove: sp };
  }

  async #read(address: bigint, lengthBytes: number): Promise<Uint8Array | undefined> {
    const { data, unreadableBytes } = await this.#target.readMemory({ address, cpu: this.#cpu }, lengthBytes);
    return unreadableBytes === 0 ? data : undefined;
  }
}
