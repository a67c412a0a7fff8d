import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, RecordedIrq, fuzzDevice, newRing } from '../../../test/support/devices.ts';
import * as abi from '../../abi/uart16550.ts';
import type { ByteRing } from '../../bus/byteRing.ts';
import { StateBlock } from '../../bus/stateBlock.ts';
import { log } from '../../log.ts';
import { GuestOutput } from '../guestOutput.ts';
import { Uart16550, uart16550, type UartOptions } from './uart16550.ts';

const { UART_FCR, UART_IER, UART_IIR, UART_LCR, UART_LSR, UART_MCR, UART_MSR, UART_RX, UART_SCR, UART_TX } =
  abi;
const FIFO_14 = abi.UART_FCR_ENABLE_FIFO | (3 << abi.UART_FCR_TRIGGER_SHIFT);

log.setLevel('error'); // guests are made to misbehave here

/**
 * One character at 115200 baud, which drivers here never set: the divisor after reset is held to the slowest
 * there is.
 */
const CHARACTER_US = 87 * 3;

/** A UART with OUT2 on, as a driver leaves it, and the far ends of its wires. */
function newUart({
  output = newRing(),
  ...options
}: Partial<Omit<UartOptions, 'output'>> & { output?: ByteRing } = {}) {
  const irq = new RecordedIrq();
  const input = newRing();
  const clock = new ManualClock();
  const pass = (us: number): void => {
    clock.ns += BigInt(us) * 1000n;
    uart.receive();
  };
  let wakeups = 0;
  const onOutput = (): void => void wakeups++;
  const uart = new Uart16550({
    state: StateBlock.allocate(uart16550.state),
    irq,
    clock,
    input,
    ...options,
    output: new GuestOutput({ name: 'uart', ring: output, onOutput, waitMs: 1 }),
  });
  uart.reset();
  uart.write(UART_MCR, 1, abi.UART_MCR_OUT2 | abi.UART_MCR_DTR | abi.UART_MCR_RTS);
  return {
    uart,
    irq,
    clock,
    output,
    input,
    wakeups: () => wakeups,
    in: (register: number): number => uart.read(register, 1),
    out: (register: number, value: number): void => uart.write(register, 1, value),
    type(text: string): void {
      input.pushAll(Buffer.from(text, 'latin1'));
      uart.receive();
    },
    sent: (): string => Buffer.from(output.drain()).toString('latin1'),
    /** Time passes, and the host looks whether something is due. */
    pass,
    /** What a driver's receive loop gets. */
    receive(): string {
      let text = '';
      while ((uart.read(UART_LSR, 1) & abi.UART_LSR_DR) !== 0)
        text += String.fromCharCode(uart.read(UART_RX, 1));
      return text;
    },
    /** The same again and again, until nothing more comes. */
    receiveAll(): string {
      let text = '';
      for (;;) {
        pass(abi.UART_FIFO_DEPTH * CHARACTER_US);
        const part = this.receive();
        if (part === '') return text;
        text += part;
      }
    },
  };
}

test('after master reset no interrupt is enabled or pending and the transmitter is empty (Table III)', () => {
  const { uart, irq } = newUart();
  uart.reset();
  assert.equal(uart.read(UART_IER, 1), 0);
  assert.equal(uart.read(UART_IIR, 1), abi.UART_IIR_NO_INT);
  assert.equal(uart.read(UART_LCR, 1), 0);
  assert.equal(uart.read(UART_MCR, 1), 0);
  assert.equal(uart.read(UART_LSR, 1), abi.UART_LSR_THRE | abi.UART_LSR_TEMT);
  assert.equal(uart.read(UART_MSR, 1) & abi.UART_MSR_ANY_DELTA, 0);
  assert.equal(irq.asserted, false);
});

test('what the guest writes to THR reaches the output ring, one wake-up per drain', () => {
  const com = newUart();
  for (const char of 'hello') com.out(UART_TX, char.charCodeAt(0));
  assert.equal(com.wakeups(), 1);
  assert.equal(com.sent(), 'hello');
  com.out(UART_TX, 0x21);
  assert.equal(com.wakeups(), 2);
});

