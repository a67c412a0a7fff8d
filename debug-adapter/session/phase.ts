/**
 * Where a debug session is, as its editor was told, and where it may go from there. What the VM does reaches
 * the user only in the phases `stopped`, `running` and `stepping`: before them breakpoints are still being
 * set, and during a restart and at the end the VM's stops are the adapter's own doing.
 */

export type Phase =
  /** The editor is connected and has said nothing yet. */
  | 'connected'
  /** `initialize` was answered; no VM yet. */
  | 'idle'
  /** There is a VM, and the editor sets breakpoints until `configurationDone`. */
  | 'configuring'
  /** The editor shows a stop. */
  | 'stopped'
  /** The editor was told, or has asked, that the VM runs. */
  | 'running'
  /** Like `running`, but the VM runs in several pieces: its stops go to a UserStep first. */
  | 'stepping'
  /** The VM is paused and reset. */
  | 'restarting'
  /** We end the VM or detach from it: what it reports needs no message. */
  | 'ending'
  /** `terminated` was sent, if there was anything to terminate. */
  | 'ended';

const TRANSITIONS: Readonly<Record<Phase, readonly Phase[]>> = {
  connected: ['idle', 'ended'],
  idle: ['configuring', 'ended'],
  configuring: ['stopped', 'running', 'restarting', 'ending', 'ended'],
  // Another stop may follow at once: into an inlined copy, or after another client's step.
  stopped: ['stopped', 'running', 'stepping', 'restarting', 'ending', 'ended'],
  // The VM may refuse to run: the client may then ask for the same again.
  running: ['stopped', 'running', 'stepping', 'restarting', 'ending', 'ended'],
  // Between two pieces the VM is stopped, and whatever needs a paused VM may be asked for.
  stepping: ['stopped', 'running', 'stepping', 'restarting', 'ending', 'ended'],
  restarting: ['stopped', 'running', 'ending', 'ended'],
  ending: ['ended'],
  ended: [],
};

const FOLLOWED: readonly Phase[] = ['stopped', 'running', 'stepping'];

export function mayFollow(phase: Phase, next: Phase): boolean {
  return TRANSITIONS[phase].includes(next);
}

/** Whether what the VM does is reported to the user. */
export function isFollowed(phase: Phase): boolean {
  return FOLLOWED.includes(phase);
}
