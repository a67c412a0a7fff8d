/**
 * All devices of the machine over one block of shared memory, on their ports. Every thread calls `buildDevices` with the same bytes and
 * gets objects that behave alike; what differs per thread is the DeviceHost.
 */
import {
  COM_RESOURCES,
  IRQ_ACPI_SCI,
  IRQ_RTC,
  PORT_ACPI_PM1_EVENT,
  PORT_CMOS_INDEX,
  PORT_CRTC_INDEX,
  PORT_DEBUGCON,
  PORT_FIRMWARE_DEBUG,
  PORT_FW_CFG_SELECTOR,
  PORT_I8042_COMMAND,
  PORT_I8042_DATA,
  PORT_ISA_DEBUG_EXIT,
  PORT_PVPANIC,
  PORT_RESET_CONTROL,
  PORT_VGA_INPUT_STATUS_1,
} from '../abi/ports.ts';
import { Bus } from '../bus/bus.ts';
import { ByteRing } from '../bus/byteRing.ts';
import type { IrqLine } from '../bus/irqLine.ts';
import { SharedIrqLine } from '../bus/sharedIrqLine.ts';
import { StateBlock } from '../bus/stateBlock.ts';
import { AcpiPm } from './legacy/acpiPm.ts';
import type { Clock } from './clock.ts';
import { Crtc } from './legacy/crtc.ts';
import { Debugcon } from './legacy/debugcon.ts';
import { FwCfg } from './legacy/fwCfg.ts';
import type { GuestPower } from './guestPower.ts';
import { I8042 } from './legacy/i8042.ts';
import { IsaDebugExit } from './legacy/isaDebugExit.ts';
import { Pvpanic } from './legacy/pvpanic.ts';
import { ResetControl } from './legacy/resetControl.ts';
import { RtcCmos, type RtcTimer } from './legacy/rtcCmos.ts';
import { Uart16550 } from './legacy/uart16550.ts';

/** What a thread lends to the devices it builds. */
export interface DeviceHost {
  readonly debugExit: boolean;
  readonly clock: Clock;
  readonly power: GuestPower;
  readonly rtcTimer: RtcTimer;
  irqLine(gsi: number): IrqLine;
  /** An output ring has something: 0..3 are COM1..COM4, then OUTPUT_DEBUGCON. */
  onOutput(port: number): void;
  /** 0: this thread is the one that reads the output rings, and cannot wait for itself. */
  readonly outputWaitMs?: 0;
}

export const OUTPUT_DEBUGCON = 4;
const OUTPUT_FIRMWARE = 5;
const OUTPUT_RING_BYTES = 1 << 16;
const INPUT_RING_BYTES = 1 << 14;
const IRQ_KEYBOARD = 1;

export interface DeviceSet {
  readonly ports: Bus;
  readonly mmio: Bus;
  readonly uarts: readonly Uart16550[];
  readonly rtc: RtcCmos;
  readonly acpiPm: AcpiPm;
  readonly fwCfg: FwCfg;
  /** What the guest writes: COM1..COM4, debugcon, firmware log. */
  readonly outputs: readonly ByteRing[];
  /** What COM1..COM4 receive. */
  readonly inputs: readonly ByteRing[];
  /** Power-on state of every device; main thread, vCPUs stopped. */
  reset(): void;
}

/** Hands out consecutive pieces; run over no buffer it only measures. */
class Layout {
  offset = 0;
  take(sizeBytes: number): number {
    const at = this.offset;
    this.offset = (at + sizeBytes + 7) & ~7;
    return at;
  }
}

/** Memory for `buildDevices`. Zeroed memory is a valid block for every device before `reset`. */
export function allocateDevices(): SharedArrayBuffer {
  const layout = new Layout();
  plan(layout);
  return new SharedArrayBuffer(layout.offset);
}

function plan(layout: Layout) {
  return {
    outputs: Array.from({ length: 6 }, () => layout.take(ByteRing.sizeBytes(OUTPUT_RING_BYTES))),
    inputs: COM_RESOURCES.map(() => layout.take(ByteRing.sizeBytes(INPUT_RING_BYTES))),
    uarts: COM_RESOURCES.map(() => layout.take(StateBlock.sizeOf(Uart16550.state))),
    irqs: [
      layout.take(StateBlock.sizeOf(SharedIrqLine.state)),
      layout.take(StateBlock.sizeOf(SharedIrqLine.state)),
    ],
    rtc: layout.take(StateBlock.sizeOf(RtcCmos.state)),
    i8042: layout.take(StateBlock.sizeOf(I8042.state)),
    resetControl: layout.take(StateBlock.sizeOf(ResetControl.state)),
    debugcon: [
      layout.take(StateBlock.sizeOf(Debugcon.state)),
      layout.take(StateBlock.sizeOf(Debugcon.state)),
    ],
    acpiPm: layout.take(StateBlock.sizeOf(AcpiPm.state)),
    crtc: layout.take(StateBlock.sizeOf(Crtc.state)),
    fwCfg: layout.take(StateBlock.sizeOf(FwCfg.state)),
  };
}

