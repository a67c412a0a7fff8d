/**
 * How fast a disk may be: token buckets of requests and of bytes. A request may start while there is no debt,
 * and takes all it needs, even if that makes one: so a large one needs no large bucket, and the rate holds on
 * average. The thread of the disk.
 */

/** What a disk may do at once after it was idle, as a part of a second's worth. */
const BURST_SECONDS = 0.1;

class TokenBucket {
  readonly #perMs: number;
  readonly #capacity: number;
  #tokens: number;
  #filledAtMs = 0;

  constructor(perSecond: number) {
    this.#perMs = perSecond / 1000;
    this.#capacity = Math.max(1, perSecond * BURST_SECONDS);
    this.#tokens = this.#capacity;
  }

  /** Until it is out of debt; 0: it is. */
  delayMs(nowMs: number): number {
    this.#fill(nowMs);
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs;
  }

  take(tokens: number): void {
    this.#tokens -= tokens;
  }

  #fill(nowMs: number): void {
    const elapsedMs = nowMs - this.#filledAtMs;
    this.#filledAtMs = nowMs;
    this.#tokens = Math.min(this.#capacity, this.#tokens + elapsedMs * this.#perMs);
  }
}

export interface Rates {
  /** Requests a second. */
  readonly iops?: number | undefined;
  /** Bytes a second. */
  readonly bandwidth?: number | undefined;
}

export class RateLimit {
  readonly #requests: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;
  readonly #nowMs: () => number;

  constructor({ iops, bandwidth }: Rates, nowMs: () => number = () => performance.now()) {
    this.#requests = iops === undefined ? undefined : new TokenBucket(iops);
    this.#bytes = bandwidth === undefined ? undefined : new TokenBucket(bandwidth);
    this.#nowMs = nowMs;
  }

  /** Takes what a request of that many bytes needs and returns 0, or returns how long it has to wait. */
  admit(lengthBytes: number): number {
    const requests = this.#requests;
    const bytes = this.#bytes;
    if (requests === undefined && bytes === undefined) return 0;
    const nowMs = this.#nowMs();
    const delayMs = Math.max(requests?.delayMs(nowMs) ?? 0, bytes?.delayMs(nowMs) ?? 0);
    if (delayMs > 0) return delayMs;
    requests?.take(1);
    bytes?.take(lengthBytes);
    return 0;
  }
}
