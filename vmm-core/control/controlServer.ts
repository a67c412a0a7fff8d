/**
 * The control socket: listens, lets clients in after a handshake of versions, hands their requests to the table. Main thread.
 * A client that sends garbage loses its connection, nobody else notices.
 */
import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type MessageConnection, ResponseError } from 'vscode-jsonrpc/node';
import { messageStream } from '../client/messageStream.ts';
import { socketPath } from '../client/runtimeDir.ts';
import { UserError } from '../errors.ts';
import { ErrorCode, initialize, type InitializeParams } from '../protocol/control.ts';
import { PROTOCOL_VERSION } from '../protocol/version.ts';
import { version } from '../version.ts';
import type { Client, Core } from './core.ts';
import { serveRequests } from './requests.ts';

const MAX_SAME_NAMES = 100;
/** sockaddr_un.sun_path with its NUL. Longer ones are cut short without an error. */
const MAX_PATH_BYTES = 107;
/** Clients get this long to read the last notification and close. */
const FAREWELL_MS = 1000;

export class ControlServer {
  readonly #core: Core;
  readonly #servers: { readonly server: Server; readonly path: string }[] = [];
  readonly #sockets = new Map<Socket, MessageConnection>();

  constructor(core: Core) {
    this.#core = core;
    core.publish = (name) => this.listen(name);
  }

  /** Listens as `<name>.sock`, or `<name>-2.sock` … when a living VM has the name. Returns the name. Throws UserError. */
  async listen(name: string): Promise<string> {
    for (let n = 1; n <= MAX_SAME_NAMES; n++) {
      const candidate = n === 1 ? name : `${name}-${n}`;
      const path = socketPath(candidate);
      if (await listenAt(path, this.#servers, (socket) => this.#accept(socket))) return candidate;
    }
    throw new UserError(`${MAX_SAME_NAMES} VMs named ${name} are running: give this one another name`);
  }

  /** Stops listening, lets clients read what was sent, removes the sockets. */
  async close(): Promise<void> {
    for (const { server, path } of this.#servers) {
      server.close();
      rmSync(path, { force: true });
    }
    const closed = [...this.#sockets.keys()].map(
      (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
    );
    for (const connection of this.#sockets.values()) connection.end();
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, FAREWELL_MS)));
    await Promise.race([Promise.all(closed), patience]);
    clearTimeout(timer);
  }

  #accept(socket: Socket): void {
    const connection = messageStream(socket);
    this.#sockets.set(socket, connection);
    const hangUp = (): void => void socket.destroy();
    socket.on('error', hangUp);
    connection.onError(hangUp);
    let client: Client | undefined;
    socket.on('close', () => {
      this.#sockets.delete(socket);
      connection.dispose();
      if (client !== undefined) this.#core.removeClient(client);
    });
    connection.onRequest(initialize, (params) => {
      if (params.protocolVersion !== PROTOCOL_VERSION) return versionMismatch(params);
      if (client !== undefined) return this.#core.info();
      client = welcome(connection, params);
      this.#core.addClient(client);
      serveRequests(this.#core, client);
      return this.#core.info();
    });
    connection.listen();
  }
}

function welcome(connection: MessageConnection, params: InitializeParams): Client {
  return {
    connection,
    identity: { client: String(params.client), debugger: params.debugger === true },
    serialPorts: new Map(),
  };
}

function versionMismatch(params: InitializeParams): ResponseError<void> {
  return new ResponseError<void>(
    ErrorCode.VersionMismatch,
    `this VM (Trapframe ${version()}) speaks protocol version ${PROTOCOL_VERSION}, the client ${String(params.protocolVersion)}: use the same version of Trapframe for both`,
  );
}

/** False when somebody alive listens there. A dead socket file is replaced. */
async function listenAt(
  path: string,
  servers: { server: Server; path: string }[],
  accept: (socket: Socket) => void,
): Promise<boolean> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new UserError(
      `the control socket ${path} has too long a path (at most ${MAX_PATH_BYTES} bytes): give the VM a shorter name, or set XDG_RUNTIME_DIR`,
    );
  }
  for (let attempt = 0; attempt < 2; attempt++) {
    const server = createServer(accept);
    const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      server.once('error', resolve);
      server.listen(path, () => resolve(undefined));
    });
    if (failure === undefined) {
      chmodSync(path, 0o600);
      servers.push({ server, path });
      return true;
    }
    if (failure.code !== 'EADDRINUSE')
      throw new UserError(`cannot listen at ${path}: ${failure.message}`, { cause: failure });
    if (await isAlive(path)) return false;
    rmSync(path, { force: true });
  }
  return false;
}

/** Somebody accepts connections at the socket. */
export function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
