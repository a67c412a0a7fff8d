/** `launch`, `attach` and `configurationDone`: how the session gets its VM, and starts to debug it. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { serialLines } from '../../vmm-core/config/serialLines.ts';
import type { SymbolFile } from '../../vmm-core/config/settings/debug.ts';
import { type ShownCause, STOP } from '../../vmm-core/protocol/stopCause.ts';
import type { Fields } from '../argumentDecoders.ts';
import type { RequestCall } from '../dapConnection.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import {
  type AttachArguments,
  type DebugSettings,
  parseAttachArguments,
  parseLaunchArguments,
} from '../launchArguments.ts';
import type { SessionState, SessionVm } from '../session/sessionState.ts';
import { announceBreakpoints, loadSymbols } from '../session/symbolFiles.ts';
import { emitStopped, followTarget } from '../session/vmEvents.ts';
import { attachVm, createVm } from '../target/connectVm.ts';
import { linearPc } from '../target/registers.ts';
import { hex, type VmTarget } from '../target/vmTarget.ts';

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

/**
 * The core knows the kernel of a running VM; it may have been started elsewhere, and its file be gone by now.
 */
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
  const lines = config === undefined ? [] : serialLines(config);
  const serial = lines.map(({ port, target: backend }) => ({ port, ...backend }));
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

/** The VM is stopped, since before the editor could be told. */
async function showStop(state: SessionState, target: VmTarget, cause: ShownCause): Promise<void> {
  const { event } = state.stop;
  const cpu = event?.cpu ?? 0;
  const pc = event?.pc ?? hex(linearPc(await target.readRegisters(cpu)));
  emitStopped(state, { breakpointIds: [], ...event, cause, cpu, pc });
}
