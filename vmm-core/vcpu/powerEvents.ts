/** What devices tell of power, as events that stop the vCPU which is touching them. Each thread that runs vCPUs makes its own. */
import type { GuestPower } from '../devices/guestPower.ts';
import type { PowerEvent } from './messages.ts';

export function guestPower(
  raise: (event: PowerEvent) => void,
  panic: (event: 'panicked' | 'crash-loaded') => void,
): GuestPower {
  return {
    powerOff: () => raise({ kind: 'powerOff' }),
    reset: (by) => raise({ kind: 'reset', by }),
    debugExit: (code) => raise({ kind: 'debugExit', code }),
    panic,
  };
}
