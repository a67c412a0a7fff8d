/** Running, pausing and stepping. A step by line is a StepPlan (lineStep.ts); everything else is one request to the VM. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { RequestCall } from '../dapConnection.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import type { SessionState } from '../sessionState.ts';
import { LineStep } from './lineStep.ts';
import { StepOut } from './stepOut.ts';

export async function continueVm(
  state: SessionState,
  _args: DebugProtocol.ContinueArguments,
  call: RequestCall,
): Promise<DebugProtocol.ContinueResponse['body']> {
  const target = state.requireTarget();
  state.holdStops(call);
  if (target.state !== 'running') {
    markRunning(state);
    await target.resume();
  }
  return { allThreadsContinued: true };
}

export async function pause(state: SessionState): Promise<void> {
  const { plan } = state;
  // Between two pieces of a step the VM stands, and would not hear `pause`: the plan does.
  if (plan !== undefined) plan.pauseRequested = true;
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
  state.holdStops(call);
  if (args.granularity !== 'instruction') {
    const plan = await LineStep.prepare(state, cpu, over);
    if (plan !== undefined) {
      markRunning(state);
      state.plan = plan;
      return plan.start();
    }
  }
  markRunning(state);
  await state.requireTarget().step(cpu, { over, interrupts: state.options.stepInterrupts });
}

export async function stepOut(
  state: SessionState,
  args: DebugProtocol.StepOutArguments,
  call: RequestCall,
): Promise<void> {
  const cpu = requireStopped(state, args.threadId);
  state.holdStops(call);
  const plan = await StepOut.prepare(state, cpu);
  markRunning(state);
  state.plan = plan;
  await state.requireTarget().resume();
}

function requireStopped(state: SessionState, threadId: number): number {
  const cpu = state.cpuOf(threadId);
  if (state.requireTarget().state !== 'paused') {
    throw new UserError(USER_ERROR.vmRunning, 'the VM is running: pause it before stepping');
  }
  return cpu;
}

function markRunning(state: SessionState): void {
  state.forgetStop();
  state.wasRunning = true;
}
