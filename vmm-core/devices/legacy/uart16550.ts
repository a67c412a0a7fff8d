/**
 * A PC16550D UART. Datasheet: National Semiconductor PC16550D, § numbers below are its register chapters 8.x.
 * Registers in a StateBlock, code on whichever thread touches them: vCPU threads by read()/write(), the main
 * thread by receive(). Deviations from a wire between two chips:
 *  - a transmitted byte leaves at once: THRE and TEMT always read 1;
 *  - host input never overruns (OE only in loopback): it waits in its ring and comes in bursts of a FIFO's
 *    depth, the next one only when the guest has emptied the FIFO and then had the time that the burst takes
 *    on the wire. A driver that reads "while data is ready" so comes to an end, and what it feeds gets its
 *    turn, as with a real line; see #refill();
 *  - the character time-out comes at once, not after 4 character times;
 *  - parity, framing and break errors do not happen; RTS and DTR are not asked, kernels that never set them
 *    want input too.
 */
import * as abi from '../../abi/uart16550.ts';
import { SerialConsole } from '../../backends/serial/serialConsole.ts';
import type { ByteRing } from '../../bus/byteRing.ts';
import type { IrqLine } from '../../bus/irqLine.ts';
import { bytes, clearFields, type Registers, ring, type StateBlock, u32, u8 } from '../../bus/stateBlock.ts';
import type { SerialBackend } from '../../config/serialBackend.ts';
import { eisaId, io, irqNoFlags } from '../../firmware/aml.ts';
import { pnpDevice } from '../../firmware/pnpDevice.ts';
import { log } from '../../log.ts';
import type { Clock } from '../clock.ts';
import type { Device, DeviceClass } from '../device.ts';
import { type GuestOutput, outputTo } from '../guestOutput.ts';
import { uartMeaning } from './uartMeaning.ts';

const OUTPUT_RING_BYTES = 1 << 16;
const INPUT_RING_BYTES = 1 << 14;

const STATE = {
  ier: u8,
  fcr: u8, // FIFO enable and trigger bits only
  lcr: u8,
  mcr: u8,
  lsrErrors: u8, // the UART_LSR_BRK_ERROR_BITS not yet read
  msrDeltas: u8, // the UART_MSR_ANY_DELTA bits not yet read
  scr: u8,
  dll: u8,
  dlm: u8,
  thrPending: u8, // 1: the THRE interrupt has not been acknowledged by reading IIR or writing THR
  rxFifo: bytes(abi.UART_FIFO_DEPTH),
  rxStart: u8, // the oldest byte there
  rxCount: u8,
  rxEmptied: u32, // when the guest took the last byte of the RX FIFO: microseconds modulo 2^32
  rxPause: u32, // for how long after that the line is still busy with the burst: microseconds
  irqAsserted: u8,
  output: ring(OUTPUT_RING_BYTES),
  outputDropped: u32, // bytes, for the inspector
  input: ring(INPUT_RING_BYTES),
};
type State = typeof STATE;

const NOWHERE: SerialBackend = { kind: 'null' };
/** The divisor of 115200 / 9600, what PC firmware leaves behind. */
const RESET_DIVISOR = 12;
/** One character at divisor 1: start bit, 8 data bits, stop bit at 115200 baud. */
const CHARACTER_US = 87;
/** A line set to less than 38400 baud is no slower than that: nobody wants to wait for it. */
const SLOWEST_DIVISOR = 3;
/** A cable with the other end ready. */
const PEER_LINES = abi.UART_MSR_CTS | abi.UART_MSR_DSR | abi.UART_MSR_DCD;

export interface ComPort {
  readonly target: SerialBackend;
  /** 1 for COM1. */
  readonly number: number;
  readonly port: number;
  readonly irq: number;
}

