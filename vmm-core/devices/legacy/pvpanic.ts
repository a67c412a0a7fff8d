/**
 * pvpanic (QEMU docs/specs/pvpanic): a guest that panics says so. Reading tells which events we understand.
 */
import { PORT_PVPANIC, PVPANIC_CRASH_LOADED, PVPANIC_PANICKED } from '../../abi/pvpanic.ts';
import { io, string } from '../../firmware/aml.ts';
import { pnpDevice } from '../../firmware/pnpDevice.ts';
import { log } from '../../log.ts';
import type { Device, DeviceClass } from '../device.ts';
import type { GuestPower } from '../guestPower.ts';

const CAPABILITIES = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;

export const pvpanic: DeviceClass = {
  id: 'pvpanic',
  resources: () => ({ ports: [{ base: PORT_PVPANIC, sizeBytes: 1 }] }),
  firmware: () => ({ busTerms: [pnpDevice('PVPN', string('QEMU0001'), [io(PORT_PVPANIC, 1)])] }),
  build: (_, host) => new Pvpanic(host),
};

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
