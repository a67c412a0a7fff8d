/**
 * A debug console port: what is written is printed. 0xe9 (Bochs, QEMU's isa-debugcon) and 0x402 (SeaBIOS, OVMF). Reading
 * answers 0xe9 at either port: firmware asks that way whether somebody listens.
 */
import type { ByteRing } from '../../bus/byteRing.ts';
import type { Device } from '../../bus/device.ts';
import { type Registers, type StateBlock, u32 } from '../../bus/stateBlock.ts';
import { GuestOutput } from '../guestOutput.ts';

export const DEBUGCON_READBACK = 0xe9;

const STATE = { dropped: u32 }; // bytes, for the inspector; the block is here for its lock
type State = typeof STATE;

export interface DebugconOptions {
  readonly name: string;
  readonly state: StateBlock<State>;
  readonly output: ByteRing;
  /** Called on the vCPU thread when the ring's consumer must be woken. */
  readonly onOutput: () => void;
  readonly outputWaitMs?: number;
}

export class Debugcon implements Device {
  static readonly state = STATE;

  readonly name: string;
  readonly accessBytes = 1;
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;
  readonly #output: GuestOutput;

  constructor({ name, state, output, onOutput, outputWaitMs }: DebugconOptions) {
    this.name = name;
    this.#state = state;
    this.#regs = state.regs;
    const wait = outputWaitMs === undefined ? {} : { waitMs: outputWaitMs };
    this.#output = new GuestOutput({ name, ring: output, onOutput, ...wait });
  }

  read(): number {
    return DEBUGCON_READBACK;
  }

  write(_offset: number, _sizeBytes: number, value: number): void {
    this.#output.waitForSpace();
    this.#state.locked(() => {
      if (!this.#output.push(value)) this.#regs.dropped++;
    });
  }
}
