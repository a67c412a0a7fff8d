/** What can be done with network interfaces of running VMs: look at them, captures, links up and down. */
import path from 'node:path';
import * as vscode from 'vscode';
import { type RunningVm, runningVms } from '../vmm-core/client/runningVms.ts';
import {
  listNetworks,
  setNetworkLink,
  startNetworkCapture,
  stopNetworkCapture,
} from '../vmm-core/protocol/networks.ts';
import {
  captureFileName,
  captureSentence,
  NO_NETWORK,
  networkItem,
  type NetworkItem,
} from './networkItems.ts';
import { showNetwork } from './networkView.ts';
import { command, withVmm } from './runningVmCommands.ts';
import { NO_VM_RUNS } from './runningVmItems.ts';

const CLIENT = 'vscode';
const STATUS_MESSAGE_MS = 5000;
const SHOW_FILE = 'Show File';

export function registerNetworkCommands(): vscode.Disposable {
  return vscode.Disposable.from(
    command('trapframe.showNetwork', chooseAndShow),
    command('trapframe.captureNetwork', captureNetwork),
    command('trapframe.networkLink', changeLink),
  );
}

async function chooseAndShow(): Promise<void> {
  const item = await chooseNetwork('Network interface to look at');
  if (item !== undefined) await showNetwork(item);
}

async function captureNetwork(): Promise<void> {
  const item = await chooseNetwork('Network interface to capture', ': choose it to stop');
  if (item === undefined) return;
  const { vm, network } = item;
  if (network.capture !== undefined) return stopCapture(item);
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? path.dirname(vm.config.kernel);
  const file = await vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.file(path.join(folder, captureFileName(item))),
    filters: { 'Packet captures': ['pcapng'] },
    title: `Capture ${item.label}`,
  });
  if (file === undefined) return;
  await withVmm(vm.socket, ({ connection }) =>
    connection.sendRequest(startNetworkCapture, { network: network.name, path: file.fsPath }),
  );
  const hint = 'the same command stops it';
  vscode.window.setStatusBarMessage(`Capturing ${item.label}: ${hint}`, STATUS_MESSAGE_MS);
}

async function stopCapture({ vm, network }: NetworkItem): Promise<void> {
  const result = await withVmm(vm.socket, ({ connection }) =>
    connection.sendRequest(stopNetworkCapture, { network: network.name }),
  );
  const last = result.paths.at(-1);
  const choices = last === undefined ? [] : [SHOW_FILE];
  const chosen = await vscode.window.showInformationMessage(captureSentence(result), ...choices);
  if (chosen === SHOW_FILE && last !== undefined)
    await vscode.commands.executeCommand('revealFileInOS', vscode.Uri.file(last));
}

async function changeLink(): Promise<void> {
  const item = await chooseNetwork('Network interface whose link goes down, or up again');
  if (item === undefined) return;
  const isUp = !item.network.isUp;
  await withVmm(item.vm.socket, ({ connection }) =>
    connection.sendRequest(setNetworkLink, { network: item.network.name, isUp }),
  );
  vscode.window.setStatusBarMessage(`${item.label}: link ${isUp ? 'up' : 'down'}`, STATUS_MESSAGE_MS);
}

/** Undefined when none was chosen; when there was none to choose, a message was shown. */
async function chooseNetwork(placeHolder: string, captureHint?: string): Promise<NetworkItem | undefined> {
  const vms = await runningVms(CLIENT);
  const items = (await Promise.all(vms.map((it) => networkItems(it, captureHint)))).flat();
  if (items.length === 0) {
    void vscode.window.showInformationMessage(vms.length === 0 ? NO_VM_RUNS : NO_NETWORK);
    return undefined;
  }
  return vscode.window.showQuickPick(items, { placeHolder, matchOnDescription: true });
}

async function networkItems(vm: RunningVm, captureHint?: string): Promise<NetworkItem[]> {
  const networks = await withVmm(vm.socket, ({ connection }) => connection.sendRequest(listNetworks));
  return networks.map((it) => networkItem(vm, it, captureHint));
}