export const uart16550 = {
  id: 'uart16550',
  state: STATE,
  instances: ({ serial }) =>
    abi.COM_RESOURCES.map(({ port, irq }, i) => ({ number: i + 1, port, irq, target: serial[i] ?? NOWHERE })),
  nameOf: ({ number }) => `com${number}`,
  resources: ({ port, irq }) => ({
    ports: [{ base: port, sizeBytes: abi.UART_PORTS }],
    irqs: [{ gsi: irq, trigger: 'edge', isShared: true }],
  }),
  firmware: ({ number, port, irq }) => ({
    busTerms: [
      pnpDevice(`COM${number}`, eisaId('PNP0501'), [io(port, abi.UART_PORTS), irqNoFlags(irq)], number),
    ],
    comPort: port,
  }),
  build: (_, host) =>
    new Uart16550({
      ...host,
      irq: host.irq(),
      output: outputTo(host.state.regs.output, host),
      input: host.state.regs.input,
      // QEMU does not gate the interrupt by OUT2, and kernels that were only ever run there (xv6) never set
      // it.
      out2Gate: false,
    }),
  backend: ({ target }, { name, state, device, onBehind, onLost }) =>
    new SerialConsole({
      name,
      target,
      output: state.regs.output,
      input: state.regs.input,
      device: { receive: () => device.receive?.() ?? 0 },
      onBehind,
      onLost,
    }),
  inspect: (_, { regs }) => uartMeaning(regs),
} satisfies DeviceClass<ComPort, State>;

export interface UartOptions {
  /** The log tag: `com1`. */
  readonly name?: string;
  readonly state: StateBlock<State>;
  readonly irq: IrqLine;
  readonly clock: Clock;
  /** Guest to host. */
  readonly output: GuestOutput;
  /**
   * Host to guest; the device is the consumer, under its lock; the main thread pushes, then calls receive().
   */
  readonly input: ByteRing;
  /** MCR.OUT2 = 0 holds the interrupt back, as the wiring of a PC does. Default true. */
  readonly out2Gate?: boolean;
}

export class Uart16550 implements Device {
  readonly name: string;
  readonly accessBytes = 1;
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;
  readonly #irq: IrqLine;
  readonly #clock: Clock;
  readonly #input: ByteRing;
  readonly #output: GuestOutput;
  readonly #out2Gate: boolean;
  #hinted = false;

  constructor(options: UartOptions) {
    this.name = options.name ?? 'uart';
    this.#state = options.state;
    this.#regs = options.state.regs;
    this.#irq = options.irq;
    this.#clock = options.clock;
    this.#input = options.input;
    this.#out2Gate = options.out2Gate ?? true;
    this.#output = options.output;
  }

