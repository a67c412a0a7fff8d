/** What a machine consists of: the plan, as far as clients can use it, and who asserts which interrupt. */
import { SharedIrqLine } from '../bus/sharedIrqLine.ts';
import { StateBlock } from '../bus/stateBlock.ts';
import type { MachinePlan, PlannedIrq } from '../devices/machinePlan.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import type { Decoded, InterruptReport, MachineReport } from '../protocol/devices.ts';
import { windowReport } from './deviceReport.ts';

export interface InspectedDevices {
  readonly plan: MachinePlan;
  /** The shared memory of all devices. */
  readonly memory: SharedArrayBuffer;
}

/** `threadIds`: of the vCPUs, by index. `chips`: what KVM has. */
export function machineReport(
  { plan, memory: registers }: InspectedDevices,
  memory: GuestMemory,
  threadIds: readonly number[],
  chips: Decoded,
): MachineReport {
  return {
    vcpus: threadIds.map((threadId, cpu) => ({ cpu, threadId })),
    memory: memory.slots.map(windowReport),
    devices: plan.devices.map(({ name }) => name),
    interrupts: plan.irqs.map((it) => interruptReport(it, registers)),
    chips,
  };
}

function interruptReport(
  { gsi, trigger, users, stateOffset }: PlannedIrq,
  registers: SharedArrayBuffer,
): InterruptReport {
  if (users.length < 2) return { gsi, trigger, users };
  const { sources } = new StateBlock(SharedIrqLine.state, registers, stateOffset).regs;
  return { gsi, trigger, users, asserting: users.filter((_, i) => (sources & (1 << i)) !== 0) };
}
