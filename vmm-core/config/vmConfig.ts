/**
 * The one description of a VM. `vmm run`'s flags, launch.json and vm.conf all produce this type; machine.ts
 * assembles it. Pure: nothing here touches files, so that editors and tests can check a configuration without
 * a host.
 */
import type { Values } from './rows.ts';
import type { SETTINGS } from './settings.ts';

export type VmConfig = Values<typeof SETTINGS>;
