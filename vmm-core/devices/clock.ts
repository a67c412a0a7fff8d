/**
 * The time that devices see. Injected, so that tests decide it. Both clocks read the same on every thread of
 * the process.
 */
export interface Clock {
  /** UTC, whole milliseconds since 1970. */
  wallMs(): number;
  /** Since an arbitrary start, never steps back. */
  monotonicNs(): bigint;
}

export const hostClock: Clock = {
  wallMs: () => Date.now(),
  // Not performance.now(): each worker counts that from its own start.
  monotonicNs: () => process.hrtime.bigint(),
};
