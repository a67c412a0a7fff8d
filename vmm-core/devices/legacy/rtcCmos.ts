/**
 * MC146818 real-time clock with 128 bytes of CMOS RAM at ports 0x70 and 0x71 (Motorola MC146818A datasheet).
 * There is no ticking thread: the time is the host's clock plus an offset, worked out when a register is
 * read, and what has happened since (register C) likewise. Only when the guest enables an interrupt is a
 * main-thread timer armed. While the guest sets the time (B.SET, or the divider held in reset) the time
 * registers are plain bytes of the RAM. Deviations: periodic interrupts come at most once per millisecond; no
 * daylight saving; the square wave goes nowhere.
 */
import * as abi from '../../abi/rtcCmos.ts';
import type { IrqLine } from '../../bus/irqLine.ts';
import { bytes, type Registers, s64, type StateBlock, u8 } from '../../bus/stateBlock.ts';
import { eisaId, io, irqNoFlags } from '../../firmware/aml.ts';
import { pnpDevice } from '../../firmware/pnpDevice.ts';
import { HOLE_BASE, KIB, MIB } from '../../memory/layout.ts';
import type { Clock } from '../clock.ts';
import type { Device, DeviceClass } from '../device.ts';
import { nextAlarmMs, TIME_REGISTERS, timeFromRegisters, timeRegister } from './rtcTime.ts';

// Times are milliseconds since 1970.
const STATE = {
  index: u8,
  ram: bytes(abi.RTC_BYTES),
  offset: s64, // what the guest's clock is ahead of the host's
  events: s64, // guest time up to which register C accounts for events
  deadline: s64, // guest time the timer is armed for, 0 when it is not
  latched: u8, // 1: latchedTime is the time of a read in progress
  latchedTime: s64,
  irqAsserted: u8,
};
type State = typeof STATE;

/**
 * UIP reads 1 for the end of each second: datasheet 244 µs + 1984 µs, in the clock's unit of a millisecond.
 */
const UIP_MS = 2;
/**
 * A guest that has seen UIP = 0 gets all time registers of one moment for that long, however slowly its vCPU
 * runs. A clock that shows whole seconds loses nothing by it.
 */
const LATCH_MS = 10;
/** From the release of the divider to the first update (datasheet, DV2-DV0). */
const DIVIDER_RELEASE_MS = 500;

export const rtcCmos = {
  id: 'rtc',
  state: STATE,
  instances: ({ cpus, memoryBytes }) => {
    const memoryBelow4G = Math.min(memoryBytes, HOLE_BASE);
    return [{ memoryBelow4G, memoryAbove4G: memoryBytes - memoryBelow4G, cpus }];
  },
  resources: () => ({
    ports: [{ base: abi.PORT_CMOS_INDEX, sizeBytes: abi.RTC_PORTS }],
    irqs: [{ gsi: abi.IRQ_RTC, trigger: 'edge' }],
  }),
  firmware: () => ({
    busTerms: [
      pnpDevice('RTC', eisaId('PNP0B00'), [io(abi.PORT_CMOS_INDEX, abi.RTC_PORTS), irqNoFlags(abi.IRQ_RTC)]),
    ],
    fadt: { century: abi.CMOS_CENTURY },
  }),
  build: (machine, host) => new RtcCmos({ ...host, irq: host.irq(), machine }),
} satisfies DeviceClass<RtcMachine, State>;

export interface RtcOptions {
  readonly state: StateBlock<State>;
  /** IRQ 8. */
  readonly irq: IrqLine;
  readonly clock: Clock;
  /** See DeviceHost. */
  readonly arm: (delayMs: number) => void;
  readonly machine: RtcMachine;
}

/** What firmware would have left in the CMOS RAM. */
export interface RtcMachine {
  /** Bytes of RAM below and above 4 GiB. */
  readonly memoryBelow4G: number;
  readonly memoryAbove4G: number;
  readonly cpus: number;
}

export class RtcCmos implements Device {
  readonly name = 'rtc';
  readonly accessBytes = 1;
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;
  readonly #ram: Uint8Array;
  readonly #irq: IrqLine;
  readonly #clock: Clock;
  readonly #armTimer: (delayMs: number) => void;
  readonly #machine: RtcMachine;

