/**
 * "Boot": what F5 does when the workspace has something to boot and nothing says what to debug. VS Code would
 * ask which debugger is meant, and no extension can answer that; so we bind the key while a context key says
 * that the answer is clear (f5.ts).
 */
import * as vscode from 'vscode';
import { VM_CONF } from '../language/contributions.ts';
import { ANSWERS_F5, answersF5, BOOT_COMMAND, debuggedLanguages } from './f5.ts';
import { bootable, BOOTABLE_PATTERN, chooseBootable } from './workspaceConfigurations.ts';

/** Builds write and delete several files at once. */
const SETTLE_MS = 200;

/** `onAnswers`: F5 is ours from now on. */
export function registerBoot(onAnswers: () => void): vscode.Disposable {
  const context = new F5Context(onAnswers);
  let booting: Promise<void> | undefined;
  const bootOnce = (): Promise<void> => {
    booting ??= boot().finally(() => (booting = undefined)); // a key pressed twice boots one VM
    return booting;
  };
  return vscode.Disposable.from(context, vscode.commands.registerCommand(BOOT_COMMAND, bootOnce));
}

async function boot(): Promise<void> {
  const folder = await folderToBoot();
  if (folder === undefined) {
    void vscode.window.showErrorMessage('This workspace has neither a kernel image nor a vm.conf to boot.');
    return;
  }
  const configuration = await chooseBootable(folder);
  if (configuration !== undefined) await vscode.debug.startDebugging(folder, configuration);
}

/** The folder of the active editor when it has something to boot, else the first that has. */
async function folderToBoot(): Promise<vscode.WorkspaceFolder | undefined> {
  const open = vscode.window.activeTextEditor?.document.uri;
  const active = open === undefined ? undefined : vscode.workspace.getWorkspaceFolder(open);
  const folders = vscode.workspace.workspaceFolders ?? [];
  for (const folder of active === undefined ? folders : [active, ...folders]) {
    if ((await bootable(folder)).length > 0) return folder;
  }
  return undefined;
}

/** Keeps the context key in step with what is open, configured and built. */
class F5Context implements vscode.Disposable {
  readonly #onAnswers: () => void;
  readonly #subscriptions: vscode.Disposable;
  #timer: NodeJS.Timeout | undefined;
  #hasCandidates = false;

  constructor(onAnswers: () => void) {
    this.#onAnswers = onAnswers;
    const files = vscode.workspace.createFileSystemWatcher(BOOTABLE_PATTERN, false, true, false);
    const look = (): void => this.#lookSoon();
    const update = (): void => void this.#update();
    this.#subscriptions = vscode.Disposable.from(
      files,
      files.onDidCreate(look),
      files.onDidDelete(look),
      vscode.workspace.onDidChangeWorkspaceFolders(look),
      vscode.workspace.onDidSaveTextDocument(({ languageId }) => languageId === VM_CONF && look()),
      vscode.workspace.onDidChangeConfiguration((it) => it.affectsConfiguration('launch') && update()),
      vscode.window.onDidChangeActiveTextEditor(update),
    );
    void this.#look();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#subscriptions.dispose();
  }

  #lookSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), SETTLE_MS);
  }

  async #look(): Promise<void> {
    const found = await Promise.all((vscode.workspace.workspaceFolders ?? []).map(bootable));
    this.#hasCandidates = found.some((it) => it.length > 0);
    await this.#update();
  }

  async #update(): Promise<void> {
    const others = vscode.extensions.all.filter((it) => !isOurs(it)).map((it): unknown => it.packageJSON);
    const answers = answersF5({
      hasCandidates: this.#hasCandidates,
      hasConfigurations: hasConfigurations(),
      language: vscode.window.activeTextEditor?.document.languageId,
      othersLanguages: debuggedLanguages(others),
    });
    await vscode.commands.executeCommand('setContext', ANSWERS_F5, answers);
    if (answers) this.#onAnswers();
  }
}

function isOurs({ packageJSON }: vscode.Extension<unknown>): boolean {
  return (packageJSON as { name?: unknown }).name === 'trapframe';
}

function hasConfigurations(): boolean {
  const scopes = [undefined, ...(vscode.workspace.workspaceFolders ?? [])];
  return scopes.some((folder) => {
    const launch = vscode.workspace.getConfiguration('launch', folder?.uri);
    return ['configurations', 'compounds'].some((it) => launch.get<unknown[]>(it, []).length > 0);
  });
}
