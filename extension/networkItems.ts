/** Network interfaces of running VMs as lists to choose from, and what is said of them. Pure. */
import { decodedText } from '../vmm-core/client/decodedText.ts';
import type { RunningVm } from '../vmm-core/client/runningVms.ts';
import type { Decoded } from '../vmm-core/protocol/devices.ts';
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

/** `hint`: after the file of a capture. */
export function networkItem(vm: RunningVm, network: NetworkSummary, hint = ''): NetworkItem {
  const { name } = network;
  return {
    label: `${name} · ${vm.name}`,
    description: summaryText(network),
    detail: captured(network)
      .map((it) => `${it}${hint}`)
      .join(''),
    vm,
    network,
  };
}

export function networkText(vm: string, summary: NetworkSummary, report: Decoded): string {
  const head = [`${summary.name} of ${vm}: ${summaryText(summary)}`, ...captured(summary)];
  return `${head.join('\n')}\n\n${decodedText(report)}`;
}

function captured({ capture }: NetworkSummary): string[] {
  return capture === undefined ? [] : [`captured into ${capture}`];
}

function summaryText({ kind, lladdr, isUp }: NetworkSummary): string {
  return `${kind}, ${lladdr}, link ${isUp ? 'up' : 'down'}`;
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