  constructor(options: RtcOptions) {
    this.#state = options.state;
    this.#regs = options.state.regs;
    this.#ram = options.state.regs.ram;
    this.#irq = options.irq;
    this.#clock = options.clock;
    this.#armTimer = options.arm;
    this.#machine = options.machine;
  }

  /** The battery is put in and the firmware has been through. */
  powerOn(): void {
    this.#state.locked(() => {
      this.#ram.fill(0);
      this.#ram[abi.RTC_REG_A] = abi.RTC_REF_CLCK_32KHZ | abi.RTC_RATE_1024HZ;
      this.#ram[abi.RTC_REG_B] = abi.RTC_24H;
      describeMachine(this.#ram, this.#machine);
      this.#regs.offset = 0n;
      this.#regs.events = BigInt(this.#now());
    });
  }

  /**
   * The RESET pin (datasheet): clears interrupt enables and flags; time, alarm and RAM live on the battery.
   */
  reset(): void {
    this.#state.locked(() => {
      this.#setReg(
        abi.RTC_REG_B,
        this.#reg(abi.RTC_REG_B) & ~(abi.RTC_PIE | abi.RTC_AIE | abi.RTC_UIE | abi.RTC_SQWE),
      );
      this.#setReg(abi.RTC_REG_C, 0);
      this.#regs.index = 0;
      this.#regs.latched = 0;
      this.#regs.deadline = 0n;
      this.#regs.events = BigInt(this.#now());
      this.#updateIrq();
    });
  }

  /** Early, late or for nothing does no harm. */
  onTimer(): void {
    this.#state.locked(() => {
      this.#regs.deadline = 0n;
      this.#settle();
    });
  }

  read(offset: number, _sizeBytes: number): number {
    if (offset !== abi.RTC_DATA) return 0xff; // the index is write-only
    return this.#state.locked(() => this.#readRegister(this.#regs.index));
  }

  write(offset: number, _sizeBytes: number, value: number): void {
    this.#state.locked(() => {
      if (offset === abi.RTC_INDEX) this.#regs.index = value & abi.RTC_INDEX_MASK;
      else this.#writeRegister(this.#regs.index, value);
    });
  }

  #readRegister(rawIndex: number): number {
    const index = canonical(rawIndex);
    if (TIME_REGISTERS.has(index)) {
      if (this.#frozen()) return this.#reg(index);
      return timeRegister(this.#latchedTime(), index, this.#reg(abi.RTC_REG_B));
    }
    switch (index) {
      case abi.RTC_REG_A:
        return this.#reg(index) | (this.#updateInProgress() ? abi.RTC_UIP : 0);
      case abi.RTC_REG_C:
        return this.#readFlags();
      case abi.RTC_REG_D:
        return abi.RTC_VRT;
      default:
        return this.#reg(index);
    }
  }

  #writeRegister(rawIndex: number, value: number): void {
    const index = canonical(rawIndex);
    if (TIME_REGISTERS.has(index)) {
      this.#writeTime(index, value);
      return;
    }
    switch (index) {
      case abi.RTC_REG_A:
        this.#reconfigure(index, value & ~abi.RTC_UIP);
        break;
      case abi.RTC_REG_B:
        // SET aborts an update and clears UIE (datasheet, register B).
        this.#reconfigure(index, (value & abi.RTC_SET) === 0 ? value : value & ~abi.RTC_UIE);
        break;
      case abi.RTC_REG_C:
      case abi.RTC_REG_D:
        break; // read-only
      case abi.RTC_SECONDS_ALARM:
      case abi.RTC_MINUTES_ALARM:
      case abi.RTC_HOURS_ALARM:
        this.#settle(); // by the old alarm
        this.#setReg(index, value);
        this.#arm();
        break;
      default:
        this.#setReg(index, value);
    }
  }

  /** Registers A and B: may stop or start the clock, and change rates and enables. */
  #reconfigure(index: number, value: number): void {
    this.#settle();
    const wasFrozen = this.#frozen();
    const heldBefore = this.#dividerHeld();
    if (!wasFrozen) this.#freeze();
    this.#setReg(index, value);
    const released = heldBefore && !this.#dividerHeld();
    if (wasFrozen && !this.#frozen())
      this.#thaw(released ? DIVIDER_RELEASE_MS : positiveModulo(this.#now(), 1000));
    this.#settle();
  }

  /** A running clock takes a byte too, though no driver does that: stop, set, go on. */
  #writeTime(index: number, value: number): void {
    if (this.#frozen()) {
      this.#setReg(index, value);
      return;
    }
    this.#settle();
    this.#freeze();
    this.#setReg(index, value);
    this.#thaw(positiveModulo(this.#now(), 1000));
    this.#arm();
  }

  /** The time registers become bytes of the RAM. */
  #freeze(): void {
    const now = this.#now();
    for (const index of TIME_REGISTERS)
      this.#setReg(index, timeRegister(now, index, this.#reg(abi.RTC_REG_B)));
  }

  /** Time goes on from the bytes in the RAM, `phaseMs` into their second. */
  #thaw(phaseMs: number): void {
    const ms = timeFromRegisters(this.#ram, this.#reg(abi.RTC_REG_B)) + phaseMs;
    this.#regs.offset = BigInt(ms - this.#clock.wallMs());
    this.#regs.events = BigInt(ms);
    this.#regs.deadline = 0n;
    this.#regs.latched = 0;
  }

  #frozen(): boolean {
    return (this.#reg(abi.RTC_REG_B) & abi.RTC_SET) !== 0 || this.#dividerHeld();
  }

  #dividerHeld(): boolean {
    return (this.#reg(abi.RTC_REG_A) & abi.RTC_DIV_CTL) >= abi.RTC_DIV_RESET1;
  }

  /** Never for longer than UIP_MS, so no guest waits for ever; 0 while updates are halted. */
  #updateInProgress(): boolean {
    const now = this.#now();
    const busy = !this.#frozen() && positiveModulo(now, 1000) >= 1000 - UIP_MS;
    this.#regs.latched = busy ? 0 : 1;
    this.#regs.latchedTime = BigInt(now);
    return busy;
  }

  #latchedTime(): number {
    const now = this.#now();
    if (this.#regs.latched === 0) return now;
    const latched = Number(this.#regs.latchedTime);
    if (now >= latched && now - latched < LATCH_MS) return latched;
    this.#regs.latched = 0;
    return now;
  }

  /** Reading C acknowledges everything. */
  #readFlags(): number {
    this.#collectEvents();
    const flags = this.#reg(abi.RTC_REG_C);
    const value = this.#interruptPending() ? flags | abi.RTC_IRQF : flags;
    this.#setReg(abi.RTC_REG_C, 0);
    this.#updateIrq();
    this.#arm();
    return value;
  }

  #settle(): void {
    this.#collectEvents();
    this.#updateIrq();
    this.#arm();
  }

  /**
   * Sets the flags of register C for what has happened since it was last looked at. The flags do not depend
   * on the enables.
   */
  #collectEvents(): void {
    const since = Number(this.#regs.events);
    const now = this.#now();
    this.#regs.events = BigInt(now);
    if (now <= since || this.#dividerHeld()) return;
    let flags = this.#reg(abi.RTC_REG_C);
    const hz = this.#periodicHz();
    if (hz !== 0 && ticks(now, hz) > ticks(since, hz)) flags |= abi.RTC_PF;
    if (!this.#frozen()) {
      if (ticks(now, 1) > ticks(since, 1)) flags |= abi.RTC_UF;
      const alarm = nextAlarmMs(since, this.#ram, this.#reg(abi.RTC_REG_B));
      if (alarm !== undefined && alarm <= now) flags |= abi.RTC_AF;
    }
    this.#setReg(abi.RTC_REG_C, flags);
  }

  /** Table 5 of the datasheet: rates 1 and 2 repeat 8 and 9 at this time base. */
  #periodicHz(): number {
    const rate = this.#reg(abi.RTC_REG_A) & abi.RTC_RATE_SELECT;
    if (rate === 0) return 0;
    return 32768 >> ((rate < 3 ? rate + 7 : rate) - 1);
  }

  #interruptPending(): boolean {
    return (
      (this.#reg(abi.RTC_REG_C) & this.#reg(abi.RTC_REG_B) & (abi.RTC_PF | abi.RTC_AF | abi.RTC_UF)) !== 0
    );
  }

  #updateIrq(): void {
    const asserted = this.#interruptPending() ? 1 : 0;
    if (asserted === this.#regs.irqAsserted) return;
    this.#regs.irqAsserted = asserted;
    this.#irq.set(asserted !== 0);
  }

  /** Arms the timer for the next event that interrupts. While one is unacknowledged the line is up anyway. */
  #arm(): void {
    if (this.#interruptPending()) return;
    const next = this.#nextInterruptMs();
    if (next === undefined || next === Number(this.#regs.deadline)) return;
    this.#regs.deadline = BigInt(next);
    this.#armTimer(Math.max(1, Math.ceil(next - this.#now())));
  }

  #nextInterruptMs(): number | undefined {
    const regB = this.#reg(abi.RTC_REG_B);
    if ((regB & (abi.RTC_PIE | abi.RTC_AIE | abi.RTC_UIE)) === 0 || this.#dividerHeld()) return undefined;
    const now = this.#now();
    const candidates: number[] = [];
    const hz = this.#periodicHz();
    if ((regB & abi.RTC_PIE) !== 0 && hz !== 0) candidates.push(timeOfTick(ticks(now, hz) + 1, hz));
    if (!this.#frozen()) {
      if ((regB & abi.RTC_UIE) !== 0) candidates.push(timeOfTick(ticks(now, 1) + 1, 1));
      const alarm = (regB & abi.RTC_AIE) === 0 ? undefined : nextAlarmMs(now, this.#ram, regB);
      if (alarm !== undefined) candidates.push(alarm);
    }
    return candidates.length === 0 ? undefined : Math.min(...candidates);
  }

  /** Guest time. */
  #now(): number {
    return this.#clock.wallMs() + Number(this.#regs.offset);
  }

  #reg(index: number): number {
    return this.#ram[index] ?? 0;
  }

  #setReg(index: number, value: number): void {
    this.#ram[index] = value;
  }
}

