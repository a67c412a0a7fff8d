/** From `initialize` to `disconnect`: how a VM comes into the session and how it leaves. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { type ShownCause, STOP } from '../../vmm-core/protocol/stopCause.ts';
import type { Fields } from '../argumentDecoders.ts';
import type { RequestCall } from '../dapConnection.ts';
import { messageOf, USER_ERROR, UserError } from '../errors.ts';
import {
  type AttachArguments,
  changedVmKeys,
  type DebugSettings,
  type LaunchArguments,
  parseAttachArguments,
  parseLaunchArguments,
} from '../launchArguments.ts';
import type { ClientDescription, RequestArguments } from '../requestArguments.ts';
import type { SessionState, SessionVm } from '../session/sessionState.ts';
import { attachVm, createVm } from '../target/connectVm.ts';
import type { SymbolFile } from '../../vmm-core/config/settings/debug.ts';
import { linearPc } from '../target/registers.ts';
import { hex, type VmTarget } from '../target/vmTarget.ts';
import { CAPABILITIES } from './capabilities.ts';
import { emitStopped, endSession, followTarget } from '../session/vmEvents.ts';
import { announceBreakpoints, loadSymbols, reloadSymbols } from '../session/symbolFiles.ts';

/** Time a guest has to react to its power button before it is killed. */
const POWER_OFF_GRACE_MS = 5000;
/** Time a VM has to be gone, or to be rid of us, before we stop waiting: its process may be stopped itself. */
const GONE_TIMEOUT_MS = 3000;

export function initialize(state: SessionState, args: ClientDescription): DebugProtocol.Capabilities {
  state.client = args;
  state.enter('idle');
  return CAPABILITIES;
}

export async function launch(state: SessionState, raw: Fields, call: RequestCall): Promise<void> {
  requireNoVm(state);
  const args = parseLaunchArguments(raw);
  const { target, core, socket } = await createVm(args, state);
  await begin(state, { target, core, launched: true }, args, call);
  announceVm(state, target, socket, 'launch');
}

export async function attach(state: SessionState, raw: Fields, call: RequestCall): Promise<void> {
  requireNoVm(state);
  const args = parseAttachArguments(raw);
  const { target, socket, chosen } = await attachVm(args);
  if (chosen !== undefined) state.output(`attached to ${chosen}, the only VM that is running`);
  const settings = { ...args, symbolFiles: attachedSymbolFiles(args, target) };
  await begin(state, { target, launched: false }, settings, call);
  announceVm(state, target, socket, 'attach');
}

function requireNoVm(state: SessionState): void {
  if (state.vm !== undefined) {
    throw new UserError(USER_ERROR.request, 'this session already debugs a VM');
  }
}

/** The kernel of a running VM is known to its core; it may have been started elsewhere and be gone by now. */
function attachedSymbolFiles(args: AttachArguments, target: VmTarget): SymbolFile[] {
  const kernel = args.kernel ?? target.info.config?.kernel;
  return [...(kernel === undefined ? [] : [{ path: kernel, offset: 0n }]), ...args.symbolFiles];
}

async function begin(
  state: SessionState,
  vm: SessionVm,
  settings: DebugSettings,
  call: RequestCall,
): Promise<void> {
  state.begin(vm, settings);
  loadSymbols(state, settings.symbolFiles);
  state.enter('configuring');
  state.breakpoints.attach(vm.target, settings.breakpointMode);
  followTarget(state, vm.target);
  await announceBreakpoints(state); // set before the launch: they were pending
  call.after(() => state.send('initialized'));
}

/** `vmm.started`: what the extension needs to open the serial terminals. */
function announceVm(
  state: SessionState,
  target: VmTarget,
  socket: string,
  startMethod: 'launch' | 'attach',
): void {
  const { config, pid } = target.info;
  const serial = (config?.serial ?? []).map((backend, port) => ({ port, ...backend }));
  state.send('vmm.started', { socket, name: config?.name, pid, serial });
  state.send('process', { name: config?.kernel ?? 'VM', systemProcessId: pid, startMethod, pointerSize: 64 });
}

/** Breakpoints are in place: the guest may run. */
export async function configurationDone(
  state: SessionState,
  _args: DebugProtocol.ConfigurationDoneArguments,
  call: RequestCall,
): Promise<void> {
  const { target, launched } = state.requireVm();
  const { stopOnEntry } = state.settings;
  state.heldStops.hold(call);
  const isStopped = launched ? stopOnEntry : target.state !== 'running';
  state.enter(isStopped ? 'stopped' : 'running');
  for (let cpu = 0; cpu < target.cpuCount; cpu++) {
    state.send('thread', { reason: 'started', threadId: cpu + 1 });
  }
  if (launched) {
    if (stopOnEntry) await showStop(state, target, { kind: STOP.entry });
    else await target.resume();
    return;
  }
  if (target.state === 'paused') await showStop(state, target, { kind: STOP.pause });
  else if (stopOnEntry) await target.pause();
}

/** The VM stands, and the stop was before the editor could be told. */
async function showStop(state: SessionState, target: VmTarget, cause: ShownCause): Promise<void> {
  const { event } = state.stop;
  const cpu = event?.cpu ?? 0;
  const pc = event?.pc ?? hex(linearPc(await target.readRegisters(cpu)));
  emitStopped(state, { breakpointIds: [], ...event, cause, cpu, pc });
}

/** A VM reset. Session, breakpoints and, unless the kernel was rebuilt, symbols stay. */
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

/** First the power button, so that the guest can shut down; then, or when it cannot react, the end. */
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
  // A guest that does not listen to the button (most small kernels) is not worth the wait.
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

/** The editor is gone without a word (stdin ended): as `disconnect` with its defaults. */
export async function editorGone(state: SessionState): Promise<void> {
  await leave(state, { kill: endsVm(state), suspend: false });
}

/** Without a word to the contrary, the VM ends with the session that launched it. */
function endsVm({ vm }: SessionState): boolean {
  return vm?.launched === true;
}

/** Once: a client that closes stdin right behind `disconnect` must not change what that asked for. */
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
      state.log('warn', 'leave', messageOf(error)); // it is gone: what was to be done there needs doing no more
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

/** Leaves a VM behind as if we had never been there: no breakpoints, running unless told otherwise. */
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
