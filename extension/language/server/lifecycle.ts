/**
 * What a client may ask when (LSP 3.17, "Lifecycle Messages"): nothing before `initialize`, nothing but
 * `exit` after `shutdown`; and only with parameters of the right shape. The library below answers everything
 * at any time, and passes anything on.
 */
import { type Message, type RequestMessage, type ResponseMessage } from 'vscode-languageserver/node';
import { wrongParams } from './requestShape.ts';

const SERVER_NOT_INITIALIZED = -32002;
const INVALID_REQUEST = -32600;
const INVALID_PARAMS = -32602;

export interface LifecycleEvents {
  /** A message that is due. */
  readonly handle: (message: Message) => void | Promise<void>;
  readonly answer: (response: ResponseMessage) => void;
  /** Of a notification, which has no answer, that its parameters are wrong. */
  readonly complain: (sentence: string) => void;
  readonly exit: () => void;
}

interface Refusal {
  readonly code: number;
  readonly message: string;
}

export class Lifecycle {
  /** Messages so far. */
  taken = 0;
  #state: 'new' | 'running' | 'shutDown' = 'new';

  /** The exit code of a process that ends now: 0 only after the client announced it. */
  get exitCode(): number {
    return this.#state === 'shutDown' ? 0 : 1;
  }

  /** Settles when the message has been handled. */
  take(message: Message, { handle, answer, complain, exit }: LifecycleEvents): void | Promise<void> {
    this.taken++;
    const { method, id, params } = message as Partial<RequestMessage>;
    if (typeof method !== 'string') return handle(message); // an answer to us
    if (id === undefined && method === 'exit') return exit();
    const refusal = this.#refusal(method, params);
    if (refusal === undefined) {
      if (method === 'initialize') this.#state = 'running';
      else if (method === 'shutdown') this.#state = 'shutDown';
      return handle(message);
    }
    if (id !== undefined) answer({ jsonrpc: '2.0', id, error: refusal });
    else if (refusal.code === INVALID_PARAMS) complain(refusal.message);
  }

  #refusal(method: string, params: unknown): Refusal | undefined {
    const untimely = this.#untimely(method);
    if (untimely !== undefined) return untimely;
    const wrong = wrongParams(method, params);
    return wrong === undefined ? undefined : { code: INVALID_PARAMS, message: `"${method}": ${wrong}` };
  }

  #untimely(method: string): Refusal | undefined {
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
