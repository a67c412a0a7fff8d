/**
 * What can be done with running VMs, no matter who started them: show a serial port, shut a guest down, stop
 * a VM, choose one to attach to.
 */
import * as vscode from 'vscode';
import { pressPowerButton } from '../vmm-core/client/powerButton.ts';
import { runningVms, type RunningVm } from '../vmm-core/client/runningVms.ts';
import { connectVmm, type VmmClient } from '../vmm-core/client/vmmClient.ts';
import { kill } from '../vmm-core/protocol/vm.ts';
import type { SessionSockets } from './debug/vmSession.ts';
import { NO_VM_RUNS, portItems, vmItem } from './runningVmItems.ts';
import { showConsole } from './terminal/console.ts';
import type { SerialTerminals } from './terminal/serialTerminal.ts';

const CLIENT = 'vscode';
const STATUS_MESSAGE_MS = 5000;
const STOP_VM = 'Stop VM';

export function registerRunningVmCommands(
  terminals: SerialTerminals,
  sockets: SessionSockets,
): vscode.Disposable {
  return vscode.Disposable.from(
    command('trapframe.showConsole', () => chooseConsole(terminals)),
    command('trapframe.shutDownGuest', () => shutDownGuest(sockets)),
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

/** Of the session that the debug toolbar is about, or of one to choose. */
async function shutDownGuest(sockets: SessionSockets): Promise<void> {
  const { activeDebugSession: session } = vscode.debug;
  const own = session === undefined ? undefined : sockets.get(session.id);
  const socket = own ?? (await chooseVm('VM whose guest shall shut down'))?.socket;
  if (socket === undefined) return;
  const { vm, problem } = await withVmm(socket, async (client) => ({
    vm: `VM "${client.info.config?.name ?? ''}"`,
    problem: await pressPowerButton(client),
  }));
  if (problem === undefined) {
    vscode.window.setStatusBarMessage(`The guest of ${vm} was asked to shut down`, STATUS_MESSAGE_MS);
    return;
  }
  const chosen = await vscode.window.showWarningMessage(`${vm}: ${problem}.`, STOP_VM);
  if (chosen === STOP_VM) await withVmm(socket, ({ connection }) => connection.sendRequest(kill));
}

async function stopVm(): Promise<void> {
  const vm = await chooseVm('VM to stop, at once: the guest is not asked');
  if (vm === undefined) return;
  await withVmm(vm.socket, ({ connection }) => connection.sendRequest(kill));
  vscode.window.setStatusBarMessage(`VM "${vm.name}" was stopped`, STATUS_MESSAGE_MS);
}

export async function withVmm<R>(socket: string, use: (client: VmmClient) => Promise<R>): Promise<R> {
  const client = await connectVmm(socket, { client: CLIENT });
  try {
    return await use(client);
  } finally {
    client.dispose();
  }
}

/** Shows the sentence of what it throws. */
export function command(id: string, action: () => Promise<void>): vscode.Disposable {
  return vscode.commands.registerCommand(id, async () => {
    await action().catch((error: unknown) => {
      void vscode.window.showErrorMessage(error instanceof Error ? error.message : String(error));
    });
  });
}
