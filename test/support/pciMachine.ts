/**
 * A PC's bridges and functions of the test's own on bus 0, as several threads have them: what one does to
 * configuration space the others see.
 */
import { CONFIG_ENABLE, PORT_CONFIG_ADDRESS, PORT_CONFIG_DATA } from '../../vmm-core/abi/hostBridge.ts';
import * as abi from '../../vmm-core/abi/pci.ts';
import type { Bus } from '../../vmm-core/bus/bus.ts';
import type { BusDevice } from '../../vmm-core/bus/busDevice.ts';
import { type StateBlock, u32 } from '../../vmm-core/bus/stateBlock.ts';
import { allocateDevices, buildDevices } from '../../vmm-core/devices/buildDevices.ts';
import type { Device, DeviceClass, DeviceHost } from '../../vmm-core/devices/device.ts';
import type { MachinePlan } from '../../vmm-core/devices/machinePlan.ts';
import { hostBridge } from '../../vmm-core/devices/pci/hostBridge.ts';
import type { PciFunctionHost } from '../../vmm-core/devices/pci/pciFunctionHost.ts';
import type { PciBar, PciResources } from '../../vmm-core/devices/pci/pciResources.ts';
import { planMachine } from '../../vmm-core/devices/planner.ts';
import { plannableConfig, RecordedDoorbell, RecordedIrq, RecordedMsi, threadHost } from './devices.ts';

const STATE = { value: u32 };

/** Each function of the test is in a slot of its own, from 1 on. */
export const FIRST_DEVICE = 1;

export const IDS = {
  vendorId: 0x1b36,
  deviceId: 0x0005,
  revisionId: 1,
  classCode: 0xff_0000,
  subsystemVendorId: 0x1af4,
  subsystemId: 0x1100,
};

/** What a BAR's registers read: the value last written to any of them, and where one reads. */
export function seen(value: number, bar: number, offset: number): number {
  return (value + bar * 0x0100_0000 + offset) >>> 0;
}

export class PciMachine {
  readonly plan: MachinePlan;
  readonly irqs = new Map<number, RecordedIrq>();
  readonly msi = new RecordedMsi();
  readonly doorbells: readonly RecordedDoorbell[];
  readonly #memory: SharedArrayBuffer;
  readonly #catalog: readonly DeviceClass[];

  /** Each function has a doorbell at the start of its BAR 0. */
  constructor(...functions: readonly Partial<PciResources>[]) {
    this.#catalog = [hostBridge, ...functions.map(testDevice)];
    this.plan = planMachine(plannableConfig(), this.#catalog);
    this.#memory = allocateDevices(this.plan);
    this.doorbells = this.plan.doorbellStates.map(() => new RecordedDoorbell());
  }

  /** The first is the main thread: it resets the machine. */
  thread(): PciThread {
    return new PciThread(this, this.#memory, this.#catalog);
  }

  irq(gsi: number): RecordedIrq {
    const irq = this.irqs.get(gsi) ?? new RecordedIrq();
    this.irqs.set(gsi, irq);
    return irq;
  }
}

export class PciThread {
  readonly ports: Bus;
  readonly mmio: Bus;
  /** By the place of the function among those of the test. */
  readonly functions: readonly PciFunctionHost[];
  readonly #devices: readonly (Device | undefined)[];

  constructor(machine: PciMachine, memory: SharedArrayBuffer, catalog: readonly DeviceClass[]) {
    const lent: PciFunctionHost[] = [];
    const { ports, mmio, devices } = buildDevices(
      machine.plan,
      memory,
      threadHost({
        irqLine: (gsi) => machine.irq(gsi),
        doorbell: (index) => machine.doorbells[index] ?? new RecordedDoorbell(),
        msi: machine.msi,
      }),
      catalog.map((it) => ({ ...it, build: (instance, host) => noteHost(lent, it, instance, host) })),
    );
    this.ports = ports;
    this.mmio = mmio;
    this.functions = lent;
    this.#devices = devices.map(({ device }) => device);
  }

  reset(): void {
    for (const device of this.#devices) device?.reset?.();
  }

  /** By mechanism 1; a register of function 0 of that device. */
  read(device: number, register: number, sizeBytes: number): number {
    this.#select(device, register);
    return this.ports.read(PORT_CONFIG_DATA + (register & 3), sizeBytes);
  }

  write(device: number, register: number, sizeBytes: number, value: number): void {
    this.#select(device, register);
    this.ports.write(PORT_CONFIG_DATA + (register & 3), sizeBytes, value);
  }

  readBar(device: number, bar: number): number {
    return this.read(device, abi.PCI_BASE_ADDRESS_0 + 4 * bar, 4);
  }

  writeBar(device: number, bar: number, value: number): void {
    this.write(device, abi.PCI_BASE_ADDRESS_0 + 4 * bar, 4, value);
  }

  #select(device: number, register: number): void {
    this.ports.write(PORT_CONFIG_ADDRESS, 4, (CONFIG_ENABLE | (device << 11) | (register & 0xfc)) >>> 0);
  }
}

function noteHost(
  lent: PciFunctionHost[],
  deviceClass: DeviceClass,
  instance: unknown,
  host: DeviceHost,
): Device {
  if (deviceClass.id !== hostBridge.id && host.pci !== undefined) lent.push(host.pci);
  const device = deviceClass.build?.(instance, host);
  if (device === undefined) throw new Error(`${deviceClass.id} is no device`);
  return device;
}

/** All of its BARs show one value; every capability shows the same. */
function testDevice(resources: Partial<PciResources>, index: number) {
  return {
    id: `function-${index}`,
    state: STATE,
    resources: () => ({ pci: { ids: IDS, ...resources }, doorbells: 1 }),
    build: (_, host) => {
      host.pci?.onBarPlaced((bar, base) => {
        if (bar !== 0) return;
        const kind = resources.bars?.[0]?.kind === 'io' ? 'port' : 'mmio';
        host
          .doorbell(0)
          .place(base === undefined ? undefined : { kind, address: base, sizeBytes: 2, value: 0 });
      });
      return {
        name: host.name,
        read: () => 0,
        write: () => undefined,
        bars: barsByIndex(resources.bars ?? [], host.state),
        capabilities: (resources.capabilities ?? []).map((_, i) =>
          i === 0 ? undefined : register(host.state, 0),
        ),
      };
    },
  } satisfies DeviceClass<unknown, typeof STATE>;
}

function barsByIndex(bars: readonly PciBar[], state: StateBlock<typeof STATE>): (BusDevice | undefined)[] {
  return Array.from({ length: abi.PCI_STD_NUM_BARS }, (_, index) =>
    bars.some((it) => it.index === index) ? register(state, index) : undefined,
  );
}

function register(state: StateBlock<typeof STATE>, bar: number): BusDevice {
  return {
    name: `bar ${bar}`,
    read: (offset) => seen(state.regs.value, bar, offset),
    write: (_offset, _sizeBytes, value) => (state.regs.value = value),
  };
}