test('DLAB turns offsets 0 and 1 into the divisor latch (§8.2)', () => {
  const com = newUart();
  com.out(UART_IER, abi.UART_IER_RDI);
  com.out(UART_LCR, abi.UART_LCR_DLAB | 3);
  com.out(abi.UART_DLL, 0x12);
  com.out(abi.UART_DLM, 0x34);
  assert.deepEqual([com.in(abi.UART_DLL), com.in(abi.UART_DLM)], [0x12, 0x34]);
  com.out(UART_LCR, 3);
  assert.equal(com.in(UART_IER), abi.UART_IER_RDI);
  assert.equal(com.sent(), '');
});

test('IER and MCR keep only the bits that exist, SCR keeps all', () => {
  const com = newUart();
  com.out(UART_IER, 0xff);
  com.out(UART_MCR, 0xff);
  com.out(UART_SCR, 0xa5);
  assert.deepEqual([com.in(UART_IER), com.in(UART_MCR), com.in(UART_SCR)], [0x0f, 0x1f, 0xa5]);
});

test('IIR bits 6 and 7 show that the FIFOs are enabled, bits 4 and 5 are 0 (Linux tells a 16550A by it)', () => {
  const com = newUart();
  assert.equal(com.in(UART_IIR), 0x01);
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO | 0x20); // 0x20: the 64-byte FIFO of a TI16750
  assert.equal(com.in(UART_IIR), 0xc1);
  com.out(UART_LCR, abi.UART_LCR_DLAB);
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO | 0x20);
  assert.equal(com.in(UART_IIR), 0xc1);
});

test('without FIFOs each received byte interrupts, and a new edge follows each read', () => {
  const com = newUart();
  com.out(UART_IER, abi.UART_IER_RDI);
  com.type('abc');
  assert.equal(com.in(UART_IIR), abi.UART_IIR_RDI);
  assert.equal(com.irq.edges, 1);
  assert.equal(com.in(UART_RX), 0x61);
  assert.equal(com.irq.asserted, false);
  com.pass(CHARACTER_US);
  assert.equal(com.irq.edges, 2);
  assert.equal(com.in(UART_RX), 0x62);
  com.pass(CHARACTER_US);
  assert.equal(com.in(UART_RX), 0x63);
  assert.equal(com.irq.edges, 3);
  assert.equal(com.irq.asserted, false);
  assert.equal(com.in(UART_IIR), abi.UART_IIR_NO_INT);
});

test('the receiver interrupt comes at the trigger level, the time-out below it (§8.11)', () => {
  for (const [index, trigger] of abi.UART_RX_TRIGGER_BYTES.entries()) {
    const com = newUart();
    com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO | (index << abi.UART_FCR_TRIGGER_SHIFT));
    com.out(UART_IER, abi.UART_IER_RDI);
    com.type('x'.repeat(trigger));
    assert.equal(com.in(UART_IIR) & 0x0f, abi.UART_IIR_RDI);
    com.in(UART_RX);
    const below = trigger === 1 ? abi.UART_IIR_NO_INT : abi.UART_IIR_RX_TIMEOUT;
    assert.equal(com.in(UART_IIR) & 0x0f, below);
    assert.equal(com.receiveAll().length, trigger - 1);
    assert.equal(com.irq.asserted, false);
  }
});

test('a guest that takes one byte per edge gets all of them in FIFO mode too', () => {
  const com = newUart();
  com.out(UART_FCR, FIFO_14);
  com.out(UART_IER, abi.UART_IER_RDI);
  com.type('0123456789abcdefghijklmnopqrstuvwxyz');
  let text = '';
  for (let handled = 0; handled < com.irq.edges; handled++) {
    text += String.fromCharCode(com.in(UART_RX));
    com.pass(abi.UART_FIFO_DEPTH * CHARACTER_US);
  }
  assert.equal(text, '0123456789abcdefghijklmnopqrstuvwxyz');
});

