/**
 * A client of the VM, as the core knows it: who it is and what it is told. Each protocol that a debugger or a
 * tool may speak implements this; what the client asks for goes through its Session. All calls come on the
 * main thread, in the order in which things happened. None of them throws or waits, because the other clients
 * are told after it.
 */
import type { Change } from '../protocol/changes.ts';
import type { StopEvent } from '../protocol/run.ts';
import type { SerialData } from '../protocol/serial.ts';
import type { VmEnd } from '../protocol/vm.ts';

/** The object itself is the token that its breakpoints and its VM are owned by. */
export interface Client {
  /** For the log. */
  readonly name: string;
  /** While one is connected, a VM that cannot go on stops for it to look; otherwise it ends. */
  readonly isDebugger: boolean;
  /** Every vCPU has stopped. `breakpointIds` are this client's own. */
  onStopped(event: StopEvent): void;
  /** Not called for the instant a step takes. */
  onResumed(): void;
  /** Back at the first instruction. Ten times a second at most, and before anything that happens after it. */
  onReset(message: string): void;
  /** Another client has written registers or memory. */
  onChanged(change: Change): void;
  /** The VM is over. Once. */
  onEnded(end: VmEnd): void;
}

/** Who reads the output of serial ports. Not every client does. */
export interface SerialReader {
  /** For the log. */
  readonly name: string;
  /** Given to it, and not read yet. */
  readonly unreadBytes: number;
  onSerialOutput(output: SerialData): void;
  /** Resolves when it has read everything, or is gone. */
  drained(): Promise<void>;
}
