/**
 * The client side of the control protocol, for the CLI, the extension, the debug adapter and tests: talk to a
 * running vmm-core. Knows sockets; knows nothing of KVM or of processes (spawnCore.ts).
 */
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type MessageConnection, ResponseError } from 'vscode-jsonrpc/node';
import { ErrorCode } from '../protocol/errors.ts';
import { initialize, type VmInfo } from '../protocol/vm.ts';
import { PROTOCOL_VERSION } from '../protocol/version.ts';
import { messageStream } from './messageStream.ts';

/** A connected and initialized client. Requests go through `connection` with the constants of protocol/. */
export interface VmmClient {
  readonly connection: MessageConnection;
  /** The VM as it was at connect. */
  readonly info: VmInfo;
  /**
   * Resolves when the connection is gone, for any reason (dispose, kill, crash), and all that came before
   * has been handled.
   */
  readonly closed: Promise<void>;
  dispose(): void;
}

/** The socket cannot be used. `message` is a sentence for the user. */
export class ConnectError extends Error {
  readonly kind: 'missing' | 'stale' | 'foreign' | 'version' | 'denied' | 'silent';

  constructor(kind: ConnectError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.name = 'ConnectError';
  }
}

/**
 * How long a listener may take to answer: a host can be loaded, a core stopped in a debugger.
 */
const PATIENCE_MS = 30_000;
/** connect(2) to a socket whose backlog is full. */
const RETRY_MS = 50;

/** How the caller presents itself (InitializeParams). */
export interface ClientIdentity {
  /** For the core's log. */
  readonly client: string;
  readonly debugger?: boolean;
}

export interface ConnectOptions {
  /** How long an answer is waited for, then it is `silent`. */
  readonly patienceMs?: number;
}

/** Connects and checks the protocol's version. Throws ConnectError. */
export async function connectVmm(
  path: string,
  identity: ClientIdentity,
  options: ConnectOptions = {},
): Promise<VmmClient> {
  const deadline = performance.now() + (options.patienceMs ?? PATIENCE_MS);
  const socket = await openSocket(path, deadline);
  const connection = messageStream(socket);
  // Not `once(socket, …)`: that rejects when an error precedes the close, as it does when the other side is
  // killed.
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => socket.destroy()); // `close` follows and is what callers see
  connection.onError(() => socket.destroy());
  connection.listen();
  const dispose = (): void => {
    connection.dispose();
    socket.destroy();
  };
  try {
    const info = await handshake(path, connection, closed, identity, deadline);
    // rejects requests that still wait for an answer
    void connection.finished.then(() => connection.dispose());
    return { connection, info, closed: connection.finished, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

async function openSocket(path: string, deadline: number): Promise<Socket> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return socket;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'EAGAIN') {
      if (performance.now() > deadline) throw silent(path);
      await delay(RETRY_MS);
      return openSocket(path, deadline);
    }
    if (code === 'ENOENT') throw new ConnectError('missing', `no VM is listening at ${path}`, { cause });
    if (code === 'ECONNREFUSED' && isSocket(path)) {
      throw new ConnectError('stale', `the VM behind ${path} is gone; remove the socket with "vmm status"`, {
        cause,
      });
    }
    if (code === 'EACCES' || code === 'EPERM') {
      throw new ConnectError('denied', `no permission to use ${path}: it belongs to another user`, { cause });
    }
    throw new ConnectError('foreign', `${path} is not a control socket (${code ?? 'unknown error'})`, {
      cause,
    });
  }
}

/** A file that is not a socket refuses connections just as the socket of a dead process does. */
function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

async function handshake(
  path: string,
  connection: MessageConnection,
  closed: Promise<void>,
  identity: ClientIdentity,
  deadline: number,
): Promise<VmInfo> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(silent(path)), Math.max(deadline - performance.now(), 0));
  });
  const gone = closed.then(() => Promise.reject(foreign(path)));
  const answer = connection.sendRequest(initialize, { protocolVersion: PROTOCOL_VERSION, ...identity });
  try {
    const info = await Promise.race([answer, silence, gone]);
    if (typeof info !== 'object' || info === null || typeof info.protocolVersion !== 'number')
      throw foreign(path);
    if (info.protocolVersion !== PROTOCOL_VERSION) throw versionMismatch(path, info.protocolVersion);
    return info;
  } catch (error) {
    if (error instanceof ConnectError) throw error;
    if (error instanceof ResponseError && error.code === ErrorCode.VersionMismatch) {
      throw new ConnectError('version', error.message, { cause: error });
    }
    throw foreign(path, error);
  } finally {
    clearTimeout(timer);
    gone.catch(() => undefined); // the losing branches of the race
    answer.catch(() => undefined);
  }
}

/** Not foreign: a silent listener may be a VM on a host that is too busy. */
function silent(path: string): ConnectError {
  return new ConnectError(
    'silent',
    `the process listening at ${path} does not answer: the VM is too busy or stopped, or it is another program; try again`,
  );
}

function foreign(path: string, cause?: unknown): ConnectError {
  return new ConnectError('foreign', `${path} is a socket of another program, not of a Trapframe VM`, {
    cause,
  });
}

function versionMismatch(path: string, theirs: number): ConnectError {
  return new ConnectError(
    'version',
    `the VM at ${path} speaks protocol version ${theirs}, this program ${PROTOCOL_VERSION}: restart the VM with this version of Trapframe`,
  );
}