  /**
   * Master reset (Table III). Main thread, at power-on and at machine reset. Input the guest has not seen
   * stays in its ring.
   */
  reset(): void {
    this.#state.locked(() => {
      clearFields(STATE, this.#regs, ['irqAsserted']);
      this.#regs.dll = RESET_DIVISOR;
      this.#regs.thrPending = 1;
      this.#refill();
      this.#updateIrq();
    });
  }

  /**
   * Main thread, after pushing into the input ring, and from time to time while that is not empty: a guest
   * that waits for an interrupt touches no register. Returns how many bytes the guest has yet to read.
   */
  receive(): number {
    return this.#state.locked(() => {
      this.#refill();
      this.#updateIrq();
      return this.#regs.rxCount;
    });
  }

  read(offset: number, _sizeBytes: number): number {
    return this.#state.locked(() => this.#readRegister(offset));
  }

  write(offset: number, _sizeBytes: number, value: number): void {
    if (this.#state.locked(() => this.#writeRegister(offset, value))) return;
    if (this.#output.pushLater(() => this.#state.locked(() => this.#transmit(value)))) return;
    this.#state.locked(() => {
      this.#regs.outputDropped++;
      this.#transmitted();
    });
  }

  #readRegister(offset: number): number {
    const regs = this.#regs;
    switch (offset) {
      case abi.UART_RX:
        return this.#dlab ? regs.dll : this.#readReceiveBuffer();
      case abi.UART_IER:
        return this.#dlab ? regs.dlm : regs.ier;
      case abi.UART_IIR:
        return this.#readIir();
      case abi.UART_LCR:
        return regs.lcr;
      case abi.UART_MCR:
        return regs.mcr;
      case abi.UART_LSR:
        return this.#readLsr();
      case abi.UART_MSR:
        return this.#readMsr();
      case abi.UART_SCR:
        return regs.scr;
      default:
        return 0xff;
    }
  }

  /** False: the output ring has no room for this byte, nothing changed. */
  #writeRegister(offset: number, value: number): boolean {
    const regs = this.#regs;
    switch (offset) {
      case abi.UART_TX:
        if (!this.#dlab) return this.#transmit(value);
        regs.dll = value;
        break;
      case abi.UART_IER:
        if (this.#dlab) regs.dlm = value;
        else this.#writeIer(value);
        break;
      case abi.UART_FCR:
        this.#writeFcr(value);
        break;
      case abi.UART_LCR:
        regs.lcr = value;
        break;
      case abi.UART_MCR:
        this.#writeMcr(value);
        break;
      case abi.UART_SCR:
        regs.scr = value;
        break;
      default: // LSR and MSR are read-only; the datasheet's factory test writes to LSR are not modelled
        break;
    }
    return true;
  }

  get #dlab(): boolean {
    return (this.#regs.lcr & abi.UART_LCR_DLAB) !== 0;
  }

  get #loop(): boolean {
    return (this.#regs.mcr & abi.UART_MCR_LOOP) !== 0;
  }

  get #fifoEnabled(): boolean {
    return (this.#regs.fcr & abi.UART_FCR_ENABLE_FIFO) !== 0;
  }

  /** §8.0: the receiver buffer, or the top of the RX FIFO. An empty one reads 0. */
  #readReceiveBuffer(): number {
    const regs = this.#regs;
    const count = regs.rxCount;
    if (count === 0) return 0;
    const start = regs.rxStart;
    const byte = regs.rxFifo[start] ?? 0;
    regs.rxStart = (start + 1) % abi.UART_FIFO_DEPTH;
    regs.rxCount = count - 1;
    if (count === 1) regs.rxEmptied = this.#microseconds();
    // The line drops for a moment whatever is left: it is edge-triggered, and a guest that takes one byte per
    // interrupt needs a new edge for the next byte, whether from a trigger or, reset by the read (§8.11.3), a
    // time-out.
    this.#driveIrq(false);
    this.#updateIrq();
    return byte;
  }

  /**
   * Moves a burst of host input into an empty FIFO when it is time. In loopback the receiver is cut off from
   * the wire (§8.6).
   */
  #refill(): void {
    const regs = this.#regs;
    if (regs.rxCount !== 0 || this.#input.length === 0 || this.#loop) return;
    if ((this.#microseconds() - regs.rxEmptied) >>> 0 < regs.rxPause) return;
    const depth = this.#fifoEnabled ? abi.UART_FIFO_DEPTH : 1;
    while (regs.rxCount < depth) {
      const byte = this.#input.shift();
      if (byte === undefined) break;
      this.#append(byte);
    }
    regs.rxPause = regs.rxCount * this.#characterUs();
  }

  #characterUs(): number {
    const divisor = this.#regs.dll | (this.#regs.dlm << 8);
    return CHARACTER_US * Math.min(Math.max(divisor, 1), SLOWEST_DIVISOR);
  }

  /** Modulo 2^32: 71 minutes, far more than any pause. */
  #microseconds(): number {
    return Number(BigInt.asUintN(32, this.#clock.monotonicNs() / 1000n));
  }

  #append(byte: number): void {
    const regs = this.#regs;
    const count = regs.rxCount;
    regs.rxFifo[(regs.rxStart + count) % abi.UART_FIFO_DEPTH] = byte;
    regs.rxCount = count + 1;
  }

  #transmit(byte: number): boolean {
    if (this.#loop) this.#loopBack(byte);
    else if (!this.#output.push(byte)) return false;
    this.#transmitted();
    return true;
  }

  /**
   * Writing THR clears the THRE interrupt, the byte's leaving (at once) sets it again (§8.5). When it was
   * already set the line drops in between, for an edge-triggered input: a guest need not read IIR.
   */
  #transmitted(): void {
    const regs = this.#regs;
    if (regs.thrPending !== 0 && regs.irqAsserted !== 0) {
      regs.thrPending = 0;
      this.#updateIrq();
    }
    regs.thrPending = 1;
    this.#updateIrq();
  }

  /**
   * §8.3 OE: in FIFO mode the new character is lost, otherwise it replaces the one in the buffer. Drivers
   * size the FIFO by it.
   */
  #loopBack(byte: number): void {
    const regs = this.#regs;
    const depth = this.#fifoEnabled ? abi.UART_FIFO_DEPTH : 1;
    if (regs.rxCount >= depth) {
      regs.lsrErrors |= abi.UART_LSR_OE;
      if (!this.#fifoEnabled) regs.rxFifo[regs.rxStart] = byte;
    } else {
      this.#append(byte);
    }
  }

  /**
   * §8.7. Enabling the THRE interrupt while the holding register is empty, which it always is, makes it
   * pending.
   */
  #writeIer(value: number): void {
    const regs = this.#regs;
    const before = regs.ier;
    regs.ier = value & abi.UART_IER_ALL;
    if ((value & ~before & abi.UART_IER_THRI) !== 0) regs.thrPending = 1;
    this.#updateIrq();
  }

  /**
   * §8.4. The other bits are only programmed while FCR0 is 1. Clearing the transmitter has nothing to clear
   * but the interrupt's state.
   */
  #writeFcr(value: number): void {
    const regs = this.#regs;
    const enable = (value & abi.UART_FCR_ENABLE_FIFO) !== 0;
    if (enable !== this.#fifoEnabled || (enable && (value & abi.UART_FCR_CLEAR_RCVR) !== 0)) {
      regs.rxCount = 0;
      regs.rxPause = 0;
    }
    regs.fcr = enable ? value & (abi.UART_FCR_ENABLE_FIFO | (0b11 << abi.UART_FCR_TRIGGER_SHIFT)) : 0;
    this.#updateIrq();
    this.#refill();
    this.#updateIrq();
  }

  #writeMcr(value: number): void {
    const regs = this.#regs;
    const before = this.#modemLines();
    regs.mcr = value & abi.UART_MCR_ALL;
    regs.msrDeltas |= modemDeltas(before, this.#modemLines());
    this.#refill(); // leaving loopback reconnects the receiver
    this.#updateIrq();
  }

  /** §8.8: CTS, DSR, RI and DCD from the wire, in loopback from RTS, DTR, OUT1 and OUT2 (§8.6). */
  #modemLines(): number {
    if (!this.#loop) return PEER_LINES;
    const mcr = this.#regs.mcr;
    let lines = 0;
    if ((mcr & abi.UART_MCR_RTS) !== 0) lines |= abi.UART_MSR_CTS;
    if ((mcr & abi.UART_MCR_DTR) !== 0) lines |= abi.UART_MSR_DSR;
    if ((mcr & abi.UART_MCR_OUT1) !== 0) lines |= abi.UART_MSR_RI;
    if ((mcr & abi.UART_MCR_OUT2) !== 0) lines |= abi.UART_MSR_DCD;
    return lines;
  }

  #readMsr(): number {
    const value = this.#modemLines() | this.#regs.msrDeltas;
    this.#regs.msrDeltas = 0;
    this.#updateIrq();
    return value;
  }

  #readLsr(): number {
    const regs = this.#regs;
    if (regs.rxCount === 0) this.#receiveWhatIsDue();
    const ready = regs.rxCount === 0 ? 0 : abi.UART_LSR_DR;
    const errors = regs.lsrErrors;
    if (errors !== 0) {
      regs.lsrErrors = 0;
      this.#updateIrq();
    }
    return abi.UART_LSR_THRE | abi.UART_LSR_TEMT | errors | ready;
  }

  /** For guests that poll: their looking is what makes time pass. */
  #receiveWhatIsDue(): void {
    this.#refill();
    if (this.#regs.rxCount !== 0) this.#updateIrq();
  }

  /** Reading IIR acknowledges the THRE interrupt, if that is what it reports (§8.5). */
  #readIir(): number {
    const cause = this.#pendingCause();
    if (cause === abi.UART_IIR_THRI) {
      this.#regs.thrPending = 0;
      this.#updateIrq();
    }
    return cause | (this.#fifoEnabled ? abi.UART_IIR_FIFO_ENABLED : 0);
  }

  /** Table IV: the enabled interrupt of highest priority. */
  #pendingCause(): number {
    const regs = this.#regs;
    const ier = regs.ier;
    if ((ier & abi.UART_IER_RLSI) !== 0 && regs.lsrErrors !== 0) return abi.UART_IIR_RLSI;
    if ((ier & abi.UART_IER_RDI) !== 0) {
      const count = regs.rxCount;
      const fcr = regs.fcr;
      const trigger = abi.UART_RX_TRIGGER_BYTES[(fcr >>> abi.UART_FCR_TRIGGER_SHIFT) & 0b11] ?? 1;
      if (count >= (this.#fifoEnabled ? trigger : 1)) return abi.UART_IIR_RDI;
      if (count > 0) return abi.UART_IIR_RX_TIMEOUT;
    }
    if ((ier & abi.UART_IER_THRI) !== 0 && regs.thrPending !== 0) return abi.UART_IIR_THRI;
    if ((ier & abi.UART_IER_MSI) !== 0 && regs.msrDeltas !== 0) return abi.UART_IIR_MSI;
    return abi.UART_IIR_NO_INT;
  }

  /** Drives the line when its level changes, so that polled output costs no KVM call. */
  #updateIrq(): void {
    const regs = this.#regs;
    const pending = regs.ier !== 0 && this.#pendingCause() !== abi.UART_IIR_NO_INT;
    this.#driveIrq(pending && this.#irqConnected());
  }

  #driveIrq(asserted: boolean): void {
    if (asserted === (this.#regs.irqAsserted !== 0)) return;
    this.#regs.irqAsserted = asserted ? 1 : 0;
    this.#irq.set(asserted);
  }

  /** A PC drives IRQ 4 or 3 through OUT2, and loopback forces the OUT2 pin inactive (§8.6). */
  #irqConnected(): boolean {
    if (!this.#out2Gate) return true;
    const mcr = this.#regs.mcr;
    if ((mcr & (abi.UART_MCR_OUT2 | abi.UART_MCR_LOOP)) === abi.UART_MCR_OUT2) return true;
    if (!this.#hinted && (mcr & abi.UART_MCR_LOOP) === 0 && this.#regs.rxCount !== 0) {
      this.#hinted = true;
      log.guest(this.name, 'received data interrupt held back: MCR.OUT2 is 0, on a PC it gates the IRQ line');
    }
    return false;
  }
}

/** §8.8: DCTS, DDSR and DDCD on any change, TERI on the trailing edge of RI. */
function modemDeltas(before: number, after: number): number {
  const changed = before ^ after;
  let deltas = 0;
  if ((changed & abi.UART_MSR_CTS) !== 0) deltas |= abi.UART_MSR_DCTS;
  if ((changed & abi.UART_MSR_DSR) !== 0) deltas |= abi.UART_MSR_DDSR;
  if ((before & ~after & abi.UART_MSR_RI) !== 0) deltas |= abi.UART_MSR_TERI;
  if ((changed & abi.UART_MSR_DCD) !== 0) deltas |= abi.UART_MSR_DDCD;
  return deltas;
}
