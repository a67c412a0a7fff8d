/** One device of the machine as a client sees it: whatever has registers, without a list of devices. */
import { StateBlock } from '../bus/stateBlock.ts';
import type { BuiltDevice } from '../devices/buildDevices.ts';
import type { DeviceClass, Window } from '../devices/device.ts';
import type { PlannedDevice } from '../devices/machinePlan.ts';
import { functionState } from '../devices/pci/functionState.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import type { DeviceReport, PciReport, VirtioReport, WindowReport } from '../protocol/devices.ts';
import { hex } from '../protocol/hex.ts';
import { pciReport } from './pciReport.ts';
import { registerValues } from './registerValues.ts';
import { virtioReport } from './virtioReport.ts';

/** `registers`: the shared memory of all devices. */
export function deviceReport(
  { deviceClass, planned, state }: BuiltDevice,
  registers: SharedArrayBuffer,
  memory: GuestMemory,
): DeviceReport {
  const { name, classId, instance, resources } = planned;
  const decoded = deviceClass.inspect?.(instance, state, memory);
  const pci = functionOf(planned, registers);
  const virtio = virtioOf(deviceClass, planned, registers, memory);
  return {
    name,
    type: classId,
    ports: (resources.ports ?? []).map(windowReport),
    mmio: (resources.mmio ?? []).map(windowReport),
    irqs: (resources.irqs ?? []).map(({ gsi }) => gsi),
    registers: registerValues(deviceClass.state ?? {}, state),
    ...(decoded === undefined ? {} : { decoded }),
    ...(pci === undefined ? {} : { pci }),
    ...(virtio === undefined ? {} : { virtio }),
  };
}

function functionOf({ resources, pci }: PlannedDevice, registers: SharedArrayBuffer): PciReport | undefined {
  if (pci === undefined) return undefined;
  const state = new StateBlock(functionState(resources.pci?.msixVectors), registers, pci.stateOffset);
  return pciReport(pci, state.regs);
}

function virtioOf(
  { virtio }: DeviceClass,
  { instance, stateOffset }: PlannedDevice,
  registers: SharedArrayBuffer,
  memory: GuestMemory,
): VirtioReport | undefined {
  if (virtio === undefined) return undefined;
  return virtioReport(virtio, instance, new StateBlock(virtio.state, registers, stateOffset).regs, memory);
}

export function windowReport({ base, sizeBytes }: Pick<Window, 'base' | 'sizeBytes'>): WindowReport {
  return { base: hex(base), sizeBytes };
}
