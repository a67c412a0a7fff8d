/**
 * Devices' power events, as causes that stop the vCPU accessing them. Each thread that runs vCPUs makes its
 * own.
 */
import type { GuestPower } from '../devices/guestPower.ts';
import { type PowerCause, STOP } from '../protocol/stopCause.ts';

export function guestPower(
  raise: (cause: PowerCause) => void,
  panic: (event: 'panicked' | 'crash-loaded') => void,
): GuestPower {
  return {
    powerOff: () => raise({ kind: STOP.powerOff }),
    reset: (by) => raise({ kind: STOP.reset, by }),
    debugExit: (code) => raise({ kind: STOP.debugExit, code }),
    panic,
  };
}