test("a driver that reads while data is ready comes to an end: the next burst needs the line's time", () => {
  const com = newUart();
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO);
  com.out(UART_IER, abi.UART_IER_RDI);
  com.type('x'.repeat(40));
  assert.equal(com.receive().length, 16);
  assert.equal(com.irq.asserted, false);
  com.pass(16 * CHARACTER_US - 1);
  assert.equal(com.receive(), '');
  com.pass(1);
  assert.equal(com.irq.asserted, true);
  assert.equal(com.receive().length, 16);
  com.pass(16 * CHARACTER_US);
  assert.equal(com.receive().length, 8);
});

test('nothing follows into a FIFO that the guest has not emptied, however long it takes', () => {
  const com = newUart();
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO);
  com.type('x'.repeat(20));
  com.in(UART_RX);
  com.pass(10_000_000);
  assert.equal(com.input.length, 4);
  assert.equal(com.receive().length, 15);
});

test("a guest that polls needs no help from the host's timers", () => {
  const com = newUart();
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO);
  com.type('x'.repeat(20));
  assert.equal(com.receive().length, 16);
  com.clock.ns += BigInt(16 * CHARACTER_US) * 1000n;
  assert.equal(com.receive().length, 4);
});

test("the divisor sets the line's speed, down to 38400 baud", () => {
  for (const [divisor, characterUs] of [
    [1, 87],
    [2, 174],
    [12, 261],
    [0, 87],
  ] as const) {
    const com = newUart();
    com.out(UART_LCR, abi.UART_LCR_DLAB);
    com.out(abi.UART_DLL, divisor);
    com.out(UART_LCR, 3);
    com.type('ab');
    assert.equal(com.receive(), 'a');
    com.pass(characterUs - 1);
    assert.equal(com.receive(), '');
    com.pass(1);
    assert.equal(com.receive(), 'b');
  }
});

test('host input beyond the FIFO waits in its ring and follows as the guest reads', () => {
  const com = newUart();
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO);
  const text = Array.from({ length: 500 }, (_, i) => String.fromCharCode(33 + (i % 90))).join('');
  com.type(text);
  assert.equal(com.input.length, 500 - abi.UART_FIFO_DEPTH);
  assert.equal(com.receiveAll(), text);
  assert.equal(com.in(UART_LSR) & abi.UART_LSR_OE, 0);
});

test('resetting the RX FIFO empties it, and so does switching FIFO mode (§8.4)', () => {
  const com = newUart();
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO);
  com.type('abc');
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO | abi.UART_FCR_CLEAR_RCVR);
  assert.equal(com.in(UART_LSR) & abi.UART_LSR_DR, 0);
  com.type('d');
  com.out(UART_FCR, 0);
  assert.equal(com.receiveAll(), '');
});

test('reading an empty receiver gives 0 and changes nothing', () => {
  const com = newUart();
  assert.equal(com.in(UART_RX), 0);
  com.type('a');
  assert.equal(com.receiveAll(), 'a');
});

test('the THRE interrupt comes when enabled with THR empty, goes by reading IIR, and comes again (Linux: THRE test)', () => {
  const com = newUart();
  for (let round = 0; round < 2; round++) {
    com.out(UART_IER, abi.UART_IER_THRI);
    assert.equal(com.irq.asserted, true);
    assert.equal(com.in(UART_IIR), abi.UART_IIR_THRI);
    assert.equal(com.irq.asserted, false);
    assert.equal(com.in(UART_IIR), abi.UART_IIR_NO_INT);
    com.out(UART_IER, 0);
  }
});

test('writing IER again with THRI still set does not raise an acknowledged THRE interrupt', () => {
  const com = newUart();
  com.out(UART_IER, abi.UART_IER_THRI);
  com.in(UART_IIR);
  com.out(UART_IER, abi.UART_IER_THRI | abi.UART_IER_RDI);
  assert.equal(com.in(UART_IIR), abi.UART_IIR_NO_INT);
});

test('each byte written raises a THRE edge, also for a guest that never reads IIR', () => {
  const com = newUart();
  com.out(UART_IER, abi.UART_IER_THRI);
  for (let i = 0; i < 5; i++) com.out(UART_TX, 0x61 + i);
  assert.equal(com.irq.edges, 6);
  assert.equal(com.sent(), 'abcde');
});