function canonical(index: number): number {
  return index === abi.CMOS_CENTURY_PS2 ? abi.CMOS_CENTURY : index;
}

/** Periods that have begun since 1970, exact for every rate and date in range. */
function ticks(ms: number, hz: number): number {
  const seconds = Math.floor(ms / 1000);
  return seconds * hz + Math.floor(((ms - seconds * 1000) * hz) / 1000);
}

/** The first whole millisecond that ticks() counts into `tick`. */
function timeOfTick(tick: number, hz: number): number {
  const seconds = Math.floor(tick / hz);
  return seconds * 1000 + Math.ceil(((tick - seconds * hz) * 1000) / hz);
}

function positiveModulo(value: number, modulus: number): number {
  return ((value % modulus) + modulus) % modulus;
}

function describeMachine(ram: Uint8Array, { memoryBelow4G, memoryAbove4G, cpus }: RtcMachine): void {
  const put = (at: number, bytes: number, value: number): void => {
    const clamped = Math.min(Math.max(Math.floor(value), 0), 256 ** bytes - 1);
    for (let i = 0; i < bytes; i++) ram[at + i] = Math.floor(clamped / 256 ** i) & 0xff;
  };
  put(abi.CMOS_EQUIPMENT, 1, abi.CMOS_EQUIPMENT_FPU);
  put(abi.CMOS_BASE_MEMORY_KIB, 2, Math.min(640, memoryBelow4G / KIB));
  put(abi.CMOS_EXTENDED_MEMORY_KIB, 2, (memoryBelow4G - MIB) / KIB);
  put(abi.CMOS_EXTENDED_MEMORY_POST_KIB, 2, (memoryBelow4G - MIB) / KIB);
  put(abi.CMOS_MEMORY_ABOVE_16M, 2, (memoryBelow4G - 16 * MIB) / (64 * KIB));
  put(abi.CMOS_MEMORY_ABOVE_4G, 3, memoryAbove4G / (64 * KIB));
  put(abi.CMOS_SMP_COUNT, 1, cpus - 1);
  let sum = 0;
  for (let at = abi.CMOS_CHECKSUM_FIRST; at <= abi.CMOS_CHECKSUM_LAST; at++) sum += ram[at] ?? 0;
  put(abi.CMOS_CHECKSUM_HIGH, 1, sum >> 8);
  put(abi.CMOS_CHECKSUM_LOW, 1, sum & 0xff);
}
