/**
 * JSON-RPC over a socket with the protocol's codec: both ends of the control socket are made here. Neither
 * end can fill the other's memory: frames have a maximum size, and a server takes no more requests from a
 * client that does not read its answers.
 */
import type { Socket } from 'node:net';
import { createMessageConnection, Message, type MessageConnection } from 'vscode-jsonrpc/node';
import { FrameReader } from './frameReader.ts';
import { FrameWriter } from './frameWriter.ts';

export interface MessageStream extends MessageConnection {
  /**
   * Resolves when the socket is closed and everything that came through it has been handled: `vm/ended`
   * before this.
   */
  readonly finished: Promise<void>;
  /** Written, and not taken by the other side yet. */
  readonly unreadBytes: number;
  /** Resolves when the other side has taken everything that was written, or is gone. */
  drained(): Promise<void>;
  /** A larger frame from the other side is an error. */
  maxFrameBytes: number;
}

export interface StreamOptions {
  /**
   * Requests wait while this many bytes of answers are unread. Only for the side that answers: if both sides
   * waited for each other, neither would continue.
   */
  readonly holdRequestsAt?: number;
  /** This many unread bytes are an error: the other side has stopped reading. */
  readonly maxUnreadBytes?: number;
}

/** A generous bound on a message's way through vscode-jsonrpc, in turns of the event loop. */
const IDLE_TURNS = 8;

export function messageStream(socket: Socket, options: StreamOptions = {}): MessageStream {
  const reader = new FrameReader(socket);
  const writer = new FrameWriter(socket, options.maxUnreadBytes ?? Infinity);
  const gate = new Gate(socket, options.holdRequestsAt ?? Infinity);
  let handled = 0;
  const connection = createMessageConnection(reader, writer, undefined, {
    messageStrategy: {
      handleMessage: (message, next) => {
        gate.pass(() => {
          handled++;
          if (Message.isRequest(message)) writer.owe(message.id);
          next(message);
        });
      },
    },
  });
  // Not `once` of node:events: that rejects when an error precedes the close, as when the other side is
  // killed.
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const finished = closed.then(() => idle(() => handled));
  return Object.defineProperties(connection, {
    finished: { value: finished },
    unreadBytes: { get: () => socket.writableLength },
    drained: { value: () => drained(socket, closed) },
    maxFrameBytes: {
      get: () => reader.maxFrameBytes,
      set: (bytes: number) => (reader.maxFrameBytes = bytes),
    },
  }) as MessageStream;
}

async function drained(socket: Socket, closed: Promise<void>): Promise<void> {
  if (!socket.writableNeedDrain) return;
  await Promise.race([closed, new Promise<void>((resolve) => socket.once('drain', () => resolve()))]);
}

/**
 * Reading is asynchronous too: messages are handled one per turn of the event loop, some of them after the
 * socket has closed.
 */
async function idle(progress: () => number): Promise<void> {
  let before = progress();
  for (let turns = 0; turns < IDLE_TURNS; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (progress() !== before) turns = 0;
    before = progress();
  }
}

/**
 * Holds messages back, in order, and pauses the socket, while the other side does not read what was written.
 */
class Gate {
  readonly #socket: Socket;
  readonly #limitBytes: number;
  #held: (() => void)[] = [];

  constructor(socket: Socket, limitBytes: number) {
    this.#socket = socket;
    this.#limitBytes = limitBytes;
    socket.on('drain', () => this.#release());
    socket.on('close', () => (this.#held = []));
  }

  pass(handle: () => void): void {
    if (this.#held.length === 0 && !this.#isShut) return handle();
    this.#held.push(handle);
    this.#socket.pause();
  }

  get #isShut(): boolean {
    return this.#socket.writableLength > this.#limitBytes;
  }

  /**
   * One at a time: its answer is written before the next turn of the event loop, and may shut the gate again.
   */
  #release(): void {
    if (this.#isShut) return;
    const next = this.#held.shift();
    if (next === undefined) {
      this.#socket.resume();
      return;
    }
    next();
    setImmediate(() => this.#release());
  }
}
