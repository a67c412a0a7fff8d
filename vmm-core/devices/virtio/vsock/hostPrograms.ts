/**
 * Programs of the host that connect to the guest, or that it connects to: what their sockets tell, from the
 * first byte to the last. A program says "CONNECT PORT\n", as to Firecracker and Cloud Hypervisor, and is
 * told "OK PORT\n" with our port when the guest has accepted.
 */
import { constants } from 'node:os';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../../abi/epoll.ts';
import { errnoText } from '../../../errors.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import { ANSWER_MS, type Connections } from './connections.ts';
import { type ConnectionTable, NONE } from './connectionTable.ts';
import { FLAG, MAX_CONNECTIONS, STATE } from './vsockState.ts';

/** What readiness of the listening socket is told under; others have their row. */
export const LISTEN_TAG = MAX_CONNECTIONS;

/** The longest line: "CONNECT 4294967295\n", and some spaces. */
const LINE_BYTES = 32;
const NEWLINE = 0x0a;
const GREETING = /^CONNECT +(\d{1,10}) *\r?$/i;
const MAX_PORT = 2 ** 32 - 1;
/** Our ports, of connections to the guest: where it has none of its own. */
const FIRST_PORT = 2 ** 30;
const PORTS = 2 ** 30;
/** Programs that are let in before others on the thread have their turn. */
const BATCH_PROGRAMS = 16;
const AGAIN_MS = 1000;

const { EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM } = constants.errno;
const OWN_LIMITS = [EMFILE, ENFILE, ENOBUFS, ENOMEM];

export interface HostProgramsHost {
  readonly connections: Connections;
  arm(delayMs: number): void;
  /** A sentence for the user. */
  trouble(sentence: string): void;
}

export class HostPrograms {
  readonly #host: HostProgramsHost;
  readonly #connections: Connections;
  readonly #table: ConnectionTable;
  /** What a program has said so far. */
  readonly #lines = new Uint8Array(MAX_CONNECTIONS * LINE_BYTES);
  readonly #lineBytes = new Uint8Array(MAX_CONNECTIONS);
  readonly #byte = new IoBuffer(1);
  #nextPort = FIRST_PORT;
  /** Programs may wait to be let in. */
  #isAwaited = true;
  #hasTold = false;

  constructor(host: HostProgramsHost) {
    this.#host = host;
    this.#connections = host.connections;
    this.#table = host.connections.table;
  }

  /** The guest wants to connect to `hostPort`. NONE: nobody listens there, or there are too many. */
  connect(hostPort: number, guestPort: number): number {
    if (!this.#connections.hasRoom()) return NONE;
    const fd = this.#connections.sockets.connectTo(hostPort);
    if (fd < 0) {
      if (OWN_LIMITS.includes(-fd)) this.#tell(-fd);
      return NONE;
    }
    const row = this.#open(STATE.established, fd, FLAG.canWrite);
    if (row !== NONE) this.#table.setPorts(row, hostPort, guestPort);
    return row;
  }

  /** The guest has accepted. */
  established(row: number): void {
    const table = this.#table;
    table.state[row] = STATE.established;
    table.deadlineMs[row] = Infinity;
    table.clear(row, FLAG.owesRequest);
    this.#connections.answer(row, new TextEncoder().encode(`OK ${table.hostPort[row] ?? 0}\n`));
    if (table.state[row] === STATE.established && table.has(row, FLAG.canRead))
      this.#connections.wantTurn(row);
  }

  /** `tag`: LISTEN_TAG or a row. What was true of the row's last socket may be told as well. */
  note(tag: number, events: number): void {
    if (tag === LISTEN_TAG) {
      this.#isAwaited = true;
      return;
    }
    if (this.#table.state[tag] === STATE.free) return;
    const isOver = (events & (EPOLLHUP | EPOLLERR)) !== 0;
    if (isOver || (events & (EPOLLIN | EPOLLRDHUP)) !== 0) this.#table.set(tag, FLAG.canRead);
    if (isOver || (events & EPOLLOUT) !== 0) this.#table.set(tag, FLAG.canWrite);
    if (isOver) this.#table.set(tag, FLAG.hungUp);
  }

  /** What can be done for a row, now that something was noted. */
  proceed(row: number): void {
    const table = this.#table;
    const state = table.state[row];
    if (state === STATE.greeting) return this.#listen(row);
    if (state === STATE.draining) return this.#connections.flush(row);
    if (state !== STATE.established) return;
    this.#connections.flush(row);
    if (table.has(row, FLAG.hungUp)) {
      if (table.has(row, FLAG.guestTakesNone) && !table.has(row, FLAG.hostSentAll)) {
        table.set(row, FLAG.hostSentAll); // nobody reads to the end
        this.#connections.owe(row, FLAG.owesShutdown);
      }
      if (table.has(row, FLAG.hostSentAll)) this.#connections.hostTakesNone(row);
    }
    if (table.has(row, FLAG.canRead)) this.#connections.wantTurn(row);
  }

  /** Lets programs in. True: there may be more. */
  accept(): boolean {
    for (let count = 0; this.#isAwaited && count < BATCH_PROGRAMS; count++) {
      const fd = this.#connections.sockets.accept();
      if (fd >= 0) this.#welcome(fd);
      else if (fd !== -ECONNABORTED) this.#acceptFailed(-fd);
    }
    return this.#isAwaited;
  }

  /** Whoever has come while nobody listened. */
  awaitPrograms(): void {
    this.#isAwaited = true;
  }

  #acceptFailed(errno: number): void {
    this.#isAwaited = false;
    if (errno === EAGAIN) return;
    this.#host.arm(AGAIN_MS); // it waits there, and no edge will tell of it again
    this.#tell(errno);
  }

  #welcome(fd: number): void {
    const row = this.#open(STATE.greeting, fd, FLAG.canRead | FLAG.canWrite);
    if (row === NONE) return;
    this.#lineBytes[row] = 0;
    this.#listen(row);
  }

