/** What the inspector asks of a virtio device's class (virtioClass.ts); `instance` is one of that class. */
import type { VirtioState } from './virtioState.ts';

export interface VirtioKind {
  readonly deviceType: number;
  readonly state: VirtioState;
  /** All that it offers, by number. */
  features(instance: unknown): readonly number[];
  /** Names of its own, by number, as the specification spells them. */
  readonly featureNames?: Readonly<Record<number, string>>;
  queueSizes(instance: unknown): readonly number[];
}
