/**
 * The control socket: listens, lets clients in after a handshake of versions, fills the table of their
 * requests. Main thread. A client that sends garbage loses its connection; no other client notices.
 */
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { MAX_FRAME_BYTES } from '../../client/frameReader.ts';
import { messageStream, type MessageStream } from '../../client/messageStream.ts';
import { log } from '../../log.ts';
import { initialize } from '../../protocol/vm.ts';
import type { Core } from '../core.ts';
import { Session } from '../session.ts';
import { serveBalloon } from './balloon.ts';
import { serveDevices } from './devices.ts';
import { serveDisks } from './disks.ts';
import { serveNetworks } from './networks.ts';
import { greetingParams } from './handshake.ts';
import { JsonRpcClient } from './jsonRpcClient.ts';
import { listenAs, type NamedServer } from './listen.ts';
import { serveMemory } from './memory.ts';
import { serveRegisters } from './registers.ts';
import { serveRun } from './run.ts';
import { serveSerial } from './serial.ts';
import { RequestTable } from './table.ts';
import { serveVm, vmInfo } from './vm.ts';

/** Clients get this long to read the last notification and close. */
const FAREWELL_MS = 1000;

/** A client sends little before it has said who it is. */
const MAX_GREETING_BYTES = 64 * 1024;
/**
 * What a client may leave unread: a few answers. Beyond the largest one plus notifications, it has stopped
 * reading.
 */
const LIMITS = { holdRequestsAt: 1024 * 1024, maxUnreadBytes: 72 * 1024 * 1024 };

export class ControlServer {
  readonly #core: Core;
  readonly #servers: NamedServer[] = [];
  readonly #sockets = new Map<Socket, MessageStream>();

  constructor(core: Core) {
    this.#core = core;
    core.publish = (name) => this.listen(name);
  }

  /**
   * Listens as `<name>.sock`, or `<name>-2.sock` … when a live VM has the name. Returns the name. Throws
   * UserError.
   */
  async listen(name: string): Promise<string> {
    const named = await listenAs(name, (socket) => this.#accept(socket));
    this.#servers.push(named);
    return named.name;
  }

  /** Stops listening, lets clients read what was sent, removes the sockets. */
  async close(): Promise<void> {
    for (const { server, path } of this.#servers) {
      rmSync(path, { force: true }); // while we still listen: afterwards the name may be another's
      server.close();
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
    const connection = messageStream(socket, LIMITS);
    connection.maxFrameBytes = MAX_GREETING_BYTES;
    this.#sockets.set(socket, connection);
    let client: JsonRpcClient | undefined;
    let session: Session | undefined;
    socket.on('error', () => socket.destroy());
    connection.onError(([{ message }]) => {
      if (socket.destroyed) return;
      const values = { client: client?.name ?? 'unknown', reason: message.slice(0, 200) };
      log.guest('control', 'a client was disconnected', values);
      socket.destroy();
    });
    socket.on('close', () => {
      this.#sockets.delete(socket);
      connection.dispose();
      session?.close();
    });
    const on = new RequestTable(connection);
    on.request(initialize, greetingParams, (greeting) => {
      if (session !== undefined) return vmInfo(session.info());
      connection.maxFrameBytes = MAX_FRAME_BYTES;
      client = new JsonRpcClient(connection, greeting.client, greeting.debugger);
      session = new Session(this.#core, client);
      serveClient(on, session, client);
      return vmInfo(session.info());
    });
    connection.listen();
  }
}

/** Everything but `initialize`. */
function serveClient(on: RequestTable, session: Session, client: JsonRpcClient): void {
  serveVm(on, session);
  serveSerial(on, session, client);
  serveRun(on, session);
  serveRegisters(on, session);
  serveMemory(on, session);
  serveDevices(on, session);
  serveDisks(on, session);
  serveNetworks(on, session);
  serveBalloon(on, session);
}
