/** Lines of the bench's table, and how they are measured. */
import type { Summary } from './statistics.ts';

export interface Result {
  readonly ours: Summary;
  /** Absent where the peer has no counterpart. */
  readonly theirs?: Summary;
}

export interface Row {
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
}

interface Measured {
  readonly name: string;
  readonly how: string;
  /** Uses KVM and QEMU. */
  readonly needsKvm: boolean;
}

export interface Part extends Row, Measured {
  readonly run: (node: string) => Promise<Result>;
}

/** Several lines of one measurement. */
export interface Group extends Measured {
  readonly title: string;
  readonly rows: readonly Row[];
  /** A result for each row; or why this machine cannot measure it. */
  readonly run: (node: string) => Promise<readonly Result[] | string>;
}