test('an interrupt-driven transmitter that fills the FIFO per interrupt sends everything', () => {
  const com = newUart();
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO);
  let left = 'x'.repeat(100);
  com.out(UART_IER, abi.UART_IER_THRI);
  while (com.irq.asserted) {
    if ((com.in(UART_IIR) & 0x0f) !== abi.UART_IIR_THRI) break;
    for (let i = 0; i < 16 && left !== ''; i++, left = left.slice(1)) com.out(UART_TX, 0x78);
    if (left === '') com.out(UART_IER, 0);
  }
  assert.equal(com.sent(), 'x'.repeat(100));
});

test('IIR reports the enabled interrupt of highest priority (Table IV)', () => {
  const com = newUart();
  com.out(UART_MCR, abi.UART_MCR_LOOP);
  com.out(UART_TX, 1);
  com.out(UART_TX, 2); // overrun
  com.out(UART_IER, abi.UART_IER_ALL);
  assert.equal(com.in(UART_IIR), abi.UART_IIR_RLSI);
  com.in(UART_LSR);
  assert.equal(com.in(UART_IIR), abi.UART_IIR_RDI);
  com.in(UART_RX);
  assert.equal(com.in(UART_IIR), abi.UART_IIR_THRI);
  assert.equal(com.in(UART_IIR), abi.UART_IIR_MSI);
  com.in(UART_MSR);
  assert.equal(com.in(UART_IIR), abi.UART_IIR_NO_INT);
});

test('in loopback what is sent is received, nothing reaches the host and host input waits (§8.6)', () => {
  const com = newUart();
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO);
  com.out(UART_MCR, abi.UART_MCR_LOOP);
  com.type('host');
  for (const char of 'loop') com.out(UART_TX, char.charCodeAt(0));
  assert.equal(com.receiveAll(), 'loop');
  assert.equal(com.sent(), '');
  com.out(UART_MCR, 0);
  assert.equal(com.receiveAll(), 'host');
});

test('the loopback FIFO overruns after 16 bytes and keeps the first 16 (FreeBSD and Linux size it so)', () => {
  const com = newUart();
  com.out(UART_FCR, abi.UART_FCR_ENABLE_FIFO);
  com.out(UART_MCR, abi.UART_MCR_LOOP);
  let count = 0;
  do com.out(UART_TX, count++);
  while ((com.in(UART_LSR) & abi.UART_LSR_OE) === 0 && count < 260);
  assert.equal(count, 17);
  assert.equal(com.in(UART_LSR) & abi.UART_LSR_OE, 0, 'OE clears when read');
  assert.equal(com.receiveAll(), String.fromCharCode(...Array(16).keys()));
});

test('without FIFOs an overrun replaces the byte in the buffer (§8.3)', () => {
  const com = newUart();
  com.out(UART_MCR, abi.UART_MCR_LOOP);
  com.out(UART_TX, 0x61);
  com.out(UART_TX, 0x62);
  assert.equal(com.in(UART_LSR) & (abi.UART_LSR_OE | abi.UART_LSR_DR), abi.UART_LSR_OE | abi.UART_LSR_DR);
  assert.equal(com.receiveAll(), 'b');
});

test('in loopback MSR shows MCR: RTS as CTS, DTR as DSR, OUT1 as RI, OUT2 as DCD (Linux probes for 0x90)', () => {
  const com = newUart();
  com.out(UART_MCR, abi.UART_MCR_LOOP | abi.UART_MCR_OUT2 | abi.UART_MCR_RTS);
  assert.equal(com.in(UART_MSR) & 0xf0, 0x90);
  com.out(UART_MCR, abi.UART_MCR_LOOP | abi.UART_MCR_OUT1 | abi.UART_MCR_DTR);
  assert.equal(com.in(UART_MSR), 0x60 | abi.UART_MSR_DCTS | abi.UART_MSR_DDSR | abi.UART_MSR_DDCD);
  assert.equal(com.in(UART_MSR), 0x60, 'deltas clear when read');
  com.out(UART_MCR, abi.UART_MCR_LOOP | abi.UART_MCR_DTR);
  assert.equal(com.in(UART_MSR) & abi.UART_MSR_ANY_DELTA, abi.UART_MSR_TERI);
});

