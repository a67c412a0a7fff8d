/**
 * What device tests put around a device: a recording interrupt line and power switch, a clock that does not
 * advance, rings.
 */
import { ByteRing } from '../../vmm-core/bus/byteRing.ts';
import type { DoorbellPlace, DoorbellWire } from '../../vmm-core/bus/doorbell.ts';
import type { MsiSender } from '../../vmm-core/bus/msiSender.ts';
import type { IrqLine } from '../../vmm-core/bus/irqLine.ts';
import type { BusDevice } from '../../vmm-core/bus/busDevice.ts';
import type { VmConfig } from '../../vmm-core/config/vmConfig.ts';
import type { ThreadHost } from '../../vmm-core/devices/buildDevices.ts';
import type { Clock } from '../../vmm-core/devices/clock.ts';
import type { GuestPower } from '../../vmm-core/devices/guestPower.ts';

export class RecordedIrq implements IrqLine {
  asserted = false;
  /** Changes from low to high: what an edge-triggered input sees. */
  edges = 0;

  set(asserted: boolean): void {
    if (asserted && !this.asserted) this.edges++;
    this.asserted = asserted;
  }
}

export class RecordedPower implements GuestPower {
  readonly events: string[] = [];

  powerOff(): void {
    this.events.push('powerOff');
  }
  reset(reason: string): void {
    this.events.push(`reset ${reason}`);
  }
  debugExit(code: number): void {
    this.events.push(`debugExit ${code}`);
  }
  panic(event: string): void {
    this.events.push(`panic ${event}`);
  }
}

/** Wires that nobody is connected to. */
export class RecordedDoorbell implements DoorbellWire {
  rings = 0;
  readonly connected: DoorbellPlace[] = [];

  ring(): void {
    this.rings++;
  }
  connect(at: DoorbellPlace): boolean {
    this.connected.push(at);
    return true;
  }
  disconnect(at: DoorbellPlace): void {
    const index = this.connected.findIndex((it) => JSON.stringify(it) === JSON.stringify(at));
    if (index < 0) throw new Error(`not connected: ${JSON.stringify(at)}`);
    this.connected.splice(index, 1);
  }
}

export class RecordedMsi implements MsiSender {
  readonly sent: { readonly address: number; readonly data: number }[] = [];

  send(addressLow: number, addressHigh: number, data: number): void {
    this.sent.push({ address: addressHigh * 2 ** 32 + addressLow, data });
  }
}

export class ManualClock implements Clock {
  ms: number;
  ns = 0n;

  constructor(utc = '2026-11-23T12:34:56.000Z') {
    this.ms = Date.parse(utc);
  }
  wallMs(): number {
    return this.ms;
  }
  monotonicNs(): bigint {
    return this.ns;
  }
}

export function newRing(capacity = 1024): ByteRing {
  return new ByteRing(new SharedArrayBuffer(ByteRing.sizeBytes(capacity)), 0, capacity);
}

/** What a thread lends to devices that have nothing to do with the rest of a machine. */
export function threadHost(more: Partial<ThreadHost> = {}): ThreadHost {
  return {
    clock: new ManualClock(),
    power: new RecordedPower(),
    irqLine: () => new RecordedIrq(),
    doorbell: () => new RecordedDoorbell(),
    msi: new RecordedMsi(),
    wakeService: () => undefined,
    holdGuest: () => undefined,
    arm: () => undefined,
    notify: () => undefined,
    ...more,
  };
}

/** The same of a machine of one device, whose queues are served when the test runs them. */
export function servedHost(served: {
  readonly irq: IrqLine;
  /** Takes the indices of the doorbells that were rung. */
  readonly kicked: Set<number>;
  wake(): void;
}): ThreadHost {
  return threadHost({
    irqLine: () => served.irq,
    doorbell: (index) => {
      const doorbell = new RecordedDoorbell();
      doorbell.ring = () => void served.kicked.add(index);
      return doorbell;
    },
    wakeService: () => served.wake(),
  });
}

/** A configuration that a machine can be planned from; its files do not exist. */
export function plannableConfig(more: Partial<VmConfig> = {}): VmConfig {
  return {
    name: 'test',
    kernel: 'kernel.elf',
    cmdline: '',
    protocol: 'auto',
    memoryBytes: 256 * 2 ** 20,
    cpus: 1,
    serial: Array(4).fill({ kind: 'null' }),
    debugExit: false,
    onReset: 'exit',
    ...more,
  };
}

/** A seeded sequence of unsigned 32-bit numbers (xorshift32). */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/**
 * Random reads and writes of 1, 2 and 4 bytes within the device's width; calls `check` with each value read.
 */
export function fuzzDevice(
  device: BusDevice,
  options: {
    readonly seed: number;
    readonly rounds: number;
    readonly windowBytes: number;
    readonly check: (value: number, sizeBytes: number) => void;
    readonly between?: (random: (below: number) => number) => void;
  },
): void {
  const random = randomNumbers(options.seed);
  const sizes = [1, 2, 4].filter((size) => size <= (device.accessBytes ?? 4));
  for (let round = 0; round < options.rounds; round++) {
    const size = sizes[random(sizes.length)] ?? 1;
    if (size > options.windowBytes) continue;
    const offset = random(options.windowBytes - size + 1);
    if (random(2) === 0) options.check(device.read(offset, size), size);
    else device.write(offset, size, random(2 ** 32) % 256 ** size);
    options.between?.(random);
  }
}
