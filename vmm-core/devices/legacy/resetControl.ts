/** The reset control register at 0xcf9 (PIIX3/ICH RST_CNT), which the FADT names as RESET_REG. */
import type { Device } from '../../bus/device.ts';
import { type Registers, type StateBlock, u8 } from '../../bus/stateBlock.ts';
import type { GuestPower } from '../guestPower.ts';

const STATE = { value: u8 };
type State = typeof STATE;

const SYS_RST = 1 << 1; // 1: the reset asked for by RST_CPU is a hard one
const RST_CPU = 1 << 2; // 0 to 1: resets
const FULL_RST = 1 << 3; // 1: with a power cycle

export class ResetControl implements Device {
  static readonly state = STATE;

  readonly name = 'reset-control';
  readonly accessBytes = 1;
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;
  readonly #power: GuestPower;

  constructor(options: { readonly state: StateBlock<State>; readonly power: GuestPower }) {
    this.#state = options.state;
    this.#regs = options.state.regs;
    this.#power = options.power;
  }

  reset(): void {
    this.#state.locked(() => (this.#regs.value = 0));
  }

  read(): number {
    return this.#regs.value;
  }

  /** Hard, soft and power-cycle reset are one here: the machine starts again. RST_CPU does not stick, so each 1 is an edge. */
  write(_offset: number, _sizeBytes: number, value: number): void {
    this.#state.locked(() => (this.#regs.value = value & (SYS_RST | FULL_RST)));
    if ((value & RST_CPU) !== 0) this.#power.reset('reset-control');
  }
}
