/**
 * vm.conf in VS Code: starts the language server when such a file is first opened. The library is loaded
 * then, too.
 */
import path from 'node:path';
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import type { DescribedVm } from '../../vmm-core/vmConf/describedVms.ts';
import type { SerialTerminals } from '../terminal/serialTerminal.ts';
import { VM_CONF } from './contributions.ts';
import { registerLenses } from './lenses.ts';
import { VMS_REQUEST, type VmsParams, type VmsResult } from './server/contract.ts';

/** `dist`: where language-server.js is. */
export function registerVmConf(dist: string, terminals: SerialTerminals): vscode.Disposable {
  const language = new VmConfLanguage(dist);
  return vscode.Disposable.from(
    language,
    vscode.workspace.onDidOpenTextDocument((it) => language.opened(it)),
    registerLenses({ terminals, vmOf: (file, name) => language.vm(file, name) }),
  );
}

class VmConfLanguage implements vscode.Disposable {
  readonly #dist: string;
  #client: Promise<LanguageClient> | undefined;

  constructor(dist: string) {
    this.#dist = dist;
    for (const document of vscode.workspace.textDocuments) this.opened(document);
  }

  opened({ languageId }: vscode.TextDocument): void {
    if (languageId !== VM_CONF) return;
    this.#client ??= startClient(path.join(this.#dist, 'language-server.js'));
    this.#client.catch((error: unknown) => {
      void vscode.window.showErrorMessage(`The language server of vm.conf did not start: ${String(error)}`);
    });
  }

  /** A VM of a file, which is saved first; undefined, with a message, when there is none. */
  async vm(file: string, name: string): Promise<DescribedVm | undefined> {
    await vscode.workspace.saveAll(false);
    const client = await this.#client;
    const params: VmsParams = { uri: vscode.Uri.file(file).toString() };
    const vms = await client?.sendRequest<VmsResult>(VMS_REQUEST, params);
    const found = vms?.find((it) => it.config.name === name);
    if (found === undefined) {
      void vscode.window.showErrorMessage(
        `VM "${name}" cannot be started: ${path.basename(file)} has errors.`,
      );
    }
    return found;
  }

  dispose(): void {
    void this.#client?.then((it) => it.stop()).catch(() => undefined); // it never ran, or is gone already
  }
}

async function startClient(server: string): Promise<LanguageClient> {
  const { LanguageClient } = await import('vscode-languageclient/node');
  const command = {
    command: process.execPath,
    args: [server, '--stdio'],
    options: { env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' } },
  };
  const client = new LanguageClient(VM_CONF, 'vm.conf', command, {
    documentSelector: [{ scheme: 'file', language: VM_CONF }],
    initializationOptions: {
      openbsd: vscode.workspace.getConfiguration('trapframe.vmConf').get('openbsd') === true,
    },
    synchronize: {
      configurationSection: 'trapframe',
      fileEvents: vscode.workspace.createFileSystemWatcher('**/*.conf'),
    },
  });
  await client.start();
  return client;
}
