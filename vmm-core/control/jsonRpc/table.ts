/** The request table of a connection: registration with decoding, and errors turned into response errors. */
import type { MessageConnection, NotificationType, RequestType, RequestType0 } from 'vscode-jsonrpc/node';
import { toResponseError } from './responseErrors.ts';

/**
 * `P` and `R` are the types of the protocol/ constant, `D` is the decoded parameters that the handler takes.
 */
export class RequestTable {
  readonly #connection: MessageConnection;

  constructor(connection: MessageConnection) {
    this.#connection = connection;
  }

  request<P, R, D>(
    type: RequestType<P, R, void>,
    decode: (params: unknown) => D,
    handle: (params: D) => R | Promise<R>,
  ): void {
    this.#connection.onRequest(type, (params) => answer(() => handle(decode(params))));
  }

  /** For a request without parameters. */
  request0<R>(type: RequestType0<R, void>, handle: () => R | Promise<R>): void {
    this.#connection.onRequest(type, () => answer(handle));
  }

  /** No answer is awaited: errors stop here, except that a bug is logged. */
  notification<P, D>(
    type: NotificationType<P>,
    decode: (params: unknown) => D,
    handle: (params: D) => void,
  ): void {
    this.#connection.onNotification(type, (params) => void answer(() => handle(decode(params))));
  }
}

async function answer<R>(handle: () => R | Promise<R>) {
  try {
    return await handle();
  } catch (error) {
    return toResponseError(error);
  }
}
