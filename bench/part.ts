/** One line of the bench's table. */
import type { Summary } from './statistics.ts';

export interface Result {
  readonly ours: Summary;
  /** Absent where the peer has no counterpart. */
  readonly theirs?: Summary;
}

export interface Part {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  /**
   * Of ours / the peer's (at most, at least), or an absolute value (at least, at most). Without a target: for
   * information.
   */
  readonly target: {
    readonly atMostRatio?: number;
    readonly atLeastRatio?: number;
    readonly atLeast?: number;
    readonly atMost?: number;
  };
  readonly how: string;
  /** Uses KVM and QEMU. */
  readonly needsKvm: boolean;
  readonly run: (node: string) => Promise<Result>;
}
