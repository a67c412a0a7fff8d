/**
 * A client of the VM, as the core sees it: who it is and what it is told. Each protocol that a debugger or a
 * tool speaks implements this; the client's requests go through its Session. All calls come on the main
 * thread, in the order of events. None of them throws or waits, because the other clients are told after it.
 */
import type { Change } from '../protocol/changes.ts';
import type { StopEvent } from '../protocol/run.ts';
import type { SerialData } from '../protocol/serial.ts';
import type { VmEnd } from '../protocol/vm.ts';

/** The object itself is the token that owns its breakpoints and its VM. */
export interface Client {
  /** For the log. */
  readonly name: string;
  /** While one is connected, a VM that cannot go on stops for inspection; otherwise it ends. */
  readonly isDebugger: boolean;
  /** Every vCPU has stopped. `breakpointIds` are this client's own. */
  onStopped(event: StopEvent): void;
  /** Not called for the instant a step takes. */
  onResumed(): void;
  /** Back at the first instruction. At most ten times a second, and before anything that happens after it. */
  onReset(message: string): void;
  /** Another client has written registers or memory. */
  onChanged(change: Change): void;
  /** The host fails the guest, which runs on. `message` is a sentence for the user. */
  onTrouble(message: string): void;
  /** The VM is over. Once. */
  onEnded(end: VmEnd): void;
}

/** Reads the output of serial ports. Not every client does. */
export interface SerialReader {
  /** For the log. */
  readonly name: string;
  /** Bytes given to it and not read yet. */
  readonly unreadBytes: number;
  onSerialOutput(output: SerialData): void;
  /** Resolves when it has read everything, or is gone. */
  drained(): Promise<void>;
}
