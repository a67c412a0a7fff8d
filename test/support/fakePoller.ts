/** A poller without a kernel: the test says what is ready. */
import type { Poller } from '../../vmm-core/bus/poller.ts';

const ENOENT = 2;
const EEXIST = 17;

export class FakePoller implements Poller {
  /** By descriptor. */
  readonly entries = new Map<number, { readonly tag: number; readonly events: number }>();
  readonly #onReady: (tag: number, events: number) => void;

  constructor(onReady: (tag: number, events: number) => void) {
    this.#onReady = onReady;
  }

  add(fd: number, tag: number, events: number): number {
    if (this.entries.has(fd)) return -EEXIST;
    this.entries.set(fd, { tag, events });
    return 0;
  }

  change(fd: number, tag: number, events: number): number {
    if (!this.entries.has(fd)) return -ENOENT;
    this.entries.set(fd, { tag, events });
    return 0;
  }

  remove(fd: number): void {
    this.entries.delete(fd);
  }

  /** Absent: all that was asked for. */
  ready(fd: number, events?: number): void {
    const entry = this.entries.get(fd);
    if (entry !== undefined) this.#onReady(entry.tag, events ?? entry.events);
  }
}
