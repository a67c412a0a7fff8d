/**
 * ACPI fixed hardware (ACPI 6.5 §4.8.3): PM1a event and control registers and the PM timer, one window of 12
 * ports. The machine starts in ACPI mode: the FADT has no SMI_CMD, so SCI_EN always reads 1 (§4.8.2.5).
 * Registers are touched by vCPU threads; powerButton() runs on the main thread. Not modelled: TMR_STS never
 * sets (no interrupt when the timer's top bit toggles; its drivers read the counter), the global lock and bus
 * master events, sleep states other than S5. The PM timer runs on while the VM is paused.
 */
import * as abi from '../../abi/acpiPm.ts';
import {
  ACPI_FADT_32BIT_TIMER,
  ACPI_FADT_FIXED_RTC,
  ACPI_FADT_SLEEP_BUTTON,
  ACPI_MADT_POLARITY_ACTIVE_HIGH,
  ACPI_MADT_TRIGGER_LEVEL,
} from '../../abi/acpiTables.ts';
import type { IrqLine } from '../../bus/irqLine.ts';
import { clearFields, type Registers, type StateBlock, u16, u8 } from '../../bus/stateBlock.ts';
import { amlPackage, integer, name } from '../../firmware/aml.ts';
import type { FadtValues } from '../../firmware/contribution.ts';
import { ioSpace } from '../../firmware/genericAddress.ts';
import { log } from '../../log.ts';
import type { Clock } from '../clock.ts';
import type { Device, DeviceClass } from '../device.ts';
import type { GuestPower } from '../guestPower.ts';
import type { PciResources } from '../pci/pciResources.ts';

const STATE = { status: u16, enable: u16, control: u16, sciAsserted: u8 };
type State = typeof STATE;

const ENABLE_BITS =
  abi.ACPI_BITMASK_TIMER_ENABLE |
  abi.ACPI_BITMASK_GLOBAL_LOCK_ENABLE |
  abi.ACPI_BITMASK_POWER_BUTTON_ENABLE |
  abi.ACPI_BITMASK_SLEEP_BUTTON_ENABLE |
  abi.ACPI_BITMASK_RT_CLOCK_ENABLE;
/** What PM1a_CNT keeps; GBL_RLS and SLP_EN are write-only and read 0. */
const CONTROL_BITS = abi.ACPI_BITMASK_BUS_MASTER_RLD | abi.ACPI_BITMASK_SLEEP_TYPE;

const PM1_CONTROL = abi.PORT_ACPI_PM + abi.ACPI_PM1_CONTROL;
const PM_TIMER = abi.PORT_ACPI_PM + abi.ACPI_PM_TIMER;
const FADT: FadtValues = {
  sci_interrupt: abi.IRQ_ACPI_SCI,
  pm1a_event_block: abi.PORT_ACPI_PM,
  pm1_event_length: 4,
  xpm1a_event_block: ioSpace(32, 16),
  xpm1a_event_block_address: BigInt(abi.PORT_ACPI_PM),
  pm1a_control_block: PM1_CONTROL,
  pm1_control_length: 2,
  xpm1a_control_block: ioSpace(16, 16),
  xpm1a_control_block_address: BigInt(PM1_CONTROL),
  pm_timer_block: PM_TIMER,
  pm_timer_length: 4,
  xpm_timer_block: ioSpace(32, 32),
  xpm_timer_block_address: BigInt(PM_TIMER),
  flags: ACPI_FADT_SLEEP_BUTTON | ACPI_FADT_FIXED_RTC | ACPI_FADT_32BIT_TIMER,
};
/** \_S5 (§7.4.2): what to write as SLP_TYPa and SLP_TYPb to power off. */
const POWER_OFF_STATE = name(
  '\\_S5',
  amlPackage(integer(abi.SLP_TYP_S5), integer(abi.SLP_TYP_S5), integer(0), integer(0)),
);

/** Old kernels without ACPI look for the ports here; they cannot be moved. */
const PCI: PciResources = {
  slot: { device: 1, function: 3 },
  ids: { ...abi.ACPI_PM_IDS, subsystemVendorId: 0, subsystemId: 0 },
  registers: [
    { offset: abi.PMBA, bytes: [(abi.PORT_ACPI_PM & 0xff) | 1, abi.PORT_ACPI_PM >> 8, 0, 0] },
    { offset: abi.PMREGMISC, bytes: [abi.PMREGMISC_PMIOSE] },
  ],
};

export const acpiPm = {
  id: 'acpi-pm',
  state: STATE,
  resources: () => ({
    ports: [{ base: abi.PORT_ACPI_PM, sizeBytes: abi.ACPI_PM_BYTES }],
    irqs: [{ gsi: abi.IRQ_ACPI_SCI, trigger: 'level' }],
    pci: PCI,
  }),
  firmware: () => ({
    rootTerms: [POWER_OFF_STATE],
    motherboardPorts: [{ port: abi.PORT_ACPI_PM, count: abi.ACPI_PM_BYTES }],
    fadt: FADT,
    interruptOverrides: [
      {
        irq: abi.IRQ_ACPI_SCI,
        gsi: abi.IRQ_ACPI_SCI,
        flags: ACPI_MADT_POLARITY_ACTIVE_HIGH | ACPI_MADT_TRIGGER_LEVEL,
      },
    ],
  }),
  build: (_, host) => new AcpiPm({ ...host, irq: host.irq() }),
} satisfies DeviceClass<unknown, State>;

