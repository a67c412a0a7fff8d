/**
 * The CRT controller's index and data port, for drivers of text mode: what they write they read back, above
 * all the cursor's place; and the status port that they wait on for a retrace. There is no picture: text
 * memory at 0xb8000 is RAM like any other, and no other port of a VGA answers.
 */
import { ACPI_FADT_NO_VGA } from '../../abi/acpiTables.ts';
import { EQUIPMENT_80_COLUMNS_COLOUR, VIDEO_MODE_80_BY_25 } from '../../abi/biosData.ts';
import * as abi from '../../abi/crtc.ts';
import { bytes, type Registers, type StateBlock, u8 } from '../../bus/stateBlock.ts';
import type { Device, DeviceClass } from '../device.ts';

const STATE = { index: u8, status: u8, registers: bytes(abi.CRTC_REGISTERS) };
type State = typeof STATE;

export const crtc = {
  id: 'crtc',
  state: STATE,
  resources: () => ({
    ports: [
      { base: abi.PORT_CRTC_INDEX, sizeBytes: abi.CRTC_PORTS },
      { base: abi.PORT_VGA_INPUT_STATUS_1, sizeBytes: 1, offset: abi.INPUT_STATUS_1 },
    ],
  }),
  // Text mode 3, with a cursor; there is no VGA to be looked for.
  firmware: () => ({
    fadt: { boot_flags: ACPI_FADT_NO_VGA },
    biosData: {
      equipment: EQUIPMENT_80_COLUMNS_COLOUR,
      video_mode: VIDEO_MODE_80_BY_25,
      video_columns: 80,
      video_page_bytes: 0x1000,
      cursor_shape: 0x0607,
      crtc_port: abi.PORT_CRTC_INDEX,
      video_last_row: 24,
      character_height: 16,
    },
  }),
  build: (_, host) => new Crtc(host),
} satisfies DeviceClass<unknown, State>;

export class Crtc implements Device {
  readonly name = 'crtc';
  readonly accessBytes = 1; // `outw` writes index and value at once
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;

  constructor(options: { readonly state: StateBlock<State> }) {
    this.#state = options.state;
    this.#regs = options.state.regs;
  }

  /** As firmware leaves it: a PC's BIOS has set the mode before anything of the user's runs. */
  reset(): void {
    this.#state.locked(() => {
      this.#regs.index = 0;
      this.#regs.status = 0;
      this.#regs.registers.set(abi.CRTC_TEXT_MODE_3);
    });
  }

  read(offset: number): number {
    return this.#state.locked(() => {
      const { index, registers } = this.#regs;
      switch (offset) {
        case abi.CRTC_INDEX:
          return index;
        case abi.CRTC_DATA:
          return registers[index] ?? 0;
        case abi.INPUT_STATUS_1:
          return this.#nextStatus();
        default:
          return 0;
      }
    });
  }

  write(offset: number, _sizeBytes: number, value: number): void {
    this.#state.locked(() => {
      if (offset === abi.CRTC_INDEX) this.#regs.index = value;
      else if (offset === abi.CRTC_DATA) this.#writeRegister(this.#regs.index, value);
    });
  }

  /**
   * Every other read is in a retrace: a loop that waits for its begin or its end, or for both, comes to an
   * end.
   */
  #nextStatus(): number {
    return (this.#regs.status ^= abi.ST01_DISP_ENABLE | abi.ST01_V_RETRACE);
  }

  #writeRegister(index: number, value: number): void {
    if (index >= abi.CRTC_REGISTERS) return;
    const { registers } = this.#regs;
    const isProtected = ((registers[abi.CRTC_V_SYNC_END] ?? 0) & abi.CRTC_PROTECT) !== 0;
    if (!isProtected || index > abi.CRTC_OVERFLOW) {
      registers[index] = value;
    } else if (index === abi.CRTC_OVERFLOW) {
      const bit = abi.CRTC_OVERFLOW_LINE_COMPARE;
      registers[index] = ((registers[index] ?? 0) & ~bit) | (value & bit);
    }
  }
}