export function buildDevices(buffer: SharedArrayBuffer, host: DeviceHost): DeviceSet {
  const at = plan(new Layout());
  const outputs = at.outputs.map((offset) => new ByteRing(buffer, offset, OUTPUT_RING_BYTES));
  const inputs = at.inputs.map((offset) => new ByteRing(buffer, offset, INPUT_RING_BYTES));
  const wait = host.outputWaitMs === undefined ? {} : { outputWaitMs: host.outputWaitMs };
  const ring = (rings: readonly ByteRing[], i: number): ByteRing => mustHave(rings[i]);

  // COM1 and COM3 share IRQ 4, COM2 and COM4 share IRQ 3.
  const shared = [4, 3].map(
    (irq, i) =>
      new SharedIrqLine(new StateBlock(SharedIrqLine.state, buffer, at.irqs[i] ?? 0), host.irqLine(irq)),
  );
  const uarts = COM_RESOURCES.map(
    (_, i) =>
      new Uart16550({
        name: `com${i + 1}`,
        state: new StateBlock(Uart16550.state, buffer, at.uarts[i] ?? 0),
        irq: mustHave(shared[i % 2]).source(i),
        clock: host.clock,
        output: ring(outputs, i),
        input: ring(inputs, i),
        onOutput: () => host.onOutput(i),
        ...wait,
        // QEMU does not gate the interrupt by OUT2, and kernels that were only ever run there (xv6) never set it.
        out2Gate: false,
      }),
  );
  const rtc = new RtcCmos({
    state: new StateBlock(RtcCmos.state, buffer, at.rtc),
    irq: host.irqLine(IRQ_RTC),
    clock: host.clock,
    timer: host.rtcTimer,
  });
  const i8042 = new I8042({
    state: new StateBlock(I8042.state, buffer, at.i8042),
    irq: host.irqLine(IRQ_KEYBOARD),
    power: host.power,
  });
  const resetControl = new ResetControl({
    state: new StateBlock(ResetControl.state, buffer, at.resetControl),
    power: host.power,
  });
  const debugcons = [OUTPUT_DEBUGCON, OUTPUT_FIRMWARE].map(
    (port, i) =>
      new Debugcon({
        name: i === 0 ? 'debugcon' : 'firmware-debug',
        state: new StateBlock(Debugcon.state, buffer, at.debugcon[i] ?? 0),
        output: ring(outputs, port),
        onOutput: () => host.onOutput(port),
        ...wait,
      }),
  );
  const acpiPm = new AcpiPm({
    state: new StateBlock(AcpiPm.state, buffer, at.acpiPm),
    irq: host.irqLine(IRQ_ACPI_SCI),
    clock: host.clock,
    power: host.power,
  });

  const crtc = new Crtc({ state: new StateBlock(Crtc.state, buffer, at.crtc) });
  const fwCfg = new FwCfg({ state: new StateBlock(FwCfg.state, buffer, at.fwCfg) });

  const ports = new Bus('port');
  COM_RESOURCES.forEach(({ port }, i) => ports.register(port, 8, mustHave(uarts[i])));
  ports.register(PORT_I8042_DATA, 1, i8042, 0);
  ports.register(PORT_I8042_COMMAND, 1, i8042, PORT_I8042_COMMAND - PORT_I8042_DATA);
  ports.register(PORT_CMOS_INDEX, 2, rtc);
  ports.register(PORT_CRTC_INDEX, 2, crtc);
  ports.register(PORT_VGA_INPUT_STATUS_1, 1, crtc, PORT_VGA_INPUT_STATUS_1 - PORT_CRTC_INDEX);
  ports.register(PORT_FW_CFG_SELECTOR, 2, fwCfg);
  ports.register(PORT_DEBUGCON, 1, mustHave(debugcons[0]));
  ports.register(PORT_FIRMWARE_DEBUG, 1, mustHave(debugcons[1]));
  ports.register(PORT_PVPANIC, 1, new Pvpanic({ power: host.power }));
  ports.register(PORT_ACPI_PM1_EVENT, 12, acpiPm);
  ports.register(PORT_RESET_CONTROL, 1, resetControl);
  if (host.debugExit) ports.register(PORT_ISA_DEBUG_EXIT, 4, new IsaDebugExit({ power: host.power }));

  const resettable = [...uarts, rtc, i8042, resetControl, acpiPm, crtc, fwCfg];
  const reset = (): void => resettable.forEach((device) => device.reset());
  return { ports, mmio: new Bus('mmio'), uarts, rtc, acpiPm, fwCfg, outputs, inputs, reset };
}

function mustHave<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('device table is incomplete');
  return value;
}
