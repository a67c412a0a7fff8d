/**
 * The devices of a plan over its shared memory, on the two buses. Every thread calls this with the same plan
 * and bytes and gets objects that behave alike; what differs per thread is what it lends them.
 */
import { Bus } from '../bus/bus.ts';
import type { ByteRing } from '../bus/byteRing.ts';
import type { IrqLine } from '../bus/irqLine.ts';
import type { DoorbellWire } from '../bus/doorbell.ts';
import type { MsiSender } from '../bus/msiSender.ts';
import { SharedIrqLine } from '../bus/sharedIrqLine.ts';
import { StateBlock, type StateShape } from '../bus/stateBlock.ts';
import { CATALOG, classOf } from './catalog.ts';
import type { Clock } from './clock.ts';
import type { Device, DeviceClass, Doorbell, Window } from './device.ts';
import { PlacedDoorbell } from './doorbells.ts';
import type { GuestPower } from './guestPower.ts';
import type { MachinePlan, PlannedDevice } from './machinePlan.ts';
import { functionState } from './pci/functionState.ts';
import { PciBus } from './pci/pciBus.ts';
import { PciFunction } from './pci/pciFunction.ts';

/** What a thread lends to all devices. */
export interface ThreadHost {
  readonly clock: Clock;
  readonly power: GuestPower;
  irqLine(gsi: number): IrqLine;
  /** `index`: among the machine's. */
  doorbell(index: number): DoorbellWire;
  readonly msi: MsiSender;
  /** See DeviceHost. */
  holdGuest(isOver: () => boolean): void;
  // From a device to the main thread: `device` is its place in the plan.
  arm(device: number, delayMs: number): void;
  notify(device: number, event: string, value: number): void;
  /** See DeviceHost.wakeService. */
  wakeService(device: number): void;
  /** 0: this thread is the one that reads the output rings, and cannot wait for itself. */
  readonly outputWaitMs?: number;
}

export interface BuiltDevice {
  readonly deviceClass: DeviceClass;
  readonly planned: PlannedDevice;
  readonly state: StateBlock<StateShape>;
  /** Absent: KVM has it. */
  readonly device?: Device;
}

export interface DeviceSet {
  readonly ports: Bus;
  readonly mmio: Bus;
  /** In the order of the plan. */
  readonly devices: readonly BuiltDevice[];
  /** All that devices pass bytes through. */
  readonly rings: readonly ByteRing[];
}

/** Memory for `buildDevices`. Zeroed memory is a valid block for every device before its reset. */
export function allocateDevices(plan: MachinePlan): SharedArrayBuffer {
  return new SharedArrayBuffer(plan.stateBytes);
}

export function buildDevices(
  plan: MachinePlan,
  memory: SharedArrayBuffer,
  host: ThreadHost,
  catalog: readonly DeviceClass[] = CATALOG,
): DeviceSet {
  const ports = new Bus('port');
  const mmio = new Bus('mmio');
  const lines = sharedLines(plan, memory, host);
  const doorbells = plan.doorbellStates.map(
    (offset, i) => new PlacedDoorbell(host.doorbell(i), new StateBlock(PlacedDoorbell.state, memory, offset)),
  );
  const pciBus = new PciBus(new StateBlock(PciBus.state, memory, plan.pciBusState));
  const devices = plan.devices.map((planned, index): BuiltDevice => {
    const deviceClass = classOf(planned.classId, catalog);
    const state = new StateBlock(deviceClass.state ?? {}, memory, planned.stateOffset);
    const irq = (number = 0): IrqLine => irqLineOf(planned, number, lines, host);
    const pci = pciFunction(planned, memory, irq, host);
    const pciHost = pci && pciBus.add(pci);
    const device = deviceClass.build?.(planned.instance, {
      name: planned.name,
      state,
      resources: planned.resources,
      clock: host.clock,
      power: host.power,
      ...(host.outputWaitMs === undefined ? {} : { outputWaitMs: host.outputWaitMs }),
      irq,
      ...(pciHost === undefined ? {} : { pci: pciHost }),
      pciBus,
      doorbell: (doorbell) => doorbellOf(planned, doorbell, doorbells),
      wakeService: () => host.wakeService(index),
      holdGuest: (isOver) => host.holdGuest(isOver),
      arm: (delayMs) => host.arm(index, delayMs),
      notify: (event, value = 0) => host.notify(index, event, value),
    });
    if (device === undefined) return { deviceClass, planned, state };
    pci?.connect(device);
    for (const it of planned.resources.ports ?? []) register(ports, it, device);
    for (const it of planned.resources.mmio ?? []) register(mmio, it, device);
    return { deviceClass, planned, state, device };
  });
  return { ports, mmio, devices, rings: devices.flatMap(({ state }) => state.rings) };
}

function register(bus: Bus, { base, sizeBytes, offset, isDwordOnly }: Window, device: Device): void {
  if (isDwordOnly === true) bus.registerDword(base, device, offset);
  else bus.register(base, sizeBytes, device, offset);
}

/** Its own of a thread, over the shared registers. */
function pciFunction(
  { resources, pci: planned }: PlannedDevice,
  memory: SharedArrayBuffer,
  irq: (index: number) => IrqLine,
  { msi }: ThreadHost,
): PciFunction | undefined {
  if (resources.pci === undefined || planned === undefined) return undefined;
  const state = new StateBlock(functionState(resources.pci.msixVectors), memory, planned.stateOffset);
  const pin = (resources.irqs ?? []).length - 1;
  const line = planned.gsi === undefined ? {} : { line: irq(pin) };
  return new PciFunction({ resources: resources.pci, planned, state, ...line, msi });
}

type SharedLines = ReadonlyMap<number, (device: string) => IrqLine>;

/** The interrupts that several devices drive, by their number. */
function sharedLines(plan: MachinePlan, memory: SharedArrayBuffer, host: ThreadHost): SharedLines {
  const shared = plan.irqs.filter(({ users }) => users.length > 1);
  return new Map(
    shared.map(({ gsi, users, stateOffset }) => {
      const state = new StateBlock(SharedIrqLine.state, memory, stateOffset);
      const line = new SharedIrqLine(state, host.irqLine(gsi));
      return [gsi, (device) => line.source(users.indexOf(device))];
    }),
  );
}

function irqLineOf(device: PlannedDevice, index: number, lines: SharedLines, host: ThreadHost): IrqLine {
  const irq = device.resources.irqs?.[index];
  if (irq === undefined) throw new Error(`${device.name} has no interrupt ${index}`);
  return lines.get(irq.gsi)?.(device.name) ?? host.irqLine(irq.gsi);
}

function doorbellOf(device: PlannedDevice, index: number, doorbells: readonly Doorbell[]): Doorbell {
  const doorbell = doorbells[device.firstDoorbell + index];
  if (doorbell === undefined || index >= (device.resources.doorbells ?? 0))
    throw new Error(`${device.name} has no doorbell ${index}`);
  return doorbell;
}
