/** pvpanic (QEMU docs/specs/pvpanic): a guest that panics says so. Reading tells which events we understand. */
import type { Device } from '../../bus/device.ts';
import { log } from '../../log.ts';
import type { GuestPower } from '../guestPower.ts';

export const PVPANIC_PANICKED = 1 << 0;
export const PVPANIC_CRASH_LOADED = 1 << 1; // panicked, but a crash kernel takes over: let it run
const CAPABILITIES = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;

export class Pvpanic implements Device {
  readonly name = 'pvpanic';
  readonly accessBytes = 1;
  readonly #power: GuestPower;

  constructor(options: { readonly power: GuestPower }) {
    this.#power = options.power;
  }

  read(): number {
    return CAPABILITIES;
  }

  write(_offset: number, _sizeBytes: number, value: number): void {
    if ((value & ~CAPABILITIES) !== 0)
      log.guest(this.name, 'unknown event', { value: `0x${value.toString(16)}` });
    if ((value & PVPANIC_PANICKED) !== 0) this.#power.panic('panicked');
    else if ((value & PVPANIC_CRASH_LOADED) !== 0) this.#power.panic('crash-loaded');
  }
}
