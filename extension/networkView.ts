/**
 * What a network interface of a running VM tells of itself (traffic, addresses, tables, connections), as a
 * document that is renewed while it is visible.
 */
import * as vscode from 'vscode';
import { connectVmm, type VmmClient } from '../vmm-core/client/vmmClient.ts';
import { listNetworks, reportNetwork } from '../vmm-core/protocol/networks.ts';
import { LivePages } from './livePages.ts';
import { type NetworkItem, networkText } from './networkItems.ts';

const SCHEME = 'trapframe-network';
const CLIENT = 'vscode';

/** Where an interface is. */
interface Address {
  /** Of the VM. */
  readonly socket: string;
  readonly network: string;
}

export function registerNetworkView(): vscode.Disposable {
  const changes = new vscode.EventEmitter<vscode.Uri>();
  const vms = new VmClients();
  const pages = new LivePages({
    read: (key) => readNetwork(vms, addressIn(vscode.Uri.parse(key))),
    isVisible: (key) => vscode.window.visibleTextEditors.some(({ document }) => keyOf(document.uri) === key),
    changed: (key) => changes.fire(vscode.Uri.parse(key)),
  });
  return vscode.Disposable.from(
    changes,
    vms,
    pages,
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
      onDidChange: changes.event,
      provideTextDocumentContent: (uri) => pages.text(keyOf(uri)),
    }),
    vscode.window.onDidChangeVisibleTextEditors(() => pages.looked()),
    vscode.workspace.onDidCloseTextDocument(({ uri }) => {
      if (uri.scheme !== SCHEME) return;
      pages.close(keyOf(uri));
      const isUsed = vscode.workspace.textDocuments.some(
        (it) => it.uri.scheme === SCHEME && addressIn(it.uri).socket === addressIn(uri).socket,
      );
      if (!isUsed) vms.close(addressIn(uri).socket);
    }),
  );
}

export async function showNetwork({ label, vm, network }: NetworkItem): Promise<void> {
  const query = new URLSearchParams({ socket: vm.socket, network: network.name }).toString();
  const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${label}`, query });
  const document = await vscode.workspace.openTextDocument(uri);
  await vscode.window.showTextDocument(document, { preview: false });
}

function keyOf(uri: vscode.Uri): string {
  return uri.toString();
}

function addressIn({ query }: vscode.Uri): Address {
  const parameters = new URLSearchParams(query);
  return { socket: parameters.get('socket') ?? '', network: parameters.get('network') ?? '' };
}

/** Rejects with an Error for the user. */
async function readNetwork(vms: VmClients, { socket, network }: Address): Promise<string> {
  const { connection, info } = await vms.get(socket);
  try {
    const all = await connection.sendRequest(listNetworks);
    const summary = all.find((it) => it.name === network);
    if (summary === undefined) throw new Error(`The VM has no network interface "${network}".`);
    const report = await connection.sendRequest(reportNetwork, { network });
    return networkText(info.config?.name ?? '', summary, report);
  } catch (error) {
    if (vms.has(socket)) throw error;
    throw new Error('The VM is over.', { cause: error });
  }
}

/** A connection to each VM that somebody looks at. */
class VmClients {
  readonly #clients = new Map<string, Promise<VmmClient>>();

  /** Throws ConnectError. */
  get(socket: string): Promise<VmmClient> {
    const known = this.#clients.get(socket);
    if (known !== undefined) return known;
    const opening = connectVmm(socket, { client: CLIENT });
    this.#clients.set(socket, opening);
    const forget = (): void => {
      if (this.#clients.get(socket) === opening) this.#clients.delete(socket);
    };
    opening.then(({ closed }) => closed.then(forget), forget);
    return opening;
  }

  has(socket: string): boolean {
    return this.#clients.has(socket);
  }

  close(socket: string): void {
    const client = this.#clients.get(socket);
    this.#clients.delete(socket);
    client?.then(
      (it) => it.dispose(),
      () => undefined, // whoever asked was told
    );
  }

  dispose(): void {
    for (const socket of [...this.#clients.keys()]) this.close(socket);
  }
}
