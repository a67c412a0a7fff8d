/** The request table of a connection: registration with decoding, and errors turned into response errors. */
import type { MessageConnection, NotificationType, RequestType, RequestType0 } from 'vscode-jsonrpc/node';
import { toResponseError } from './responseErrors.ts';

/** `P` and `R` are what a constant of protocol/ promises, `D` is the parameters as the handler wants them. */
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

  /** Of a request without parameters. */
  request0<R>(type: RequestType0<R, void>, handle: () => R | Promise<R>): void {
    this.#connection.onRequest(type, () => answer(handle));
  }

  /** Nobody waits for an answer: an error goes no further, but that a bug is logged. */
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
