/**
 * i8042 keyboard controller with an MF2 keyboard nobody types on, and no mouse: enough that drivers find it,
 * set it up and leave it alone, and the reset line that kernels pull to reboot. Runs on vCPU threads.
 * Commands are carried out at once, so IBF never shows. The mouse port tests as not there: AUX_LOOP answers
 * as keyboard data (Linux gives up at once instead of waiting half a second), AUX_TEST fails. A20 is stored
 * and always open.
 */
import { ACPI_FADT_8042 } from '../../abi/acpiTables.ts';
import * as abi from '../../abi/i8042.ts';
import type { IrqLine } from '../../bus/irqLine.ts';
import { bytes, clearFields, type Registers, type StateBlock, u8 } from '../../bus/stateBlock.ts';
import { eisaId, io, irqNoFlags } from '../../firmware/aml.ts';
import { pnpDevice } from '../../firmware/pnpDevice.ts';
import { log } from '../../log.ts';
import type { Device, DeviceClass } from '../device.ts';
import type { GuestPower } from '../guestPower.ts';

const KBD_QUEUE = 16;
const RAM_BYTES = 32;
const RAM_MASK = RAM_BYTES - 1;

const STATE = {
  ctr: u8, // the command byte
  cmddat: u8, // STR_CMDDAT: the last write was a command
  command: u8, // controller command waiting for its byte at port 0x60, 0 for none
  outputPort: u8,
  replyFull: u8, // the controller's own answer, ahead of the keyboard's bytes
  reply: u8,
  ram: bytes(RAM_BYTES), // but for its first byte, which is `ctr`
  kbdCommand: u8, // keyboard command waiting for its parameter, 0 for none
  kbdQueue: bytes(KBD_QUEUE),
  kbdStart: u8, // the oldest byte there
  kbdCount: u8,
  kbdLast: u8, // for KBD_CMD_RESEND
  scanset: u8,
  leds: u8,
  irqAsserted: u8,
};
type State = typeof STATE;

/** What a PC's firmware leaves: interrupt and translation on, no mouse. */
const RESET_CTR = abi.I8042_CTR_KBDINT | abi.I8042_CTR_SYS | abi.I8042_CTR_AUXDIS | abi.I8042_CTR_XLATE;

/** On the bus twice: its data port as offset I8042_DATA, its command port as offset I8042_STATUS. */
export const i8042 = {
  id: 'i8042',
  state: STATE,
  resources: () => ({
    ports: [
      { base: abi.PORT_I8042_DATA, sizeBytes: 1, offset: abi.I8042_DATA },
      { base: abi.PORT_I8042_COMMAND, sizeBytes: 1, offset: abi.I8042_COMMAND },
    ],
    irqs: [{ gsi: abi.IRQ_KEYBOARD, trigger: 'edge' }],
  }),
  firmware: () => ({
    busTerms: [
      pnpDevice('KBD', eisaId('PNP0303'), [
        io(abi.PORT_I8042_DATA, 1),
        io(abi.PORT_I8042_COMMAND, 1),
        irqNoFlags(abi.IRQ_KEYBOARD),
      ]),
    ],
    fadt: { boot_flags: ACPI_FADT_8042 },
  }),
  build: (_, host) => new I8042({ ...host, irq: host.irq() }),
} satisfies DeviceClass<unknown, State>;

export interface I8042Options {
  readonly state: StateBlock<State>;
  /** IRQ 1. */
  readonly irq: IrqLine;
  readonly power: GuestPower;
}

export class I8042 implements Device {
  readonly name = 'i8042';
  readonly accessBytes = 1;
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;
  readonly #irq: IrqLine;
  readonly #power: GuestPower;

  constructor(options: I8042Options) {
    this.#state = options.state;
    this.#regs = options.state.regs;
    this.#irq = options.irq;
    this.#power = options.power;
  }

