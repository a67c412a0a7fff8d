/** The reset control register at 0xcf9 (PIIX3/ICH RST_CNT), which the FADT names as RESET_REG. */
import { ACPI_FADT_RESET_REGISTER } from '../../abi/acpiTables.ts';
import * as abi from '../../abi/resetControl.ts';
import { type Registers, type StateBlock, u8 } from '../../bus/stateBlock.ts';
import { ioSpace } from '../../firmware/genericAddress.ts';
import type { Device, DeviceClass } from '../device.ts';
import type { GuestPower } from '../guestPower.ts';

const STATE = { value: u8 };
type State = typeof STATE;

export const resetControl = {
  id: 'reset-control',
  state: STATE,
  resources: () => ({ ports: [{ base: abi.PORT_RESET_CONTROL, sizeBytes: 1 }] }),
  firmware: () => ({
    motherboardPorts: [{ port: abi.PORT_RESET_CONTROL, count: 1 }],
    fadt: {
      reset_register: ioSpace(8, 8),
      reset_register_address: BigInt(abi.PORT_RESET_CONTROL),
      reset_value: abi.RESET_CONTROL_RESET,
      flags: ACPI_FADT_RESET_REGISTER,
    },
  }),
  build: (_, host) => new ResetControl(host),
} satisfies DeviceClass<unknown, State>;

export class ResetControl implements Device {
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

  /**
   * Hard, soft and power-cycle reset are one here: the machine starts again. RST_CPU does not stick, so each
   * 1 is an edge.
   */
  write(_offset: number, _sizeBytes: number, value: number): void {
    this.#state.locked(() => (this.#regs.value = value & (abi.SYS_RST | abi.FULL_RST)));
    if ((value & abi.RST_CPU) !== 0) this.#power.reset(this.name);
  }
}
