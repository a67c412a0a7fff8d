/** Seeded choices. */
export class Chances {
  readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  /** `chance(0.1)`: true in one of ten. */
  chance(share: number): boolean {
    return this.random() < share;
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}