  reset(): void {
    const regs = this.#regs;
    this.#state.locked(() => {
      clearFields(STATE, regs, ['irqAsserted']);
      regs.ctr = RESET_CTR;
      regs.outputPort = abi.I8042_OUTPUT_PORT_RUN | abi.I8042_OUTPUT_PORT_A20;
      regs.scanset = abi.KBD_DEFAULT_SCANSET;
      this.#updateIrq();
    });
  }

  read(offset: number, _sizeBytes: number): number {
    return this.#state.locked(() => {
      if (offset === abi.I8042_STATUS) return this.#status();
      return offset === abi.I8042_DATA ? this.#readData() : 0xff;
    });
  }

  write(offset: number, _sizeBytes: number, value: number): void {
    const resets = this.#state.locked(() => {
      this.#regs.cmddat = offset === abi.I8042_COMMAND ? 1 : 0;
      const pulled = offset === abi.I8042_COMMAND ? this.#command(value) : this.#writeData(value);
      this.#updateIrq();
      return pulled;
    });
    if (resets) this.#power.reset(this.name); // without the lock
  }

  #status(): number {
    const regs = this.#regs;
    let status = abi.I8042_STR_KEYLOCK;
    if (this.#outputFull()) status |= abi.I8042_STR_OBF;
    if ((regs.ctr & abi.I8042_CTR_SYS) !== 0) status |= abi.I8042_STR_SYS;
    if (regs.cmddat !== 0) status |= abi.I8042_STR_CMDDAT;
    return status;
  }

  #outputFull(): boolean {
    return this.#regs.replyFull !== 0 || this.#keyboardReady();
  }

  /** A disabled keyboard keeps its bytes. */
  #keyboardReady(): boolean {
    return this.#regs.kbdCount !== 0 && (this.#regs.ctr & abi.I8042_CTR_KBDDIS) === 0;
  }

  /** The next byte; when there is none, the last one again, as the chip's latch does. */
  #readData(): number {
    const regs = this.#regs;
    if (regs.replyFull !== 0) {
      regs.replyFull = 0;
    } else if (this.#keyboardReady()) {
      const start = regs.kbdStart;
      regs.reply = regs.kbdQueue[start] ?? 0;
      regs.kbdLast = regs.reply;
      regs.kbdStart = (start + 1) % KBD_QUEUE;
      regs.kbdCount--;
    }
    // IRQ 1 is edge-triggered: the line drops for the byte that went, and rises for one that follows.
    this.#setIrq(false);
    this.#updateIrq();
    return regs.reply;
  }

  /** True: the guest pulls the reset line. */
  #command(command: number): boolean {
    const regs = this.#regs;
    regs.command = 0;
    if (command >= abi.I8042_CMD_PULSE) return (command & abi.I8042_OUTPUT_PORT_RUN) === 0;
    if (command >= abi.I8042_CMD_READ_RAM && command <= abi.I8042_CMD_READ_RAM + RAM_MASK) {
      this.#reply(this.#readRam(command & RAM_MASK));
      return false;
    }
    if (command >= abi.I8042_CMD_WRITE_RAM && command <= abi.I8042_CMD_WRITE_RAM + RAM_MASK) {
      regs.command = command;
      return false;
    }
    switch (command) {
      case abi.I8042_CMD_AUX_DISABLE:
        regs.ctr |= abi.I8042_CTR_AUXDIS;
        break;
      case abi.I8042_CMD_AUX_ENABLE:
        regs.ctr &= ~abi.I8042_CTR_AUXDIS;
        break;
      case abi.I8042_CMD_AUX_TEST:
        this.#reply(abi.I8042_RET_PORT_DATA_STUCK_HIGH);
        break;
      case abi.I8042_CMD_CTL_TEST:
        regs.ctr |= abi.I8042_CTR_SYS;
        this.#reply(abi.I8042_RET_CTL_TEST);
        break;
      case abi.I8042_CMD_KBD_TEST:
        this.#reply(abi.I8042_RET_PORT_OK);
        break;
      case abi.I8042_CMD_KBD_DISABLE:
        regs.ctr |= abi.I8042_CTR_KBDDIS;
        break;
      case abi.I8042_CMD_KBD_ENABLE:
        this.#enableKeyboard();
        break;
      case abi.I8042_CMD_READ_INPUT_PORT:
        this.#reply(abi.I8042_INPUT_PORT_UNLOCKED);
        break;
      case abi.I8042_CMD_READ_OUTPUT_PORT:
        this.#reply(regs.outputPort | (this.#outputFull() ? abi.I8042_OUTPUT_PORT_KBD_OBF : 0));
        break;
      case abi.I8042_CMD_WRITE_OUTPUT_PORT:
      case abi.I8042_CMD_KBD_LOOP:
      case abi.I8042_CMD_AUX_LOOP:
      case abi.I8042_CMD_AUX_SEND:
        regs.command = command;
        break;
      case abi.I8042_CMD_A20_DISABLE:
        regs.outputPort &= ~abi.I8042_OUTPUT_PORT_A20;
        break;
      case abi.I8042_CMD_A20_ENABLE:
        regs.outputPort |= abi.I8042_OUTPUT_PORT_A20;
        break;
      case abi.I8042_CMD_READ_TEST_INPUTS:
        this.#reply(0);
        break;
      default:
        log.guest(this.name, 'unknown controller command', { command: `0x${command.toString(16)}` });
    }
    return false;
  }

  /** Port 0x60: the byte a controller command waits for, otherwise for the keyboard. True: reset. */
  #writeData(value: number): boolean {
    const regs = this.#regs;
    const command = regs.command;
    regs.command = 0;
    if (command >= abi.I8042_CMD_WRITE_RAM && command <= abi.I8042_CMD_WRITE_RAM + RAM_MASK) {
      this.#writeRam(command & RAM_MASK, value);
      return false;
    }
    switch (command) {
      case abi.I8042_CMD_WRITE_OUTPUT_PORT:
        regs.outputPort = abi.I8042_OUTPUT_PORT_RUN | (value & abi.I8042_OUTPUT_PORT_A20);
        return (value & abi.I8042_OUTPUT_PORT_RUN) === 0;
      case abi.I8042_CMD_KBD_LOOP:
      case abi.I8042_CMD_AUX_LOOP:
        this.#reply(value);
        return false;
      case abi.I8042_CMD_AUX_SEND: // into a connector with nothing on it
        return false;
      default:
        this.#enableKeyboard(); // sending to the keyboard releases its clock
        this.#keyboard(value);
        return false;
    }
  }

  #readRam(at: number): number {
    return at === 0 ? this.#regs.ctr : (this.#regs.ram[at] ?? 0);
  }

  #writeRam(at: number, value: number): void {
    if (at === 0) this.#regs.ctr = value;
    else this.#regs.ram[at] = value;
  }

  #enableKeyboard(): void {
    this.#regs.ctr &= ~abi.I8042_CTR_KBDDIS;
  }

  /** A byte the host sends to the keyboard: a command, or the parameter of the last one. */
  #keyboard(value: number): void {
    const regs = this.#regs;
    const command = regs.kbdCommand;
    regs.kbdCommand = 0;
    // A parameter has bit 7 clear; a command in its place starts over.
    if (command !== 0 && value < 0x80) {
      this.#keyboardParameter(command, value);
      return;
    }
    if (value >= abi.KBD_CMD_SETALL_FIRST && value <= abi.KBD_CMD_SETALL_LAST) {
      this.#send(abi.KBD_RET_ACK);
      return;
    }
    switch (value) {
      case abi.KBD_CMD_SETLEDS:
      case abi.KBD_CMD_SSCANSET:
      case abi.KBD_CMD_SETREP:
        regs.kbdCommand = value;
        this.#send(abi.KBD_RET_ACK);
        break;
      case abi.KBD_CMD_ECHO:
        this.#send(abi.KBD_CMD_ECHO);
        break;
      case abi.KBD_CMD_GETID: {
        const translated = (regs.ctr & abi.I8042_CTR_XLATE) !== 0;
        this.#send(
          abi.KBD_RET_ACK,
          abi.KBD_RET_ID1,
          translated ? abi.KBD_RET_ID2_TRANSLATED : abi.KBD_RET_ID2,
        );
        break;
      }
      case abi.KBD_CMD_ENABLE:
        this.#send(abi.KBD_RET_ACK);
        break;
      case abi.KBD_CMD_RESET_DIS:
      case abi.KBD_CMD_RESET_DEF:
        this.#keyboardDefaults();
        this.#send(abi.KBD_RET_ACK);
        break;
      case abi.KBD_CMD_RESEND:
        this.#send(regs.kbdLast);
        break;
      case abi.KBD_CMD_RESET_BAT:
        this.#keyboardDefaults();
        regs.kbdCount = 0;
        this.#send(abi.KBD_RET_ACK, abi.KBD_RET_BAT);
        break;
      default:
        this.#send(abi.KBD_RET_NAK);
    }
  }

  #keyboardParameter(command: number, value: number): void {
    const regs = this.#regs;
    this.#send(abi.KBD_RET_ACK);
    if (command === abi.KBD_CMD_SETLEDS) regs.leds = value;
    if (command !== abi.KBD_CMD_SSCANSET) return;
    if (value === 0) this.#send(regs.scanset);
    else if (value <= 3) regs.scanset = value;
  }

  #keyboardDefaults(): void {
    this.#regs.scanset = abi.KBD_DEFAULT_SCANSET;
    this.#regs.leds = 0;
  }

  /** From the keyboard. A queue that is full loses the byte: the guest reads nothing it asked for. */
  #send(...bytes: readonly number[]): void {
    const regs = this.#regs;
    for (const byte of bytes) {
      const count = regs.kbdCount;
      if (count === KBD_QUEUE) return;
      regs.kbdQueue[(regs.kbdStart + count) % KBD_QUEUE] = byte;
      regs.kbdCount = count + 1;
    }
  }

  /** From the controller: there is one output register, an answer not read is overwritten. */
  #reply(byte: number): void {
    this.#regs.reply = byte;
    this.#regs.replyFull = 1;
  }

  #updateIrq(): void {
    this.#setIrq(this.#outputFull() && (this.#regs.ctr & abi.I8042_CTR_KBDINT) !== 0);
  }

  #setIrq(asserted: boolean): void {
    const level = asserted ? 1 : 0;
    if (level === this.#regs.irqAsserted) return;
    this.#regs.irqAsserted = level;
    this.#irq.set(asserted);
  }
}
