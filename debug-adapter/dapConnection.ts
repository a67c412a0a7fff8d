/**
 * The editor's side of the wire: takes DAP messages, looks requests up in a table, and is the one place where
 * a handler's exception becomes an error response. Handlers are plain `arguments => body` functions.
 */
import type { Readable, Writable } from 'node:stream';
import { FramingError, MessageCutter } from '../vmm-core/client/messageCutter.ts';
import { isShown, messageOf, USER_ERROR, UserError } from './errors.ts';
import type { Log } from './log.ts';
import { Cancelled } from './pace.ts';

/** One request being served. */
export interface RequestCall {
  /** Runs `action` once the response has been sent: for events that must not overtake it. */
  after(action: () => void): void;
  /** Aborted by `cancel`: long work looks at it. */
  readonly signal: AbortSignal;
  /**
   * Resolves when the client has taken all that was sent so far except for a bounded rest: for large answers.
   */
  room(): Promise<void>;
  /** Cancels the request with that number if it is still being served. */
  cancel(requestId: number): void;
}

export type RequestHandler = (args: unknown, call: RequestCall) => unknown;
export type RequestTable = Readonly<Record<string, RequestHandler>>;

/** Sends events to the editor. */
export type SendEvent = (event: string, body?: object) => void;

/** Bytes sent but not yet taken by the client: beyond this nothing more is read from it. */
const MAX_UNREAD_BYTES = 32 * 1024 * 1024;

export class DapConnection {
  /** The input can no longer be followed; the editor was told why. */
  onBroken: () => void = () => undefined;
  readonly #log: Log;
  readonly #cutter = new MessageCutter('DAP');
  readonly #serving = new Map<number, AbortController>();
  readonly #waiting: (() => void)[] = [];
  #table: RequestTable = {};
  #input: Readable | undefined;
  #output: Writable | undefined;
  #nextSeq = 1;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Before `start`. */
  serve(table: RequestTable): void {
    this.#table = table;
  }

  start(input: Readable, output: Writable): void {
    this.#input = input;
    this.#output = output;
    output.on('error', (error) => this.#log('error', 'dap', `output: ${error.message}`));
    input.on('error', (error) => this.#log('error', 'dap', `input: ${error.message}`));
    const take = (chunk: Buffer): void => {
      try {
        for (const body of this.#cutter.push(chunk)) this.#receive(body);
      } catch (error) {
        if (!(error instanceof FramingError)) throw error;
        input.off('data', take);
        input.resume(); // until the other end closes it
        this.#log('error', 'dap', error.message);
        this.emitEvent('output', { category: 'important', output: `${error.message}\n` });
        this.onBroken();
      }
    };
    input.on('data', take);
    for (const event of ['drain', 'error', 'close']) output.on(event, () => this.#flow());
  }

  readonly emitEvent: SendEvent = (event, body) => {
    this.#log('debug', 'dap.event', event);
    this.#send({ type: 'event', event, ...(body === undefined ? {} : { body }) });
  };

  #send(message: object): void {
    const json = JSON.stringify({ seq: this.#nextSeq++, ...message });
    this.#output?.write(`Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
    if (this.#isBackedUp()) this.#input?.pause();
  }

  #isBackedUp(): boolean {
    const output = this.#output;
    return output !== undefined && !output.destroyed && output.writableLength > MAX_UNREAD_BYTES;
  }

  async #room(): Promise<void> {
    while (this.#isBackedUp()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /**
   * The client has taken everything, or is gone: only the input shows that, so reading goes on in either
   * case.
   */
  #flow(): void {
    this.#input?.resume();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #receive(body: Buffer): void {
    const request = parseRequest(body);
    if (typeof request === 'string') this.#log('error', 'dap', request);
    else void this.#answer(request);
  }

  async #answer({ command, seq, args }: IncomingRequest): Promise<void> {
    this.#log('debug', 'dap.request', command);
    const actions: (() => void)[] = [];
    const controller = new AbortController();
    this.#serving.set(seq, controller);
    const call: RequestCall = {
      after: (action) => actions.push(action),
      signal: controller.signal,
      room: () => this.#room(),
      cancel: (requestId) => this.#serving.get(requestId)?.abort(),
    };
    const response = { type: 'response', request_seq: seq, command };
    try {
      const handler = Object.hasOwn(this.#table, command) ? this.#table[command] : undefined;
      if (handler === undefined)
        throw new UserError(USER_ERROR.request, `request not supported: ${command.slice(0, 100)}`);
      const body = await handler(args, call);
      this.#send({ ...response, success: true, ...(body === undefined ? {} : { body }) });
    } catch (error) {
      this.#send({ ...response, success: false, ...this.#failure(command, error) });
    } finally {
      this.#serving.delete(seq);
    }
    for (const action of actions) action();
  }

  #failure(command: string, error: unknown): object {
    const text = messageOf(error);
    if (error instanceof Cancelled) return { message: text };
    const id = error instanceof UserError ? error.id : 1;
    if (!(error instanceof UserError)) {
      this.#log('error', 'dap', `${command}: ${error instanceof Error ? error.stack : text}`);
    }
    // `{text}` keeps braces in the text from being taken for variables.
    const described = { id, format: '{text}', variables: { text }, showUser: isShown(id) };
    return { message: text, body: { error: described } };
  }
}

interface IncomingRequest {
  readonly seq: number;
  readonly command: string;
  readonly args: unknown;
}

/** The request, or why the message is not one: without a number and a name it cannot be answered. */
function parseRequest(body: Buffer): IncomingRequest | string {
  let message: unknown;
  try {
    message = JSON.parse(body.toString('utf8'));
  } catch (error) {
    return `a message that is not JSON: ${messageOf(error)}`;
  }
  if (typeof message !== 'object' || message === null) return 'a message that is not an object';
  const { type, seq, command, arguments: args } = message as Readonly<Record<string, unknown>>;
  if (type !== 'request' || typeof command !== 'string' || typeof seq !== 'number')
    return 'a message that is not a request: "type", "seq" or "command" is missing';
  return { seq, command, args };
}
