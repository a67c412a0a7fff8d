/** `restart`: a reset of the same VM. */
import { STOP } from '../../vmm-core/protocol/stopCause.ts';
import type { Fields } from '../argumentDecoders.ts';
import type { RequestCall } from '../dapConnection.ts';
import {
  changedVmKeys,
  type LaunchArguments,
  parseAttachArguments,
  parseLaunchArguments,
} from '../launchArguments.ts';
import type { RequestArguments } from '../requestArguments.ts';
import type { SessionState } from '../session/sessionState.ts';
import { reloadSymbols } from '../session/symbolFiles.ts';
import { emitStopped } from '../session/vmEvents.ts';
import type { VmTarget } from '../target/vmTarget.ts';

/** Session, breakpoints and, unless the kernel was rebuilt, symbols stay. */
export async function restart(
  state: SessionState,
  args: RequestArguments['restart'],
  call: RequestCall,
): Promise<void> {
  const target = state.requireTarget();
  if (args.arguments !== undefined) adoptChanges(state, target, args.arguments);
  const wasStopped = target.state === 'paused';
  state.heldStops.hold(call);
  state.enter('restarting');
  try {
    await target.pause();
    await target.reset();
    await reloadSymbols(state);
  } catch (error) {
    state.enter(target.state === 'running' ? 'running' : 'stopped');
    throw error;
  }
  state.renewStop();
  if (state.settings.stopOnEntry) {
    const pc = target.info.entry ?? '0x0';
    emitStopped(state, { cause: { kind: STOP.entry }, cpu: 0, pc, breakpointIds: [] });
    return;
  }
  state.enter('running');
  await target.resume();
  if (wasStopped) call.after(() => state.send('continued', { threadId: 1, allThreadsContinued: true }));
}

/** VS Code sends the configuration again when launch.json changed. The VM itself stays what it was. */
function adoptChanges(state: SessionState, target: VmTarget, input: Fields): void {
  if (state.vm?.launched !== true) return state.adopt(parseAttachArguments(input));
  const args: LaunchArguments = parseLaunchArguments(input);
  state.adopt(args);
  const before = target.info.config;
  const changed = before === undefined ? [] : changedVmKeys(before, args.config);
  if (changed.length > 0) {
    state.output(
      `restart resets the same VM: the changed ${changed.join(', ')} take effect at the next launch`,
    );
  }
}