  /** `flags`: what is worth a try before the first edge. */
  #open(state: number, fd: number, flags: number): number {
    const { sockets } = this.#connections;
    const row = this.#connections.open(state, fd);
    if (row !== NONE && sockets.watch(fd, row) === 0) {
      this.#table.set(row, flags);
      return row;
    }
    sockets.close(fd);
    if (row !== NONE) this.#table.close(row);
    return NONE;
  }

  /** A byte at a time: what comes after the line is the guest's. */
  #listen(row: number): void {
    const { message } = this.#connections.sockets;
    const start = row * LINE_BYTES;
    while (this.#table.has(row, FLAG.canRead)) {
      message.clear();
      message.addBuffer(this.#byte, 0, 1);
      const result = message.receive(this.#table.fd[row] ?? NONE);
      if (result === -ENOBUFS || result === -ENOMEM) this.#connections.tryAgain(row);
      if (result === -EAGAIN || result === -ENOBUFS || result === -ENOMEM)
        return this.#table.clear(row, FLAG.canRead);
      if (result !== 1) return this.#connections.end(row);
      const byte = this.#byte.bytes[0] ?? 0;
      const length = this.#lineBytes[row] ?? 0;
      if (byte === NEWLINE) return this.#obey(row, this.#lines.subarray(start, start + length));
      if (length === LINE_BYTES) return this.#connections.end(row);
      this.#lines[start + length] = byte;
      this.#lineBytes[row] = length + 1;
    }
  }

  #obey(row: number, line: Uint8Array): void {
    const [, digits] = GREETING.exec(String.fromCharCode(...line)) ?? [];
    const guestPort = Number(digits);
    if (digits === undefined || guestPort > MAX_PORT) return this.#connections.end(row);
    const hostPort = this.#portFor(guestPort);
    this.#table.state[row] = STATE.requested;
    this.#table.setPorts(row, hostPort, guestPort);
    this.#connections.owe(row, FLAG.owesRequest);
    this.#connections.limit(row, ANSWER_MS); // a guest that does not receive is not even asked
  }

  /** One that has no connection with that port of the guest. */
  #portFor(guestPort: number): number {
    for (;;) {
      const port = this.#nextPort;
      this.#nextPort = FIRST_PORT + ((port + 1 - FIRST_PORT) % PORTS);
      if (this.#table.find(port, guestPort) === NONE) return port;
    }
  }

  #tell(errno: number): void {
    if (this.#hasTold) return;
    this.#hasTold = true;
    const cure = errno === EMFILE ? 'raise "ulimit -n"' : 'free some of them';
    this.#host.trouble(
      `connections of the vsock fail, because the host has no more resources: ${errnoText(errno)}; ${cure}`,
    );
  }
}