export interface AcpiPmOptions {
  readonly state: StateBlock<State>;
  /** The SCI, a level. */
  readonly irq: IrqLine;
  readonly clock: Clock;
  readonly power: GuestPower;
  /** 32 needs TMR_VAL_EXT in the FADT's flags. Default 32. */
  readonly timerBits?: 24 | 32;
}

export class AcpiPm implements Device {
  readonly name = 'acpi-pm';
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;
  readonly #irq: IrqLine;
  readonly #clock: Clock;
  readonly #power: GuestPower;
  readonly #timerBits: number;

  constructor(options: AcpiPmOptions) {
    this.#state = options.state;
    this.#regs = options.state.regs;
    this.#irq = options.irq;
    this.#clock = options.clock;
    this.#power = options.power;
    this.#timerBits = options.timerBits ?? 32;
  }

  reset(): void {
    this.#state.locked(() => {
      clearFields(STATE, this.#regs, ['sciAsserted']);
      this.#updateSci();
    });
  }

  /** Main thread. True when the guest has enabled the event, so somebody there will act on it. */
  powerButton(): boolean {
    return this.#state.locked(() => {
      this.#regs.status |= abi.ACPI_BITMASK_POWER_BUTTON_STATUS;
      this.#updateSci();
      return (this.#regs.enable & abi.ACPI_BITMASK_POWER_BUTTON_ENABLE) !== 0;
    });
  }

  /**
   * Any size at any offset: ACPICA uses 16 and 32 bits, but bytes are allowed (§4.8.3, "byte, word or
   * dword").
   */
  read(offset: number, sizeBytes: number): number {
    // The counter is sampled once, so that a wide read never mixes two values.
    const timer = offset + sizeBytes > abi.ACPI_PM_TIMER ? this.#timer() : 0;
    return this.#state.locked(() => {
      let value = 0;
      for (let i = 0; i < sizeBytes; i++) value += this.#byte(offset + i, timer) * 256 ** i;
      return value;
    });
  }

  write(offset: number, sizeBytes: number, value: number): void {
    const poweredOff = this.#state.locked(() => {
      let off = false;
      for (let at = offset & ~1; at < offset + sizeBytes; at += 2) {
        const { bits, mask } = lanes(at, offset, sizeBytes, value);
        if (this.#writeWord(at, bits, mask)) off = true;
      }
      return off;
    });
    if (poweredOff) this.#power.powerOff(); // without the lock
  }

  #byte(offset: number, timer: number): number {
    if (offset >= abi.ACPI_PM_TIMER) return (timer >>> (8 * (offset - abi.ACPI_PM_TIMER))) & 0xff;
    return (this.#word(offset & ~1) >>> (8 * (offset & 1))) & 0xff;
  }

  #word(offset: number): number {
    switch (offset) {
      case abi.ACPI_PM1_STATUS:
        return this.#regs.status;
      case abi.ACPI_PM1_ENABLE:
        return this.#regs.enable;
      case abi.ACPI_PM1_CONTROL:
        return this.#regs.control | abi.ACPI_BITMASK_SCI_ENABLE;
      default:
        return 0;
    }
  }

  /** Writes the bits of `mask`. True: the guest switched itself off. */
  #writeWord(offset: number, bits: number, mask: number): boolean {
    const regs = this.#regs;
    switch (offset) {
      case abi.ACPI_PM1_STATUS:
        regs.status &= ~bits; // one clears (§4.8.3.1.1)
        this.#updateSci();
        return false;
      case abi.ACPI_PM1_ENABLE:
        regs.enable = ((regs.enable & ~mask) | bits) & ENABLE_BITS;
        this.#updateSci();
        return false;
      case abi.ACPI_PM1_CONTROL:
        regs.control = ((regs.control & ~mask) | bits) & CONTROL_BITS;
        return (bits & abi.ACPI_BITMASK_SLEEP_ENABLE) !== 0 && this.#sleepIsOff();
      default: // the timer is read-only
        return false;
    }
  }

  #sleepIsOff(): boolean {
    const type = (this.#regs.control & abi.ACPI_BITMASK_SLEEP_TYPE) >>> abi.ACPI_SLEEP_TYPE_SHIFT;
    if (type === abi.SLP_TYP_S5) return true;
    log.guest(this.name, 'a sleep state other than S5 is not there', { sleepType: type });
    return false;
  }

  #timer(): number {
    const ticks = (this.#clock.monotonicNs() * BigInt(abi.ACPI_PM_TIMER_FREQUENCY)) / 1_000_000_000n;
    return Number(BigInt.asUintN(this.#timerBits, ticks));
  }

  #updateSci(): void {
    const regs = this.#regs;
    const asserted = (regs.status & regs.enable) === 0 ? 0 : 1;
    if (asserted === regs.sciAsserted) return;
    regs.sciAsserted = asserted;
    this.#irq.set(asserted !== 0);
  }
}

/** The part of a write of `sizeBytes` at `offset` that falls on the 16-bit register at `at`. */
function lanes(at: number, offset: number, sizeBytes: number, value: number): { bits: number; mask: number } {
  let bits = 0;
  let mask = 0;
  for (let i = 0; i < 2; i++) {
    const from = at + i - offset;
    if (from < 0 || from >= sizeBytes) continue;
    mask |= 0xff << (8 * i);
    bits |= ((value >>> (8 * from)) & 0xff) << (8 * i);
  }
  return { bits, mask };
}
