/** What client and server know about each other besides LSP. */
import type { DescribedVm } from '../../../vmm-core/vmConf/describedVms.ts';

/** The VMs of a file; null when it has errors. */
export const VMS_REQUEST = 'trapframe/vms';
export interface VmsParams {
  readonly uri: string;
}
export type VmsResult = readonly DescribedVm[] | null;

/**
 * Commands of the lenses above each VM, with the path of its root file and its name. The client registers
 * them.
 */
export const LENS_COMMANDS = {
  run: 'trapframe.vmConf.run',
  debug: 'trapframe.vmConf.debug',
  console: 'trapframe.vmConf.console',
} as const;
