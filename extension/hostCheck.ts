/** "Trapframe: Check Host": what this machine lacks to run guests, with the cure for each thing. Also shown when F5 finds no KVM. */
import { execFile } from 'node:child_process';
import * as vscode from 'vscode';
import { type HostCheck, hostCheckPage, parseHostCheck } from './hostCheckPage.ts';

const COMMAND = 'trapframe.checkHost';
const CHECK_TIMEOUT_MS = 30_000;

export function registerHostCheck(vmmPath: string): vscode.Disposable {
  let panel: vscode.WebviewPanel | undefined;
  return vscode.commands.registerCommand(COMMAND, async () => {
    const progress = { location: vscode.ProgressLocation.Window, title: 'Checking this host' };
    const result = await vscode.window.withProgress(progress, () => runCheck(vmmPath));
    if (result instanceof Error) return void vscode.window.showErrorMessage(result.message);
    panel ??= createPanel(() => (panel = undefined));
    panel.webview.html = hostCheckPage(result, `command:${COMMAND}`);
    panel.reveal();
  });
}

export function checkHost(): void {
  void vscode.commands.executeCommand(COMMAND);
}

function createPanel(onClosed: () => void): vscode.WebviewPanel {
  const panel = vscode.window.createWebviewPanel(
    'trapframe.hostCheck',
    'Host Check',
    vscode.ViewColumn.Active,
    {
      enableCommandUris: [COMMAND],
    },
  );
  panel.onDidDispose(onClosed);
  return panel;
}

/** The exit code says whether guests can run; the findings come either way. */
async function runCheck(vmmPath: string): Promise<HostCheck | Error> {
  const env = { ...process.env, ELECTRON_RUN_AS_NODE: '1' };
  const options = { env, timeout: CHECK_TIMEOUT_MS };
  return new Promise((resolve) => {
    execFile(process.execPath, [vmmPath, 'check', '--json'], options, (error, stdout, stderr) => {
      try {
        resolve(parseHostCheck(stdout));
      } catch (cause) {
        const reason = stderr.trim() || error?.message || String(cause);
        resolve(new Error(`The host cannot be checked: ${reason}`, { cause }));
      }
    });
  });
}
