/** QEMU's isa-debug-exit: a write ends the VM with the exit code `(value << 1) | 1`, so never 0. Opt-in. */
import type { Device } from '../../bus/device.ts';
import type { GuestPower } from '../guestPower.ts';

export class IsaDebugExit implements Device {
  readonly name = 'isa-debug-exit';
  readonly #power: GuestPower;

  constructor(options: { readonly power: GuestPower }) {
    this.#power = options.power;
  }

  /** As QEMU's: the device is write-only and reads 0. */
  read(): number {
    return 0;
  }

  write(_offset: number, _sizeBytes: number, value: number): void {
    this.#power.debugExit(((value << 1) | 1) >>> 0);
  }
}
