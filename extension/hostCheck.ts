/**
 * "Trapframe: Check Host": what this machine lacks for running guests, with a cure for each problem. Also
 * shown when F5 finds no KVM.
 */
import { execFile } from 'node:child_process';
import * as vscode from 'vscode';
import type { HostCheck } from '../vmm-core/protocol/hostCheck.ts';
import { hostCheckPage, parseHostCheck } from './hostCheckPage.ts';

const COMMAND = 'trapframe.checkHost';
const CHECK_TIMEOUT_MS = 30_000;

export class HostCheckPanel {
  readonly #vmmPath: string;
  #panel: vscode.WebviewPanel | undefined;

  constructor(vmmPath: string) {
    this.#vmmPath = vmmPath;
  }

  register(): vscode.Disposable {
    return vscode.commands.registerCommand(COMMAND, () => this.show());
  }

  async show(): Promise<void> {
    await this.#check(() => true);
  }

  /** After a VM failed to start: a healthy host has nothing to report. */
  async showWhenUnusable(): Promise<void> {
    await this.#check((it) => !it.usable);
  }

  async #check(isWorthShowing: (check: HostCheck) => boolean): Promise<void> {
    const progress = { location: vscode.ProgressLocation.Window, title: 'Checking this host' };
    try {
      const check = await vscode.window.withProgress(progress, () => runCheck(this.#vmmPath));
      if (isWorthShowing(check)) this.#render(check);
    } catch (error) {
      void vscode.window.showErrorMessage(error instanceof Error ? error.message : String(error));
    }
  }

  #render(check: HostCheck): void {
    this.#panel ??= this.#createPanel();
    this.#panel.webview.html = hostCheckPage(check, `command:${COMMAND}`);
    this.#panel.reveal();
  }

  #createPanel(): vscode.WebviewPanel {
    const options = { enableCommandUris: [COMMAND] };
    const column = vscode.ViewColumn.Active;
    const panel = vscode.window.createWebviewPanel('trapframe.hostCheck', 'Host Check', column, options);
    panel.onDidDispose(() => (this.#panel = undefined));
    return panel;
  }
}

/** Rejects with an Error for the user. */
async function runCheck(vmmPath: string): Promise<HostCheck> {
  const env = { ...process.env, ELECTRON_RUN_AS_NODE: '1' };
  const options = { env, timeout: CHECK_TIMEOUT_MS };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [vmmPath, 'check', '--json'], options, (error, stdout, stderr) => {
      try {
        resolve(parseHostCheck(stdout)); // the exit code only repeats what the findings say
      } catch (cause) {
        const reason = stderr.trim() || error?.message || String(cause);
        reject(new Error(`The host cannot be checked: ${reason}`, { cause }));
      }
    });
  });
}
