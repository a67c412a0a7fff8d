/** DeviceHost.wakeService, as every thread has it. */
import type { MachinePlan } from '../devices/machinePlan.ts';
import { signalEventFd } from '../kvm/libc.ts';

/** `ioWakeFds` by the names of the I/O threads; `tellMain` for devices that main serves. */
export function serviceWaker(
  plan: MachinePlan,
  ioWakeFds: Readonly<Record<string, number>>,
  tellMain: (device: number) => void,
): (device: number) => void {
  return (device) => {
    const thread = plan.devices[device]?.resources.ioThread;
    const wakeFd = thread === undefined ? undefined : ioWakeFds[thread];
    if (wakeFd === undefined) tellMain(device);
    else signalEventFd(wakeFd);
  };
}
