/** The extension's entry: one register…() per feature. */
import path from 'node:path';
import * as vscode from 'vscode';
import { registerAdapterFactory } from './debug/adapterFactory.ts';
import { registerBoot } from './debug/bootCommand.ts';
import { registerConfigurations } from './debug/resolveConfig.ts';
import { registerVmSessions } from './debug/vmSession.ts';
import { HostCheckPanel } from './hostCheck.ts';
import { registerVmConf } from './language/client.ts';
import { registerNetworkCommands } from './networkCommands.ts';
import { registerNetworkView } from './networkView.ts';
import { registerRunningVmCommands } from './runningVmCommands.ts';
import { SerialTerminals } from './terminal/serialTerminal.ts';
import { VmProcesses } from './vmProcess.ts';

export function activate(context: vscode.ExtensionContext): void {
  const dist = path.join(context.extensionPath, 'dist');
  const log = vscode.window.createOutputChannel('Trapframe', { log: true });
  const processes = new VmProcesses(path.join(dist, 'vmm.js'), log);
  const hostCheck = new HostCheckPanel(path.join(dist, 'vmm.js'));
  const terminals = new SerialTerminals();
  const sockets = new Map<string, string>();

  context.subscriptions.push(
    log,
    processes,
    terminals,
    hostCheck.register(),
    registerRunningVmCommands(terminals, sockets),
    registerNetworkCommands(),
    registerNetworkView(),
    registerConfigurations({ processes, hostCheck }),
    registerBoot(() => processes.warmUp()),
    registerAdapterFactory(path.join(dist, 'debug-adapter.js')),
    registerVmSessions({ log, processes, terminals, hostCheck, sockets }),
    registerVmConf(dist, terminals),
  );
  if (hasOwnConfiguration()) processes.warmUp();
}

/** A core is kept warm only where an F5 of ours is likely. */
function hasOwnConfiguration(): boolean {
  const folders = vscode.workspace.workspaceFolders ?? [];
  return folders.some(({ uri }) => {
    const launch = vscode.workspace.getConfiguration('launch', uri);
    return launch.get<{ type?: string }[]>('configurations', []).some((it) => it.type === 'vmm');
  });
}
