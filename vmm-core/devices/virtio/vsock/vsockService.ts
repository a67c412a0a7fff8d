/** Serves a vsock device on the I/O thread: joins its queues to the host's sockets. */
import { HostSockets } from '../../../backends/vsock/hostSockets.ts';
import type { VsockOpened } from '../../../backends/vsock/listenSocket.ts';
import type { VirtioPort, VirtioService } from '../virtioClass.ts';
import { LISTEN_TAG } from './hostPrograms.ts';
import { VsockCore } from './vsockCore.ts';
import { RX_QUEUE, TX_QUEUE, type VsockInstance, type VsockState } from './vsockState.ts';

export class VsockService implements VirtioService {
  readonly #core: VsockCore;

  constructor({ vsock }: VsockInstance, port: VirtioPort<VsockState>) {
    const { io, memory, state } = port;
    if (io === undefined) throw new Error(`${port.name} has no I/O thread`);
    const opened = port.opened as VsockOpened; // VsockBackend.opened
    this.#core = new VsockCore({
      regs: state.regs,
      memory,
      rx: port.queue(RX_QUEUE),
      tx: port.queue(TX_QUEUE),
      cid: vsock.cid,
      sockets: new HostSockets(opened, memory.slots, io.poller, LISTEN_TAG),
      nowMs: () => performance.now(),
      notifyUsed: (queue) => port.notifyUsed(queue),
      kick: (queue) => port.kick(queue),
      arm: (delayMs) => io.arm(delayMs),
      fail: (rule) => port.fail(rule),
      trouble: (sentence) => port.tell?.(sentence),
    });
  }

  onKick(queue: number): boolean {
    return this.#core.onKick(queue);
  }

  onReady(tag: number, events: number): void {
    this.#core.onReady(tag, events);
  }

  onTimer(): void {
    this.#core.onTimer();
  }

  pause(): void {
    this.#core.pause();
  }

  resume(): void {
    this.#core.resume();
  }

  reset(): void {
    this.#core.reset();
  }

  resetQueue(index: number): void {
    this.#core.resetQueue(index);
  }

  close(): void {
    this.#core.close();
  }
}
