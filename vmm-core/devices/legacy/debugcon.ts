/**
 * A debug console port: what is written is printed. 0xe9 (Bochs, QEMU's isa-debugcon) and 0x402 (SeaBIOS,
 * OVMF). Reading answers 0xe9 at either port: firmware asks that way whether somebody listens.
 */
import { DEBUGCON_READBACK, PORT_DEBUGCON, PORT_FIRMWARE_DEBUG } from '../../abi/debugcon.ts';
import { GuestLog } from '../../backends/guestLog.ts';
import { type Registers, ring, type StateBlock, u32 } from '../../bus/stateBlock.ts';
import type { Device, DeviceClass } from '../device.ts';
import { type GuestOutput, outputTo } from '../guestOutput.ts';

const OUTPUT_RING_BYTES = 1 << 16;

const STATE = {
  output: ring(OUTPUT_RING_BYTES),
  dropped: u32, // bytes, for the inspector
};
type State = typeof STATE;

export interface DebugconInstance {
  readonly name: string;
  readonly port: number;
  readonly logTag: string;
}

export const debugcon = {
  id: 'debugcon',
  state: STATE,
  instances: () => [
    { name: 'debugcon', port: PORT_DEBUGCON, logTag: 'debugcon' },
    { name: 'firmware-debug', port: PORT_FIRMWARE_DEBUG, logTag: 'firmware' },
  ],
  nameOf: ({ name }) => name,
  resources: ({ port }) => ({ ports: [{ base: port, sizeBytes: 1 }] }),
  build: (_, host) => new Debugcon({ ...host, output: outputTo(host.state.regs.output, host) }),
  backend: ({ logTag }, { state }) => new GuestLog(logTag, state.regs.output),
} satisfies DeviceClass<DebugconInstance, State>;

export interface DebugconOptions {
  readonly name: string;
  readonly state: StateBlock<State>;
  readonly output: GuestOutput;
}

export class Debugcon implements Device {
  readonly name: string;
  readonly accessBytes = 1;
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;
  readonly #output: GuestOutput;

  constructor({ name, state, output }: DebugconOptions) {
    this.name = name;
    this.#state = state;
    this.#regs = state.regs;
    this.#output = output;
  }

  read(): number {
    return DEBUGCON_READBACK;
  }

  write(_offset: number, _sizeBytes: number, value: number): void {
    const push = (): boolean => this.#state.locked(() => this.#output.push(value));
    if (push() || this.#output.pushLater(push)) return;
    this.#state.locked(() => this.#regs.dropped++);
  }
}
