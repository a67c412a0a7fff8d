/**
 * Starts the debug adapter, a separate process that speaks DAP on stdio, with the Node that VS Code itself
 * runs on.
 */
import * as vscode from 'vscode';

export function registerAdapterFactory(adapterPath: string): vscode.Disposable {
  return vscode.debug.registerDebugAdapterDescriptorFactory('vmm', {
    createDebugAdapterDescriptor: () =>
      new vscode.DebugAdapterExecutable(process.execPath, [adapterPath], {
        env: { ELECTRON_RUN_AS_NODE: '1' }, // Electron's executable acts as Node when told to
      }),
  });
}
