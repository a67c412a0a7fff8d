/** From a configuration and the catalog to the plan of a machine. Main thread, once per machine. */
import { SharedIrqLine } from '../bus/sharedIrqLine.ts';
import { StateBlock } from '../bus/stateBlock.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import { CATALOG } from './catalog.ts';
import type { DeviceClass, Irq, Resources, Window } from './device.ts';
import type { MachinePlan, PlannedDevice, PlannedIrq } from './machinePlan.ts';

/** Throws when two devices want the same: a bug of ours, as long as users cannot place devices. */
export function planMachine(config: VmConfig, catalog: readonly DeviceClass[] = CATALOG): MachinePlan {
  const memory = new StateMemory();
  const devices = catalog.flatMap((it) =>
    (it.instances?.(config) ?? [undefined]).map((instance) => planDevice(it, instance, memory)),
  );
  assertDisjoint('port', devices, ({ ports }) => ports);
  assertDisjoint('address', devices, ({ mmio }) => mmio);
  const irqs = planIrqs(devices, memory);
  return { devices, irqs, stateBytes: memory.sizeBytes };
}

/** Hands out consecutive pieces. */
class StateMemory {
  sizeBytes = 0;

  take(sizeBytes: number): number {
    const offset = this.sizeBytes;
    this.sizeBytes += sizeBytes;
    return offset;
  }
}

function planDevice(deviceClass: DeviceClass, instance: unknown, memory: StateMemory): PlannedDevice {
  return {
    classId: deviceClass.id,
    name: deviceClass.nameOf?.(instance) ?? deviceClass.id,
    instance,
    resources: deviceClass.resources(instance),
    stateOffset: memory.take(StateBlock.sizeOf(deviceClass.state ?? {})),
  };
}

function planIrqs(devices: readonly PlannedDevice[], memory: StateMemory): PlannedIrq[] {
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
    .sort((one, other) => one.base - other.base);
  windows.forEach((it, i) => {
    const next = windows[i + 1];
    if (next === undefined || it.base + it.sizeBytes <= next.base) return;
    const [one, other] = [it, next].map(({ name, base }) => `${name} at ${kind} 0x${base.toString(16)}`);
    throw new Error(`${one} overlaps ${other}`);
  });
}
