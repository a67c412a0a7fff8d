/** What the firmware's tables are made of: each device's own part, as the machine's plan lists them. */
import { classOf } from '../devices/catalog.ts';
import type { MachinePlan } from '../devices/machinePlan.ts';
import type { Board } from '../firmware/contribution.ts';

export function describeBoard(plan: MachinePlan, cpus: number): Board {
  const chips = plan.devices.flatMap(
    ({ classId, instance, resources }) => classOf(classId).firmware?.(instance, resources) ?? [],
  );
  return { cpus, chips };
}
