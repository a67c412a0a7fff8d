/** QEMU's isa-debug-exit: a write ends the VM with the exit code `(value << 1) | 1`, so never 0. Opt-in. */
import { ISA_DEBUG_EXIT_PORTS, PORT_ISA_DEBUG_EXIT } from '../../abi/isaDebugExit.ts';
import type { Device, DeviceClass } from '../device.ts';
import type { GuestPower } from '../guestPower.ts';

export const isaDebugExit: DeviceClass = {
  id: 'isa-debug-exit',
  instances: ({ debugExit }) => (debugExit ? [{}] : []),
  resources: () => ({ ports: [{ base: PORT_ISA_DEBUG_EXIT, sizeBytes: ISA_DEBUG_EXIT_PORTS }] }),
  build: (_, host) => new IsaDebugExit(host),
};

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
