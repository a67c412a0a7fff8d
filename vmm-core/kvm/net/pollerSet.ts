/** The pollers of an I/O engine, and which of them have something to tell. */
import type { Poller } from '../../bus/poller.ts';
import { EpollPoller } from './epollPoller.ts';

export class PollerSet {
  readonly #pollers: { readonly poller: EpollPoller; isReady: boolean }[] = [];
  #ready = 0;

  /** Some of them shall be looked at in any case: the engine does not wait. */
  get isBusy(): boolean {
    return this.#ready > 0;
  }

  /** `watch`: has `markReady` called with that number when that descriptor is readable. */
  open(onReady: (tag: number, events: number) => void, watch: (number: number, fd: number) => void): Poller {
    const poller = new EpollPoller(onReady);
    watch(this.#pollers.push({ poller, isReady: false }) - 1, poller.fd);
    return poller;
  }

  markReady(number: number): void {
    const it = this.#pollers[number];
    if (it === undefined || it.isReady) return;
    it.isReady = true;
    this.#ready++;
  }

  /** Each that is ready tells what it has, a bounded number of events. */
  tell(): void {
    if (this.#ready === 0) return;
    for (const it of this.#pollers) {
      if (!it.isReady) continue;
      it.isReady = it.poller.take();
      if (!it.isReady) this.#ready--;
    }
  }

  close(): void {
    for (const { poller } of this.#pollers) poller.close();
  }
}
