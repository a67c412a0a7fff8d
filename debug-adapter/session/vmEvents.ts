/**
 * What the VM reports, as DAP events. A stop is shown only when it concerns the user: steps in several pieces
 * handle their own.
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { CoreProcess } from '../../vmm-core/client/spawnCore.ts';
import type { Change } from '../../vmm-core/protocol/changes.ts';
import type { StopEvent } from '../../vmm-core/protocol/run.ts';
import { isFatal, type ShownCause, STOP } from '../../vmm-core/protocol/stopCause.ts';
import type { VmEnd } from '../../vmm-core/protocol/vm.ts';
import { messageOf } from '../errors.ts';
import type { SessionState } from './sessionState.ts';
import type { BreakpointKind } from './sessionBreakpoints.ts';
import type { VmTarget } from '../target/vmTarget.ts';
import { isFollowed } from './phase.ts';
import { checkBuilds } from './buildCheck.ts';
import { reloadSymbols } from './symbolFiles.ts';
import { memoryChanged, registersChanged } from './invalidation.ts';

/** DAP's word for a stop, and what the editor writes beside the thread. */
const STOP_TEXTS: Readonly<
  Record<ShownCause['kind'], { readonly reason: string; readonly description: string }>
> = {
  [STOP.entry]: { reason: 'entry', description: 'Paused at the first instruction' },
  [STOP.pause]: { reason: 'pause', description: 'Paused' },
  [STOP.step]: { reason: 'step', description: 'Paused after step' },
  [STOP.breakpoint]: { reason: 'breakpoint', description: 'Paused on breakpoint' },
  [STOP.tripleFault]: { reason: 'exception', description: 'Triple fault' },
  [STOP.failure]: { reason: 'exception', description: 'The VM cannot continue' },
};

const BREAKPOINT_REASONS: Readonly<Record<BreakpointKind, string>> = {
  source: 'breakpoint',
  function: 'function breakpoint',
  instruction: 'instruction breakpoint',
};

/** How long a dying process may take to report how it died. */
const EXIT_TIMEOUT_MS = 2000;

export function followTarget(state: SessionState, target: VmTarget): void {
  target.on('stopped', (event) => onStopped(state, event));
  target.on('resumed', () => onResumed(state));
  target.on('changed', (change) => onChanged(state, change));
  target.on('reset', (message) => void onReset(state, message));
  target.on('trouble', (message) => onTrouble(state, message));
  target.on('ended', (end) => onEnded(state, end));
  target.on('closed', () => void onClosed(state, target));
}

function onStopped(state: SessionState, event: StopEvent): void {
  state.renewStop(event);
  if (state.step !== undefined) state.step.onStopped(event);
  else if (isFollowed(state.phase)) emitStopped(state, event);
}

/** Also called by steps, with the stop they end in. */
export function emitStopped(state: SessionState, event: StopEvent): void {
  if (!state.enter('stopped')) return;
  const hits = state.breakpoints.hits(event.breakpointIds);
  const { reason, description } = STOP_TEXTS[event.cause.kind];
  const kind = event.cause.kind === STOP.breakpoint ? hits[0]?.kind : undefined;
  const body: DebugProtocol.StoppedEvent['body'] = {
    reason: kind === undefined ? reason : BREAKPOINT_REASONS[kind],
    description: event.message ?? description,
    ...(event.message === undefined ? {} : { text: event.message }),
    threadId: event.cpu + 1,
    allThreadsStopped: true,
    ...(hits.length === 0 ? {} : { hitBreakpointIds: hits.map((it) => it.id) }),
  };
  state.heldStops.whenReleased(() => {
    if (!isFollowed(state.phase)) return;
    if (isFatal(event.cause.kind)) reportFailure(state, event);
    state.send('stopped', body);
    void checkBuilds(state, event.cpu);
  });
}

/** The editor's exception box is small and closes: what happened also goes to the console, and stays. */
function reportFailure(state: SessionState, event: StopEvent): void {
  const { message, details } = event;
  if (message !== undefined) state.output(message, 'important');
  if (details !== undefined) state.output(details, 'stderr');
}

/** Our own requests enter their phase before they are sent: anything else was another client's doing. */
function onResumed(state: SessionState): void {
  state.renewStop();
  if (state.phase !== 'stopped' || !state.enter('running')) return;
  state.send('continued', { threadId: state.currentCpu + 1, allThreadsContinued: true });
}

/** By another debugger of the same VM. */
function onChanged(state: SessionState, change: Change): void {
  if (!isFollowed(state.phase)) return;
  if (change.kind === 'registers') return registersChanged(state, change.cpu, change.names);
  const { address, physical, lengthBytes } = change;
  memoryChanged(state, physical === true ? `phys:${address}` : address, 0, lengthBytes);
}

/**
 * By the guest or by another client; our own `restart` is quiet. A rebuilt image was loaded along the way.
 */
async function onReset(state: SessionState, message: string): Promise<void> {
  if (!isFollowed(state.phase)) return;
  state.output(message);
  try {
    await reloadSymbols(state);
  } catch (error) {
    state.log('warn', 'reset', messageOf(error)); // the VM is gone meanwhile
  }
}

/**
 * Editors show what is important beside the console as well. VS Code does in a notification of one line,
 * which ends before it comes to what can be done: our extension has a better one.
 */
function onTrouble(state: SessionState, message: string): void {
  if (state.phase === 'ended') return;
  const { showsTrouble } = state.settings;
  state.output(message, showsTrouble ? 'stderr' : 'important');
  if (showsTrouble) state.send('vmm.trouble', { message });
}

function onEnded(state: SessionState, end: VmEnd): void {
  clearTimeout(state.powerTimer);
  if (state.phase === 'ended') return;
  if (state.phase !== 'ending') state.output(end.message, isFatal(end.kind) ? 'important' : 'console');
  endSession(state, end.exitCode);
}

/** After `ended` this says nothing new; without it the process died under us. */
async function onClosed(state: SessionState, target: VmTarget): Promise<void> {
  clearTimeout(state.powerTimer);
  state.breakpoints.detach();
  if (state.phase === 'ended') return;
  const { launched = false, core } = state.vm ?? {};
  // A client that gave us a process it started sees how it died, and tells the user.
  const category = launched && core === undefined ? 'console' : 'important';
  if (state.phase !== 'ending') state.output(await describeDeath(target, core), category);
  endSession(state);
}

async function describeDeath(target: VmTarget, core: CoreProcess | undefined): Promise<string> {
  const { pid } = target.info;
  if (core === undefined) return `the VM process (pid ${pid}) was killed or crashed`;
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>(
    (resolve) => (timer = setTimeout(resolve, EXIT_TIMEOUT_MS, undefined)),
  );
  const exit = await Promise.race([core.exited, timeout]);
  clearTimeout(timer);
  if (exit === undefined) return `the VM process (pid ${pid}) closed its control socket`;
  if (exit.signal !== null) return `the VM process was killed (${exit.signal})`;
  return `the VM process ended unexpectedly with exit code ${exit.code}: ${exit.stderrTail || 'it gave no reason'}`;
}

/** `exited` when the guest had an exit code, and `terminated`: once, whichever event comes first. */
export function endSession(state: SessionState, exitCode?: number): void {
  if (!state.enter('ended')) return;
  state.symbols.close();
  if (state.vm === undefined) return;
  state.heldStops.whenReleased(() => {
    if (exitCode !== undefined) state.send('exited', { exitCode });
    state.send('terminated');
  });
}
