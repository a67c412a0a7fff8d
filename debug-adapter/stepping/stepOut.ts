/** Runs until the current function has returned into its caller. */
import type { StopEvent } from '../../vmm-core/protocol/run.ts';
import { STOP } from '../../vmm-core/protocol/stopCause.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import type { SessionState, UserStep } from '../session/sessionState.ts';
import { emitStopped } from '../session/vmEvents.ts';
import { framesOf } from '../session/frames.ts';

export class StepOut implements UserStep {
  pauseRequested = false;
  readonly #state: SessionState;
  readonly #breakpointId: number;

  private constructor(state: SessionState, breakpointId: number) {
    this.#state = state;
    this.#breakpointId = breakpointId;
  }

  /** Arms the breakpoint at the return address. */
  static async prepare(state: SessionState, cpu: number): Promise<StepOut> {
    const [, caller] = await framesOf(state, cpu, 2);
    if (caller === undefined) {
      throw new UserError(
        USER_ERROR.unsupported,
        `vCPU${cpu} is in code with no known caller: step by instruction instead`,
      );
    }
    const id = await state.breakpoints.addTemporary({
      address: caller.pc,
      cpu,
      ...(caller.returnSlot === undefined ? {} : { stackAbove: caller.returnSlot }),
    });
    return new StepOut(state, id);
  }

  start(): Promise<void> {
    return this.#state.requireTarget().resume();
  }

  onStopped(event: StopEvent): void {
    emitStopped(this.#state, asStep(event, this.#breakpointId));
  }
}

/** A stop at our own breakpoint, and at no other, ends the step. */
export function asStep(event: StopEvent, ownBreakpointId: number): StopEvent {
  const ids = event.breakpointIds.filter((it) => it !== ownBreakpointId);
  const own = event.cause.kind === STOP.breakpoint && ids.length === 0 && event.breakpointIds.length > 0;
  return { ...event, cause: own ? { kind: STOP.step } : event.cause, breakpointIds: ids };
}