test('out of loopback the other end is ready: CTS, DSR and DCD', () => {
  const com = newUart();
  assert.equal(com.in(UART_MSR), abi.UART_MSR_CTS | abi.UART_MSR_DSR | abi.UART_MSR_DCD);
});

test('OUT2 gates the interrupt line but not IIR, and opening the gate delivers what is pending', () => {
  const com = newUart();
  com.out(UART_MCR, 0);
  com.out(UART_IER, abi.UART_IER_THRI);
  assert.equal(com.irq.asserted, false);
  com.out(UART_MCR, abi.UART_MCR_OUT2);
  assert.equal(com.irq.asserted, true);
  com.out(UART_MCR, abi.UART_MCR_OUT2 | abi.UART_MCR_LOOP);
  assert.equal(com.irq.asserted, false);
  assert.equal(com.in(UART_IIR), abi.UART_IIR_THRI);
});

test('with the gate taken out, interrupts do not need OUT2', () => {
  const com = newUart({ out2Gate: false });
  com.out(UART_MCR, 0);
  com.out(UART_IER, abi.UART_IER_RDI);
  com.type('a');
  assert.equal(com.irq.asserted, true);
});

test('a host that reads nothing costs bytes, not the guest, and the ring takes output again once read', () => {
  const com = newUart({ output: newRing(8) });
  for (let i = 0; i < 200; i++) com.out(UART_TX, 0x61);
  assert.equal(com.sent(), 'aaaaaaaa');
  com.out(UART_TX, 0x62);
  assert.equal(com.sent(), 'b');
});

test('two objects over one block are one chip', () => {
  const buffer = new SharedArrayBuffer(StateBlock.sizeOf(uart16550.state));
  const wires = {
    output: new GuestOutput({ name: 'uart', ring: newRing(), onOutput: () => undefined }),
    input: newRing(),
    irq: new RecordedIrq(),
    clock: new ManualClock(),
  };
  const vcpu = new Uart16550({ ...wires, state: new StateBlock(uart16550.state, buffer) });
  const main = new Uart16550({ ...wires, state: new StateBlock(uart16550.state, buffer) });
  main.reset();
  vcpu.write(UART_MCR, 1, abi.UART_MCR_OUT2);
  vcpu.write(UART_IER, 1, abi.UART_IER_RDI);
  wires.input.push(0x41);
  main.receive();
  assert.equal(wires.irq.asserted, true);
  assert.equal(vcpu.read(UART_RX, 1), 0x41);
  assert.equal(wires.irq.asserted, false);
});

test('machine reset silences the line and keeps host input that the guest has not taken', () => {
  const com = newUart();
  com.out(UART_IER, abi.UART_IER_RDI);
  com.type('ab');
  com.uart.reset();
  assert.equal(com.irq.asserted, false);
  assert.equal(com.receiveAll(), 'b');
});

test('fuzz: random accesses never throw, stay in a byte, and IIR agrees with the line', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const com = newUart({ output: newRing(16) });
    fuzzDevice(com.uart, {
      seed,
      rounds: 3000,
      windowBytes: abi.UART_PORTS,
      check: (value) => assert.ok(Number.isInteger(value) && value >= 0 && value <= 0xff),
      between(random) {
        if (random(4) === 0) com.output.drain();
        if (random(4) === 0) com.type('z'.repeat(random(4)));
      },
    });
    com.out(UART_LCR, 0);
    com.out(UART_MCR, abi.UART_MCR_OUT2);
    const line = com.irq.asserted;
    assert.equal(line, (com.in(UART_IIR) & 0x0f) !== abi.UART_IIR_NO_INT);
    com.out(UART_IER, 0);
    assert.equal(com.irq.asserted, false);
    com.receiveAll();
    assert.equal(com.input.length, 0, 'no input is stuck');
  }
});
