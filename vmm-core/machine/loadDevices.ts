/** Loads the code of devices that few machines have, before one that has them is made. Main thread. */
import type { VmConfig } from '../config/vmConfig.ts';
import { CATALOG } from '../devices/catalog.ts';

export async function loadDevices(config: VmConfig): Promise<void> {
  for (const it of CATALOG) {
    const instances = it.instances?.(config);
    if (instances === undefined || instances.length > 0) await it.load?.(instances ?? []);
  }
}
