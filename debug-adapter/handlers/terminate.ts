/** `terminate` and `disconnect`: how a VM leaves the session, or ends with it. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { RequestCall } from '../dapConnection.ts';
import { messageOf } from '../errors.ts';
import type { SessionState } from '../session/sessionState.ts';
import { endSession } from '../session/vmEvents.ts';
import type { VmTarget } from '../target/vmTarget.ts';

/** Time a guest has to react to its power button before it is killed. */
const POWER_OFF_GRACE_MS = 5000;
/**
 * How long a VM has to end, or to let us detach, before we stop waiting: its process may itself be stopped.
 */
const GONE_TIMEOUT_MS = 3000;

/**
 * First the power button, so that the guest can shut down; then, or when it cannot react, the VM is killed.
 */
export async function terminate(state: SessionState): Promise<void> {
  const target = state.requireTarget();
  if (target.state === 'ended') return;
  const again = state.powerTimer !== undefined;
  clearTimeout(state.powerTimer);
  const end = (): Promise<void> => {
    state.enter('ending');
    return target.kill();
  };
  if (again || target.state === 'paused') return end();
  state.powerTimer = setTimeout(() => {
    state.output('the guest did not react to its power button: the VM was ended');
    void end();
  }, POWER_OFF_GRACE_MS);
  // A guest that ignores the button (most small kernels) is not worth the wait.
  await target.powerButton().catch(end);
}

export async function disconnect(
  state: SessionState,
  args: DebugProtocol.DisconnectArguments,
  call: RequestCall,
): Promise<void> {
  call.after(() => state.finish());
  await leave(state, {
    kill: args.terminateDebuggee ?? endsVm(state),
    suspend: args.suspendDebuggee === true,
  });
}

/** The editor is gone without a word (stdin ended): like `disconnect` with its defaults. */
export async function editorGone(state: SessionState): Promise<void> {
  await leave(state, { kill: endsVm(state), suspend: false });
}

/** Unless told otherwise, the VM ends with the session that launched it. */
function endsVm({ vm }: SessionState): boolean {
  return vm?.launched === true;
}

/** Once: a client that closes stdin right after `disconnect` must not change what that asked for. */
function leave(state: SessionState, how: { kill: boolean; suspend: boolean }): Promise<void> {
  state.left ??= leaveNow(state, how);
  return state.left;
}

async function leaveNow(state: SessionState, how: { kill: boolean; suspend: boolean }): Promise<void> {
  clearTimeout(state.powerTimer);
  state.enter('ending');
  const { target, core } = state.vm ?? {};
  if (target !== undefined && !target.closed) {
    try {
      await (how.kill ? killVm(state, target) : within(GONE_TIMEOUT_MS, letGo(state, target, how.suspend)));
    } catch (error) {
      // It is gone: nothing is left to do there.
      state.log('warn', 'leave', messageOf(error));
    }
    target.dispose();
  }
  // A core that never got its VM ends by itself when we let go of its stdin.
  core?.process.stdin?.destroy();
  core?.process.unref();
  endSession(state);
}

async function killVm(state: SessionState, target: VmTarget): Promise<void> {
  const gone = new Promise<void>((resolve) => target.once('closed', resolve));
  await within(GONE_TIMEOUT_MS, target.kill());
  await within(GONE_TIMEOUT_MS, gone);
  if (!target.closed) state.vm?.core?.process.kill('SIGKILL');
}

/** Leaves a VM as if we had never been there: no breakpoints, running unless told otherwise. */
async function letGo(state: SessionState, target: VmTarget, suspend: boolean): Promise<void> {
  state.breakpoints.detach();
  if (target.state === 'ended') return;
  if (suspend) await target.pause();
  await target.setBreakpoints([]);
  if (!suspend && target.state === 'paused') await target.resume();
  if (endsVm(state)) await target.detach();
}

async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)));
  try {
    await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
