/**
 * The editor's side of the wire: frames DAP messages (ProtocolServer), looks requests up in a table, and is the one place
 * where a handler's exception becomes an error response. Handlers are plain `arguments => body` functions.
 */
import { ProtocolServer } from '@vscode/debugadapter/lib/protocol';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { isShown, messageOf, UserError } from './errors.ts';
import type { Log } from './log.ts';

/** One request being served. */
export interface RequestCall {
  /** Runs `action` once the response has been sent: for events that must not overtake it. */
  after(action: () => void): void;
}

export type RequestHandler = (args: never, call: RequestCall) => unknown;
export type RequestTable = Readonly<Record<string, RequestHandler>>;

/** Sends events to the editor. */
export type SendEvent = (event: string, body?: object) => void;

export class DapConnection extends ProtocolServer {
  readonly #log: Log;
  #table: RequestTable = {};

  constructor(log: Log) {
    super();
    this.#log = log;
    this.on('error', (event: DebugProtocol.Event) => log('error', 'dap', JSON.stringify(event)));
  }

  /** Before `start`. */
  serve(table: RequestTable): void {
    this.#table = table;
  }

  readonly emitEvent: SendEvent = (event, body) => {
    this.#log('debug', 'dap.event', event);
    this.sendEvent({ type: 'event', seq: 0, event, ...(body === undefined ? {} : { body }) });
  };

  protected override dispatchRequest(request: DebugProtocol.Request): void {
    void this.#answer(request);
  }

  async #answer(request: DebugProtocol.Request): Promise<void> {
    const { command, seq } = request;
    this.#log('debug', 'dap.request', command);
    const actions: (() => void)[] = [];
    const response: DebugProtocol.Response = {
      type: 'response',
      seq: 0,
      request_seq: seq,
      command,
      success: true,
    };
    try {
      const handler = Object.hasOwn(this.#table, command) ? this.#table[command] : undefined;
      if (handler === undefined) throw new Error(`request not supported: ${command}`);
      const args = (request.arguments ?? {}) as never;
      const body = await handler(args, { after: (action) => actions.push(action) });
      if (body !== undefined) response.body = body;
    } catch (error) {
      this.#describeFailure(response, error);
    }
    this.sendResponse(response);
    for (const action of actions) action();
  }

  #describeFailure(response: DebugProtocol.Response, error: unknown): void {
    const text = messageOf(error);
    const id = error instanceof UserError ? error.id : 1;
    if (!(error instanceof UserError)) {
      this.#log('error', 'dap', `${response.command}: ${error instanceof Error ? error.stack : text}`);
    }
    response.success = false;
    response.message = text;
    // `{text}` keeps braces in the text from being taken for variables.
    response.body = { error: { id, format: '{text}', variables: { text }, showUser: isShown(id) } };
  }
}
