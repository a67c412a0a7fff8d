/** How VMs end: what the user is told, and what `vmm run` exits with. */
import type { FailureReport } from './debug/failureReport.ts';
import { type FatalCause, type PowerCause, STOP } from './protocol/stopCause.ts';
import type { VmEnd } from './protocol/vm.ts';

const EXIT_KILLED = 1;
const EXIT_HOST_ERROR = 1;
const EXIT_TRIPLE_FAULT = 3;

/**
 * Ended by the guest itself. A reset ends the VM only if the user wants that; its message is used either
 * way.
 */
export function endByGuest(cause: PowerCause): VmEnd {
  switch (cause.kind) {
    case STOP.powerOff:
      return { kind: cause.kind, exitCode: 0, message: 'the guest powered off' };
    case STOP.reset:
      return { kind: cause.kind, exitCode: 0, message: `the guest reset the machine (${cause.by})` };
    case STOP.debugExit: {
      const { kind, code } = cause;
      return {
        kind,
        exitCode: code,
        message: `the guest ended through isa-debug-exit with exit code ${code}`,
      };
    }
  }
}

export function endByFailure({ kind }: FatalCause, report: FailureReport): VmEnd {
  return { kind, exitCode: kind === STOP.tripleFault ? EXIT_TRIPLE_FAULT : EXIT_HOST_ERROR, ...report };
}

/** After a reset. */
export function endWithoutImage(error: unknown): VmEnd {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `the machine was reset, and its image cannot be loaded again: ${reason}`;
  return { kind: STOP.failure, exitCode: EXIT_HOST_ERROR, message };
}

/** A thread that is not a vCPU's has died. */
export function endByBug(error: Error): VmEnd {
  return { kind: STOP.failure, exitCode: EXIT_HOST_ERROR, message: `internal error in ${error.message}` };
}

/** By a client, or because its owner is gone. */
export function endByKill(message: string): VmEnd {
  return { kind: 'killed', exitCode: EXIT_KILLED, message };
}
