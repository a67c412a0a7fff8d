/**
 * A DAP client for tests, over any pair of streams: an adapter in this process or in its own. Waits for
 * events, never for time, and can record all messages, for goldens.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { DapConnection } from '../../debug-adapter/dapConnection.ts';
import { editorGone } from '../../debug-adapter/handlers/terminate.ts';
import { requestTable } from '../../debug-adapter/requestTable.ts';
import { SessionState } from '../../debug-adapter/session/sessionState.ts';

/** Long enough for a slow machine; a test that waits this long has failed. */
const TIMEOUT_MS = 20_000;

type Body = Record<string, unknown>;

export class DapClient {
  /** Every event so far. */
  readonly events: DebugProtocol.Event[] = [];
  /** Every message in order, both directions, as goldens want them. */
  readonly transcript: {
    readonly from: 'client' | 'adapter';
    readonly message: DebugProtocol.ProtocolMessage;
  }[] = [];
  readonly #output: Writable;
  readonly #pending = new Map<number, (response: DebugProtocol.Response) => void>();
  readonly #listeners = new Set<() => void>();
  /** Events a `waitFor` has handed out already. */
  #seen = 0;
  #nextSeq = 1;
  #buffer = Buffer.alloc(0);

  constructor(input: Readable, output: Writable) {
    this.#output = output;
    output.on('error', () => undefined); // the adapter is gone: the pending request times out and says so
    input.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** Of the last request: how `cancel` names it. */
  get lastSeq(): number {
    return this.#nextSeq - 1;
  }

  /** The response, successful or not. */
  request(command: string, args?: object): Promise<DebugProtocol.Response> {
    const message: DebugProtocol.Request = {
      seq: this.#nextSeq++,
      type: 'request',
      command,
      ...(args === undefined ? {} : { arguments: args }),
    };
    this.transcript.push({ from: 'client', message });
    const answered = new Promise<DebugProtocol.Response>((resolve) =>
      this.#pending.set(message.seq, resolve),
    );
    const json = JSON.stringify(message);
    this.#output.write(`Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
    return timed(answered, () => `no response to ${command}`);
  }

  /** The body of a response that must be successful. */
  async ask<T = Body>(command: string, args?: object): Promise<T> {
    const response = await this.request(command, args);
    if (!response.success) throw new Error(`${command} failed: ${response.message}`);
    return response.body as T;
  }

  /** The message of a response that must fail. */
  async fails(command: string, args?: object): Promise<string> {
    const response = await this.request(command, args);
    if (response.success) throw new Error(`${command} did not fail`);
    return response.message ?? '';
  }

  /** The next event of that name after those already waited for; events before it count as seen. */
  waitFor<T = Body>(event: string): Promise<T> {
    const found = new Promise<T>((resolve) => {
      const look = (): void => {
        const at = this.events.findIndex((it, i) => i >= this.#seen && it.event === event);
        const match = this.events[at];
        if (match === undefined) return;
        this.#seen = at + 1;
        this.#listeners.delete(look);
        resolve((match.body ?? {}) as T);
      };
      this.#listeners.add(look);
      look();
    });
    return timed(found, () => `no event ${event}; seen: ${this.events.map((it) => it.event).join(' ')}`);
  }

  eventsOf<T = Body>(event: string): T[] {
    return this.events.filter((it) => it.event === event).map((it) => (it.body ?? {}) as T);
  }

  /** Text of all output events. */
  get console(): string {
    return this.eventsOf<{ output: string }>('output')
      .map((it) => it.output)
      .join('');
  }

  #receive(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      const header = /^Content-Length: (\d+)\r\n\r\n/.exec(this.#buffer.toString('latin1', 0, 64));
      if (header === null) return;
      const start = header[0].length;
      const end = start + Number(header[1]);
      if (this.#buffer.length < end) return;
      const message = JSON.parse(this.#buffer.toString('utf8', start, end)) as DebugProtocol.ProtocolMessage;
      this.#buffer = this.#buffer.subarray(end);
      this.#take(message);
    }
  }

  #take(message: DebugProtocol.ProtocolMessage): void {
    this.transcript.push({ from: 'adapter', message });
    if (message.type === 'event') {
      this.events.push(message as DebugProtocol.Event);
      for (const look of [...this.#listeners]) look();
      return;
    }
    const response = message as DebugProtocol.Response;
    this.#pending.get(response.request_seq)?.(response);
    this.#pending.delete(response.request_seq);
  }
}

async function timed<T>(work: Promise<T>, message: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message())), TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** An adapter in this process. */
export function connectAdapter(): {
  readonly client: DapClient;
  readonly state: SessionState;
  editorGone(): Promise<void>;
} {
  const toAdapter = new PassThrough();
  const toClient = new PassThrough();
  const log = (): void => undefined;
  const connection = new DapConnection(log);
  const state = new SessionState(connection.emitEvent, log);
  connection.serve(requestTable(state));
  connection.start(toAdapter, toClient);
  return { client: new DapClient(toClient, toAdapter), state, editorGone: () => editorGone(state) };
}

/** An adapter in its own process, from a script that node can run. */
export function spawnAdapter(
  script: string,
  options: { readonly nodeArgs?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): { readonly client: DapClient; readonly process: ChildProcess; readonly exited: Promise<number | null> } {
  const child = spawn(process.execPath, [...(options.nodeArgs ?? []), script], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: options.env ?? process.env,
  });
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { client: new DapClient(child.stdout, child.stdin), process: child, exited };
}
