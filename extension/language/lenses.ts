/**
 * What the lenses above a VM of a vm.conf do. Run and Debug start it, each as a VS Code session, so that its
 * stop button, its restart and its terminals are where they always are. If the VM is already running, here or
 * elsewhere, Run and Console show the console; Debug attaches.
 */
import * as vscode from 'vscode';
import { serialTitle } from '../../vmm-core/config/serialBackend.ts';
import { runningVms, type RunningVm } from '../../vmm-core/client/runningVms.ts';
import type { DescribedVm } from '../../vmm-core/vmConf/describedVms.ts';
import { showConsole } from '../terminal/console.ts';
import type { SerialTerminals } from '../terminal/serialTerminal.ts';
import { attachConfiguration, launchConfiguration } from './launchConfiguration.ts';
import { LENS_COMMANDS } from './server/contract.ts';

export interface LensServices {
  readonly terminals: SerialTerminals;
  /** A VM of a file as it is written now; undefined, with a message why, when there is none. */
  readonly vmOf: (file: string, name: string) => Promise<DescribedVm | undefined>;
}

export function registerLenses({ terminals, vmOf }: LensServices): vscode.Disposable {
  const command = (id: string, act: (file: string, vm: DescribedVm) => Promise<void>): vscode.Disposable =>
    vscode.commands.registerCommand(id, async (file: string, name: string) => {
      const vm = await vmOf(file, name);
      if (vm === undefined) return;
      await act(file, vm).catch((error: unknown) => {
        void vscode.window.showErrorMessage(error instanceof Error ? error.message : String(error));
      });
    });
  return vscode.Disposable.from(
    command(LENS_COMMANDS.run, async (file, vm) => {
      const running = await runningVm(vm.config.name);
      if (running === undefined) await launch(file, vm, true);
      else await showConsole(running, CONSOLE_PORT, terminals);
    }),
    command(LENS_COMMANDS.console, async (file, vm) => {
      const running = await runningVm(vm.config.name);
      if (running !== undefined) return showConsole(running, CONSOLE_PORT, terminals);
      terminals.awaitFocus(vm.config.name, serialTitle(CONSOLE_PORT));
      await launch(file, vm, true);
    }),
    command(LENS_COMMANDS.debug, async (file, vm) => {
      if ((await runningVm(vm.config.name)) === undefined) return launch(file, vm, false);
      await vscode.debug.startDebugging(folderOf(file), attachConfiguration(vm));
    }),
  );
}

/** COM1. */
const CONSOLE_PORT = 0;

async function launch(file: string, vm: DescribedVm, noDebug: boolean): Promise<void> {
  const configuration = launchConfiguration(vm);
  if (typeof configuration === 'string') throw new Error(configuration);
  await vscode.debug.startDebugging(folderOf(file), configuration, { noDebug });
}

function folderOf(file: string): vscode.WorkspaceFolder | undefined {
  return vscode.workspace.getWorkspaceFolder(vscode.Uri.file(file));
}

async function runningVm(name: string): Promise<RunningVm | undefined> {
  return (await runningVms('vscode')).find((it) => it.name === name);
}
