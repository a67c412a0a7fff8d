/**
 * Where a debug session is, as its editor was told, and where it may go from there. What the VM does reaches
 * the user in the phases `stopped`, `running` and `stepping` alone: before them breakpoints are still being
 * set, and during a restart and at the end the VM's stops are the adapter's own doing.
 */

export type Phase =
  /** The editor is there and has said nothing yet. */
  | 'connected'
  /** `initialize` was answered; no VM yet. */
  | 'idle'
  /** A VM is there, and the editor sets breakpoints until `configurationDone`. */
  | 'configuring'
  /** The editor shows a stop. */
  | 'stopped'
  /** The editor was told, or has asked, that the VM runs. */
  | 'running'
  /** So it was, but the VM runs in several pieces: its stops are a UserStep's first. */
  | 'stepping'
  /** The VM is paused and reset. */
  | 'restarting'
  /** We end the VM or let go of it: what it reports needs no message. */
  | 'ending'
  /** `terminated` was sent, if there was anything to terminate. */
  | 'ended';

const TRANSITIONS: Readonly<Record<Phase, readonly Phase[]>> = {
  connected: ['idle', 'ended'],
  idle: ['configuring', 'ended'],
  configuring: ['stopped', 'running', 'restarting', 'ending', 'ended'],
  // Another stop may follow at once: into an inlined copy, or after another client's step.
  stopped: ['stopped', 'running', 'stepping', 'restarting', 'ending', 'ended'],
  // The VM may refuse to run: what was asked for then is asked for again.
  running: ['stopped', 'running', 'stepping', 'restarting', 'ending', 'ended'],
  // Between two pieces the VM stands, and whatever needs a paused VM may be asked for.
  stepping: ['stopped', 'running', 'stepping', 'restarting', 'ending', 'ended'],
  restarting: ['stopped', 'running', 'ending', 'ended'],
  ending: ['ended'],
  ended: [],
};

const FOLLOWED: readonly Phase[] = ['stopped', 'running', 'stepping'];

export function mayFollow(phase: Phase, next: Phase): boolean {
  return TRANSITIONS[phase].includes(next);
}

/** Whether what the VM does is told to the user. */
export function isFollowed(phase: Phase): boolean {
  return FOLLOWED.includes(phase);
}
