/**
 * The two directions and the host's side of a vsock device, put together: what each event sets going, and
 * what is told to the driver afterwards. On the I/O thread.
 */
import type { HostSockets } from '../../../backends/vsock/hostSockets.ts';
import type { Registers } from '../../../bus/stateBlock.ts';
import type { GuestMemory } from '../../../memory/guestMemory.ts';
import type { VirtQueue } from '../queue.ts';
import { Connections } from './connections.ts';
import { GuestDelivery } from './guestDelivery.ts';
import { GuestPackets } from './guestPackets.ts';
import { HostPrograms, LISTEN_TAG } from './hostPrograms.ts';
import { RxBuffers } from './rxBuffers.ts';
import { MAX_CONNECTIONS, RX_QUEUE, STATE, TX_QUEUE, type VsockState } from './vsockState.ts';

export interface VsockHost {
  readonly regs: Registers<VsockState>;
  readonly memory: GuestMemory;
  readonly rx: VirtQueue;
  readonly tx: VirtQueue;
  readonly cid: number;
  readonly sockets: HostSockets;
  readonly nowMs: () => number;
  /** Interrupts the driver unless it asked not to be. */
  notifyUsed(queue: VirtQueue): void;
  /** Has `onKick` called soon, after others on the thread had their turn. */
  kick(queue: number): void;
  arm(delayMs: number): void;
  /** The driver broke a rule that leaves the device unusable. */
  fail(rule: string): void;
  /** A sentence for the user. */
  trouble(sentence: string): void;
}

export class VsockCore {
  readonly connections: Connections;
  readonly #host: VsockHost;
  readonly #buffers: RxBuffers;
  readonly #packets: GuestPackets;
  readonly #delivery: GuestDelivery;
  readonly #programs: HostPrograms;
  readonly #proceed = (row: number): void => this.#programs.proceed(row);
  #isPaused = true;

  constructor(host: VsockHost) {
    const { regs, memory, rx, tx, cid, sockets, nowMs } = host;
    const arm = (delayMs: number): void => host.arm(delayMs);
    this.#host = host;
    this.connections = new Connections({ regs, sockets, nowMs, arm });
    this.#buffers = new RxBuffers(rx, memory, (rule) => host.fail(rule));
    this.#programs = new HostPrograms({
      connections: this.connections,
      arm,
      trouble: (sentence) => host.trouble(sentence),
    });
    this.#packets = new GuestPackets({
      queue: tx,
      memory,
      cid,
      connections: this.connections,
      programs: this.#programs,
    });
    this.#delivery = new GuestDelivery(this.connections, this.#buffers, cid);
  }

  /** True: there may be more of that queue. */
  onKick(queue: number): boolean {
    if (this.#isPaused) return false;
    const isMore = queue === TX_QUEUE && this.#packets.take();
    this.#settle();
    return isMore;
  }

  onReady(tag: number, events: number): void {
    this.#programs.note(tag, events);
    const isDraining = this.connections.table.state[tag] === STATE.draining;
    if (this.#isPaused && !isDraining) return; // what is drained is no guest's any more, and none may come
    if (tag !== LISTEN_TAG) this.#programs.proceed(tag);
    if (!this.#isPaused) this.#settle();
  }

  onTimer(): void {
    if (this.#isPaused) return;
    this.#programs.awaitPrograms();
    this.connections.onTimer(this.#proceed);
    this.#settle();
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** Goes on with what was noted meanwhile. Kicks follow. */
  resume(): void {
    this.#isPaused = false;
    const { table } = this.connections;
    for (let row = 0; row < MAX_CONNECTIONS; row++)
      if (table.state[row] !== STATE.free) this.#programs.proceed(row);
    this.#host.arm(0); // deadlines
  }

  /** The driver knows of no connection any more. Programs that it did not know of stay. */
  reset(): void {
    const { table, refusals } = this.connections;
    this.#buffers.forget();
    refusals.clear();
    for (let row = 0; row < MAX_CONNECTIONS; row++) {
      const state = table.state[row];
      if (state === STATE.requested || state === STATE.established) this.connections.release(row);
    }
  }

  resetQueue(queue: number): void {
    if (queue === RX_QUEUE) this.#buffers.forget();
  }

  close(): void {
    const { table, sockets } = this.connections;
    for (let row = 0; row < MAX_CONNECTIONS; row++)
      if (table.state[row] !== STATE.free) this.connections.end(row);
    sockets.closeListener();
  }

  /** After anything that happened: programs are let in, and the guest gets what is for it. */
  #settle(): void {
    const areMore = this.#programs.accept();
    if (this.#delivery.deliver() || areMore) this.#host.kick(RX_QUEUE);
    if (this.#packets.isHeld && !this.connections.refusals.isMuch) {
      this.#packets.isHeld = false;
      this.#host.kick(TX_QUEUE);
    }
    const { rx, tx } = this.#host;
    if (this.#packets.isUsed) this.#host.notifyUsed(tx);
    if (this.#buffers.isUsed) this.#host.notifyUsed(rx);
    this.#packets.isUsed = false;
    this.#buffers.isUsed = false;
  }
}
