/** Running VMs as lists to choose from. Pure. */
import type { RunningVm } from '../vmm-core/client/runningVms.ts';
import { formatSize } from '../vmm-core/config/size.ts';
import { consoleLines } from './terminal/console.ts';

/** As vscode.QuickPickItem. */
export interface VmItem {
  readonly label: string;
  readonly description: string;
  readonly detail: string;
  readonly vm: RunningVm;
}

export interface PortItem extends VmItem {
  /** 0 is COM1. */
  readonly port: number;
}

export const NO_VM_RUNS = 'No VM is running: start one with F5, or in a shell with "vmm run".';

export function vmItem(vm: RunningVm): VmItem {
  const { name, state, pid, config } = vm;
  const cpus = `${config.cpus} CPU${config.cpus === 1 ? '' : 's'}`;
  return {
    label: name,
    description: `${state}, ${cpus}, ${formatSize(config.memoryBytes)}, pid ${pid}`,
    detail: config.kernel,
    vm,
  };
}

/** One for each serial port that can be shown; COM1 of all VMs first. */
export function portItems(vms: readonly RunningVm[]): PortItem[] {
  const items = vms.flatMap((vm) =>
    consoleLines(vm).map(({ port, title }) => ({ ...vmItem(vm), label: `${title} · ${vm.name}`, port })),
  );
  return items.sort((a, b) => a.port - b.port);
}
