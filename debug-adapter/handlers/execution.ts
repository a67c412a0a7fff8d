/**
 * Running, pausing and stepping. A step by line is a UserStep (stepping/lineStep.ts); everything else is one
 * request to the VM.
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { StopEvent } from '../../vmm-core/protocol/run.ts';
import { STOP } from '../../vmm-core/protocol/stopCause.ts';
import type { RequestCall } from '../dapConnection.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import type { SessionState, UserStep } from '../session/sessionState.ts';
import { emitStopped } from '../session/vmEvents.ts';
import { LineStep } from '../stepping/lineStep.ts';
import { StepOut } from '../stepping/stepOut.ts';

export async function continueVm(
  state: SessionState,
  _args: DebugProtocol.ContinueArguments,
  call: RequestCall,
): Promise<DebugProtocol.ContinueResponse['body']> {
  const target = state.requireTarget();
  state.heldStops.hold(call);
  if (target.state !== 'running') {
    markRunning(state);
    await target.resume();
  }
  return { allThreadsContinued: true };
}

export async function pause(state: SessionState): Promise<void> {
  // Between two pieces of a step the VM is stopped and would not notice `pause`: the step does.
  if (state.step !== undefined) state.step.pauseRequested = true;
  await state.requireTarget().pause();
}

export async function next(
  state: SessionState,
  args: DebugProtocol.NextArguments,
  call: RequestCall,
): Promise<void> {
  await step(state, args, true, call);
}

export async function stepIn(
  state: SessionState,
  args: DebugProtocol.StepInArguments,
  call: RequestCall,
): Promise<void> {
  await step(state, args, false, call);
}

async function step(
  state: SessionState,
  args: DebugProtocol.NextArguments,
  over: boolean,
  call: RequestCall,
): Promise<void> {
  const cpu = requireStopped(state, args.threadId);
  state.heldStops.hold(call);
  if (args.granularity !== 'instruction') {
    if (!over && enterInlined(state, cpu)) return;
    const lineStep = await LineStep.prepare(state, cpu, over ? 'over' : 'into');
    if (lineStep !== undefined) return carryOut(state, lineStep);
  }
  markRunning(state);
  await state.requireTarget().step(cpu, { over, interrupts: state.settings.stepInterrupts });
}

export async function stepOut(
  state: SessionState,
  args: DebugProtocol.StepOutArguments,
  call: RequestCall,
): Promise<void> {
  const cpu = requireStopped(state, args.threadId);
  state.heldStops.hold(call);
  // An inlined copy has no return to run to, only an end to step to.
  await carryOut(state, (await LineStep.prepare(state, cpu, 'out')) ?? (await StepOut.prepare(state, cpu)));
}

async function carryOut(state: SessionState, userStep: UserStep): Promise<void> {
  state.renewStop();
  state.enterStep(userStep);
  await userStep.start();
}

/** The vCPU is at the call of an inlined copy: to step in, it need not move. */
function enterInlined(state: SessionState, cpu: number): boolean {
  const { event, hiddenFrames } = state.stop;
  const hidden = hiddenFrames.get(cpu) ?? 0;
  if (hidden === 0 || event === undefined) return false;
  const entered: StopEvent = { cause: { kind: STOP.step }, cpu, pc: event.pc, breakpointIds: [] };
  state.renewStop(entered);
  state.stop.hiddenFrames.set(cpu, hidden - 1);
  emitStopped(state, entered);
  return true;
}

function requireStopped(state: SessionState, threadId: number): number {
  const cpu = state.cpuOf(threadId);
  if (state.requireTarget().state !== 'paused') {
    throw new UserError(USER_ERROR.vmRunning, 'the VM is running: pause it before stepping');
  }
  return cpu;
}

function markRunning(state: SessionState): void {
  state.renewStop();
  state.enter('running');
}
