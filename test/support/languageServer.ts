/** A client of the vm.conf language server, with as much of an editor as tests need. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import { createMessageConnection, type MessageConnection } from 'vscode-jsonrpc/node';
import { bundled } from '../../scripts/bundle.ts';

/** Of the server built from the current sources. */
export function serverCommand(): string[] {
  return [process.execPath, bundled('extension/language/server/main.ts'), '--stdio'];
}

export interface Diagnostic {
  readonly code: string;
  readonly message: string;
  readonly severity: number;
  readonly range: { readonly start: { readonly line: number; readonly character: number } };
}

export class LanguageClient {
  readonly process: ChildProcess;
  readonly connection: MessageConnection;
  readonly #published = new Map<string, { version: number; diagnostics: Diagnostic[] }>();
  readonly #waiting = new Set<() => void>();
  readonly #versions = new Map<string, number>();

  private constructor(process: ChildProcess, connection: MessageConnection) {
    this.process = process;
    this.connection = connection;
  }

  static async start(
    command: readonly string[],
    folder: string,
    env: NodeJS.ProcessEnv = process.env,
  ): Promise<LanguageClient> {
    const [file = '', ...args] = command;
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
    const connection = createMessageConnection(child.stdout, child.stdin);
    const client = new LanguageClient(child, connection);
    connection.onNotification(
      'textDocument/publishDiagnostics',
      (it: { uri: string; version: number; diagnostics: Diagnostic[] }) => {
        client.#published.set(it.uri, it);
        for (const check of client.#waiting) check();
      },
    );
    connection.listen();
    const uri = pathToFileURL(folder).href;
    await connection.sendRequest('initialize', {
      processId: process.pid,
      rootUri: uri,
      workspaceFolders: [{ uri, name: 'test' }],
      capabilities: {
        workspace: { workspaceEdit: { documentChanges: true, resourceOperations: ['rename'] } },
      },
    });
    await connection.sendNotification('initialized', {});
    return client;
  }

  async open(name: string, text: string): Promise<void> {
    const uri = pathToFileURL(name).href;
    this.#versions.set(uri, 1);
    const textDocument = { uri, languageId: 'vmconf', version: 1, text };
    await this.connection.sendNotification('textDocument/didOpen', { textDocument });
  }

  /** Replaces [from, to), each line:character from zero. */
  async edit(name: string, from: string, to: string, text: string): Promise<void> {
    const uri = pathToFileURL(name).href;
    const version = (this.#versions.get(uri) ?? 0) + 1;
    this.#versions.set(uri, version);
    const range = { start: position(from), end: position(to) };
    await this.connection.sendNotification('textDocument/didChange', {
      textDocument: { uri, version },
      contentChanges: [{ range, text }],
    });
  }

  /** The diagnostics of the file as it is now. */
  async diagnostics(name: string): Promise<Diagnostic[]> {
    const uri = pathToFileURL(name).href;
    const version = this.#versions.get(uri);
    for (;;) {
      const found = this.#published.get(uri);
      if (found !== undefined && found.version === version) return found.diagnostics;
      await new Promise<void>((resolve) => {
        const check = (): void => {
          this.#waiting.delete(check);
          resolve();
        };
        this.#waiting.add(check);
      });
    }
  }

  async request<T>(method: string, name: string, at?: string, extra: object = {}): Promise<T> {
    const textDocument = { uri: pathToFileURL(name).href };
    const place = at === undefined ? {} : { position: position(at) };
    return this.connection.sendRequest<T>(`textDocument/${method}`, { textDocument, ...place, ...extra });
  }

  async stop(): Promise<void> {
    await this.connection.sendRequest('shutdown');
    const gone = once(this.process, 'exit');
    await this.connection.sendNotification('exit');
    await gone;
    this.connection.dispose();
  }
}

/** "3:7" */
export function position(text: string): { line: number; character: number } {
  const [line = 0, character = 0] = text.split(':').map(Number);
  return { line, character };
}
