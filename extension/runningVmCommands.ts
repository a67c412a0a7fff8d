/**
 * What can be done with running VMs, no matter who started them: show a serial port, stop one, choose one to
 * attach to.
 */
import * as vscode from 'vscode';
import { runningVms, type RunningVm } from '../vmm-core/client/runningVms.ts';
import { connectVmm } from '../vmm-core/client/vmmClient.ts';
import { kill } from '../vmm-core/protocol/vm.ts';
import { NO_VM_RUNS, portItems, vmItem } from './runningVmItems.ts';
import { showConsole } from './terminal/console.ts';
import type { SerialTerminals } from './terminal/serialTerminal.ts';

const CLIENT = 'vscode';
const STATUS_MESSAGE_MS = 5000;

export function registerRunningVmCommands(terminals: SerialTerminals): vscode.Disposable {
  return vscode.Disposable.from(
    command('trapframe.showConsole', () => chooseConsole(terminals)),
    command('trapframe.stopVm', stopVm),
  );
}

/** Undefined when none was chosen; when there was none to choose, a message was shown. */
export async function chooseVm(placeHolder: string): Promise<RunningVm | undefined> {
  const vms = await runningVms(CLIENT);
  if (vms.length === 0) {
    void vscode.window.showInformationMessage(NO_VM_RUNS);
    return undefined;
  }
  return (await vscode.window.showQuickPick(vms.map(vmItem), { placeHolder, matchOnDetail: true }))?.vm;
}

async function chooseConsole(terminals: SerialTerminals): Promise<void> {
  const vms = await runningVms(CLIENT);
  if (vms.length === 0) return void vscode.window.showInformationMessage(NO_VM_RUNS);
  const items = portItems(vms);
  if (items.length === 0) throw new Error('No running VM has a serial port to show.');
  const options = { placeHolder: 'Serial port to show', matchOnDetail: true };
  const chosen = items.length === 1 ? items[0] : await vscode.window.showQuickPick(items, options);
  if (chosen !== undefined) await showConsole(chosen.vm, chosen.port, terminals);
}

async function stopVm(): Promise<void> {
  const vm = await chooseVm('VM to stop, at once: the guest is not asked');
  if (vm === undefined) return;
  const client = await connectVmm(vm.socket, { client: CLIENT });
  try {
    await client.connection.sendRequest(kill);
  } finally {
    client.dispose();
  }
  vscode.window.setStatusBarMessage(`VM "${vm.name}" was stopped`, STATUS_MESSAGE_MS);
}

/** Shows the sentence of what it throws. */
export function command(id: string, action: () => Promise<void>): vscode.Disposable {
  return vscode.commands.registerCommand(id, async () => {
    await action().catch((error: unknown) => {
      void vscode.window.showErrorMessage(error instanceof Error ? error.message : String(error));
    });
  });
}
