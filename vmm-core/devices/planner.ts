/** From a configuration and the catalog to the plan of a machine. Main thread, once per machine. */
import { SharedIrqLine } from '../bus/sharedIrqLine.ts';
import { StateBlock } from '../bus/stateBlock.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import { CATALOG } from './catalog.ts';
import { PlacedDoorbell } from './doorbells.ts';
import type { DeviceClass, Irq, Resources, Window } from './device.ts';
import type { MachinePlan, PlannedDevice, PlannedIrq } from './machinePlan.ts';
import { PciBus } from './pci/pciBus.ts';
import { PlatformPlaces } from './platformPlaces.ts';
import { planFunctions, type PlannedFunction } from './pci/pciPlan.ts';

/** Throws when two devices want the same: a bug of ours, as long as users cannot place devices. */
export function planMachine(config: VmConfig, catalog: readonly DeviceClass[] = CATALOG): MachinePlan {
  const memory = new Ranges();
  const doorbells = new Ranges();
  const places = new PlatformPlaces();
  const instances = catalog.flatMap((it) =>
    (it.instances?.(config) ?? [undefined]).map((instance) => describe(it, instance, places)),
  );
  const functions = planPci(instances, memory);
  const devices = instances.map((it) => planDevice(it, functions.get(it), memory, doorbells));
  assertDisjoint('port', devices, ({ ports }) => ports);
  assertDisjoint('address', devices, ({ mmio }) => mmio);
  const irqs = planIrqs(devices, memory);
  const doorbellStates = Array.from({ length: doorbells.end }, () =>
    memory.take(StateBlock.sizeOf(PlacedDoorbell.state)),
  );
  const pciBusState = memory.take(StateBlock.sizeOf(PciBus.state));
  return { devices, irqs, doorbellStates, pciBusState, stateBytes: memory.end };
}

/** What a class says of an instance. */
interface Instance {
  readonly deviceClass: DeviceClass;
  readonly instance: unknown;
  readonly name: string;
  readonly resources: Resources;
}

function describe(deviceClass: DeviceClass, instance: unknown, places: PlatformPlaces): Instance {
  const name = deviceClass.nameOf?.(instance) ?? deviceClass.id;
  return { deviceClass, instance, name, resources: places.complete(name, deviceClass.resources(instance)) };
}

/** Hands out consecutive pieces. */
class Ranges {
  end = 0;

  take(length: number): number {
    const start = this.end;
    this.end += length;
    return start;
  }
}

/** The functions of the PCI bus, by what asked for them. */
function planPci(instances: readonly Instance[], memory: Ranges): ReadonlyMap<Instance, PlannedFunction> {
  const requests = instances.flatMap((it) =>
    it.resources.pci === undefined ? [] : [{ instance: it, name: it.name, pci: it.resources.pci }],
  );
  const functions = planFunctions(requests, (sizeBytes) => memory.take(sizeBytes));
  return new Map(
    functions.flatMap((it, i) => (requests[i] === undefined ? [] : [[requests[i].instance, it]])),
  );
}

function planDevice(
  { deviceClass, instance, name, resources }: Instance,
  pci: PlannedFunction | undefined,
  memory: Ranges,
  doorbells: Ranges,
): PlannedDevice {
  return {
    classId: deviceClass.id,
    name,
    instance,
    resources: pci?.gsi === undefined ? resources : withPciIrq(resources, pci.gsi),
    stateOffset: memory.take(StateBlock.sizeOf(deviceClass.state ?? {})),
    firstDoorbell: doorbells.take(resources.doorbells ?? 0),
    ...(pci === undefined ? {} : { pci }),
  };
}

/** PCI 3.0 §2.2.6: a level that all functions on the line share. */
function withPciIrq(resources: Resources, gsi: number): Resources {
  return { ...resources, irqs: [...(resources.irqs ?? []), { gsi, trigger: 'level', isShared: true }] };
}

function planIrqs(devices: readonly PlannedDevice[], memory: Ranges): PlannedIrq[] {
  const wired = devices.flatMap(({ name, resources }) =>
    (resources.irqs ?? []).map((irq) => ({ name, irq })),
  );
  const gsis = [...new Set(wired.map(({ irq }) => irq.gsi))].sort((one, other) => one - other);
  return gsis.map((gsi) => {
    const users = wired.filter(({ irq }) => irq.gsi === gsi);
    assertShareable(gsi, users);
    return {
      gsi,
      trigger: users[0]?.irq.trigger ?? 'edge',
      users: users.map(({ name }) => name),
      stateOffset: memory.take(StateBlock.sizeOf(SharedIrqLine.state)),
    };
  });
}

function assertShareable(gsi: number, users: readonly { readonly name: string; readonly irq: Irq }[]): void {
  if (users.length < 2) return;
  const names = users.map(({ name }) => name).join(' and ');
  if (users.some(({ irq }) => irq.isShared !== true)) throw new Error(`IRQ ${gsi} is wanted by ${names}`);
  if (new Set(users.map(({ irq }) => irq.trigger)).size > 1)
    throw new Error(`IRQ ${gsi} is both a level and an edge to ${names}`);
}

function assertDisjoint(
  kind: 'port' | 'address',
  devices: readonly PlannedDevice[],
  windowsOf: (resources: Resources) => readonly Window[] | undefined,
): void {
  const windows = devices
    .flatMap(({ name, resources }) => (windowsOf(resources) ?? []).map((window) => ({ name, ...window })))
    .filter(({ isDwordOnly }) => isDwordOnly !== true)
    .sort((one, other) => one.base - other.base);
  windows.forEach((it, i) => {
    const next = windows[i + 1];
    if (next === undefined || it.base + it.sizeBytes <= next.base) return;
    const [one, other] = [it, next].map(({ name, base }) => `${name} at ${kind} 0x${base.toString(16)}`);
    throw new Error(`${one} overlaps ${other}`);
  });
}
