/** Network interfaces of running VMs as lists to choose from, and what captures of them are called. Pure. */
import type { RunningVm } from '../vmm-core/client/runningVms.ts';
import type { CaptureResult, NetworkSummary } from '../vmm-core/protocol/networks.ts';

/** As vscode.QuickPickItem. */
export interface NetworkItem {
  readonly label: string;
  readonly description: string;
  readonly detail: string;
  readonly vm: RunningVm;
  readonly network: NetworkSummary;
}

export const NO_NETWORK =
  'No running VM has a network interface: give it one with "networks": ["user"] in launch.json.';

export function networkItem(vm: RunningVm, network: NetworkSummary): NetworkItem {
  const { name, kind, lladdr, isUp, capture } = network;
  return {
    label: `${name} · ${vm.name}`,
    description: `${kind}, ${lladdr}, link ${isUp ? 'up' : 'down'}`,
    detail: capture === undefined ? '' : `captured into ${capture}: choose it to stop`,
    vm,
    network,
  };
}

/** `guest-net0.pcapng`. */
export function captureFileName({ vm, network }: NetworkItem): string {
  return `${vm.name}-${network.name}.pcapng`;
}

export function captureSentence({ frames, dropped, paths }: CaptureResult): string {
  const files =
    paths.length === 1 ? (paths[0] ?? '') : `${paths.length} files, the last ${paths.at(-1) ?? ''}`;
  const lost = dropped === 0 ? '' : ` ${dropped} more were lost: the file could not keep up.`;
  return `${frames} frame${frames === 1 ? '' : 's'} in ${files}.${lost}`;
}
