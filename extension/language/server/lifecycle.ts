/**
 * What a client may ask when (LSP 3.17, "Lifecycle Messages"): nothing before `initialize`, nothing but `exit` after `shutdown`. The library
 * below answers everything at any time.
 */
import { type Message, type RequestMessage, type ResponseMessage } from 'vscode-languageserver/node';

const SERVER_NOT_INITIALIZED = -32002;
const INVALID_REQUEST = -32600;

export interface LifecycleEvents {
  /** A message that is due. */
  readonly handle: (message: Message) => void | Promise<void>;
  readonly answer: (response: ResponseMessage) => void;
  readonly exit: () => void;
}

export class Lifecycle {
  /** Messages so far. */
  taken = 0;
  #state: 'new' | 'running' | 'shutDown' = 'new';

  /** Of a process that ends now: 0 only when the client said before that it would. */
  get exitCode(): number {
    return this.#state === 'shutDown' ? 0 : 1;
  }

  /** Settles when the message has been handled. */
  take(message: Message, { handle, answer, exit }: LifecycleEvents): void | Promise<void> {
    this.taken++;
    const { method, id } = message as Partial<RequestMessage>;
    if (method === undefined) return handle(message); // an answer to us
    if (id === undefined && method === 'exit') return exit();
    const refusal = this.#refusal(method);
    if (refusal === undefined) {
      if (method === 'initialize') this.#state = 'running';
      else if (method === 'shutdown') this.#state = 'shutDown';
      return handle(message);
    }
    if (id !== undefined) answer({ jsonrpc: '2.0', id, error: refusal });
  }

  #refusal(method: string): { code: number; message: string } | undefined {
    switch (this.#state) {
      case 'new':
        if (method === 'initialize') return undefined;
        return { code: SERVER_NOT_INITIALIZED, message: `"${method}" comes before "initialize"` };
      case 'running':
        if (method !== 'initialize') return undefined;
        return { code: INVALID_REQUEST, message: 'the server is initialized already' };
      case 'shutDown':
        return { code: INVALID_REQUEST, message: `"${method}" comes after "shutdown": only "exit" may` };
    }
  }
}
