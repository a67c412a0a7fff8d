/** What an I/O thread does: the services of its devices, in a loop that main commands. */
import { receiveMessageOnPort } from 'node:worker_threads';
import { buildDevices, type BuiltDevice } from '../devices/buildDevices.ts';
import { CATALOG, classOf } from '../devices/catalog.ts';
import { hostClock } from '../devices/clock.ts';
import { type DeviceClass, WAKE_EVENT } from '../devices/device.ts';
import type { DeviceService, IoSlots, ServicePort } from '../devices/deviceService.ts';
import type { GuestPower } from '../devices/guestPower.ts';
import { kvmDoorbells } from '../kvm/doorbell.ts';
import { openIoEngine } from '../kvm/io/openIoEngine.ts';
import { kvmMsi } from '../kvm/msi.ts';
import { kvmIrqLine } from '../kvm/vm.ts';
import { log } from '../log.ts';
import { GuestMemory } from '../memory/guestMemory.ts';
import { IoLoop, type Served } from './ioLoop.ts';
import type { IoAssignment, IoCommand, IoMessage } from './messages.ts';
import { serviceWaker } from './serviceWaker.ts';

type Post = (message: IoMessage) => void;

/** Resolves when main has closed it. */
export async function runIo(
  assignment: IoAssignment,
  post: Post,
  catalog: readonly DeviceClass[] = CATALOG,
): Promise<void> {
  log.setThread(`vm/${assignment.vmName}/${assignment.threadName}`);
  log.setLevel(assignment.logLevel);
  await loadServed(assignment, catalog);
  const engine = openIoEngine(assignment.engine, assignment.ram);
  const wakeFd = assignment.ioWakeFds[assignment.threadName];
  if (wakeFd === undefined) throw new Error(`nothing wakes the I/O thread ${assignment.threadName}`);
  const nextCommand = (): IoCommand | undefined =>
    (receiveMessageOnPort(assignment.commands) as { message: IoCommand } | undefined)?.message;
  const loop = new IoLoop({ engine, wakeFd, nextCommand, post }, servedDevices(assignment, post, catalog));
  loop.run();
  assignment.commands.close(); // or the thread would wait for more
}

async function loadServed(
  { plan, threadName }: IoAssignment,
  catalog: readonly DeviceClass[],
): Promise<void> {
  for (const { classId, resources, instance } of plan.devices)
    if (resources.ioThread === threadName) await classOf(classId, catalog).load?.([instance]);
}

function servedDevices(
  assignment: IoAssignment,
  post: Post,
  catalog: readonly DeviceClass[],
): readonly Served[] {
  const { plan, deviceMemory, vmFd, doorbellFds, ioWakeFds } = assignment;
  const memory = new GuestMemory(assignment.ram);
  const host = {
    clock: hostClock,
    power: NO_POWER,
    irqLine: (gsi: number) => kvmIrqLine(vmFd, gsi),
    doorbell: kvmDoorbells(vmFd, doorbellFds),
    msi: kvmMsi(vmFd),
    holdGuest: noGuest,
    arm: (device: number, delayMs: number) => post({ kind: 'timer', device, delayMs }),
    notify: (device: number, event: string, value: number) => post({ kind: 'notify', device, event, value }),
    wakeService: serviceWaker(plan, ioWakeFds, (device) =>
      post({ kind: 'notify', device, event: WAKE_EVENT, value: 0 }),
    ),
  };
  const { devices } = buildDevices(plan, deviceMemory, host, catalog);
  return devices.flatMap((built, device) => {
    const { ioThread, doorbells = 0 } = built.planned.resources;
    if (ioThread !== assignment.threadName) return [];
    const first = built.planned.firstDoorbell;
    const opened = assignment.opened.get(device);
    const tell = (message: unknown): void => post({ kind: 'tell', device, message });
    const serve = (io: IoSlots): DeviceService => serviceOf(built, { memory, opened, io, tell });
    return [{ device, doorbellFds: doorbellFds.slice(first, first + doorbells), serve }];
  });
}

function serviceOf(
  { deviceClass, planned, state, device }: BuiltDevice,
  lent: Pick<ServicePort, 'memory' | 'opened' | 'io' | 'tell'>,
): DeviceService {
  const { name, instance } = planned;
  const service = device && deviceClass.service?.(instance, { name, state, device, ...lent });
  if (service === undefined) throw new Error(`${name} has no service`);
  return service;
}

/** No guest runs on this thread. */
const NO_POWER: GuestPower = {
  powerOff: noGuest,
  reset: noGuest,
  debugExit: noGuest,
  panic: noGuest,
};

function noGuest(): never {
  throw new Error('a service has answered a guest');
}
