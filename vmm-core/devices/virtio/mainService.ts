/**
 * Serves a small device's queues on the main thread. Kicks come as events, one for any number of them: a
 * guest that kicks in a loop does not fill main's queue of messages. Each time the event loop turns, a queue
 * gets one go.
 */
import type { Backend, MemoryBalloon, SerialLine } from '../../backends/backend.ts';
import type { StateBlock } from '../../bus/stateBlock.ts';
import { WAKE_EVENT } from '../device.ts';
import type { QueueServer } from './queueServer.ts';
import type { VirtioState } from './virtioState.ts';

/** To main: `regs.kicked` says of which queues. */
export const KICK_EVENT = 'kick';

/** Any thread: true: main is to be told. */
export function markKicked(state: StateBlock<VirtioState>, queue: number): boolean {
  return state.locked(() => {
    const before = state.regs.kicked;
    state.regs.kicked = before | (1 << queue);
    return before === 0;
  });
}

export class MainService implements Backend {
  readonly #state: StateBlock<VirtioState>;
  readonly #server: QueueServer;
  #turn: NodeJS.Immediate | undefined;

  constructor(state: StateBlock<VirtioState>, server: QueueServer) {
    this.#state = state;
    this.#server = server;
  }

  get serial(): readonly SerialLine[] | undefined {
    return this.#server.service.serial;
  }

  get balloon(): MemoryBalloon | undefined {
    return this.#server.service.balloon;
  }

  onEvent(event: string): void {
    if (event === WAKE_EVENT) this.#server.onWake();
    else this.#turn ??= setImmediate(() => this.poll());
  }

  poll(): void {
    clearImmediate(this.#turn);
    this.#turn = undefined;
    const kicked = this.#state.locked(() => {
      const before = this.#state.regs.kicked;
      this.#state.regs.kicked = 0;
      return before;
    });
    for (const { index } of this.#server.queues)
      if ((kicked & (1 << index)) !== 0) this.#server.onKick(index);
  }

  flush(): void {
    this.poll();
    this.#server.service.flush?.();
  }

  close(): void {
    clearImmediate(this.#turn);
    this.#server.close();
  }
}
