/** Counts how often two debuggers agree. What they differ in must be explained by a named rule; anything else is a failure. */
import assert from 'node:assert/strict';

/** At least so much of each group agrees outright. */
const WANTED_SHARE = 0.995;
const SHOWN = 20;

export class Agreement {
  readonly name: string;
  readonly wrong: string[] = [];
  private readonly explained = new Map<string, number>();
  private agreed = 0;

  constructor(name: string) {
    this.name = name;
  }

  get compared(): number {
    return this.agreed + this.differences;
  }

  private get differences(): number {
    return [...this.explained.values()].reduce((sum, count) => sum + count, 0) + this.wrong.length;
  }

  agree(): void {
    this.agreed++;
  }

  /** `rule` is the name of the explanation; without one the difference is a failure. */
  differ(rule: string | undefined, difference: () => string): void {
    if (rule === undefined) this.wrong.push(difference());
    else this.explained.set(rule, (this.explained.get(rule) ?? 0) + 1);
  }

  /** `5012 addresses compared, 5003 agree (99.82 %), 9 explained (noLine 9)` */
  get summary(): string {
    const share = this.compared === 0 ? 0 : (100 * this.agreed) / this.compared;
    const rules = [...this.explained].map(([rule, count]) => `${rule} ${count}`).join(', ');
    const others = rules === '' ? '' : `, explained: ${rules}`;
    return `${this.compared} ${this.name} compared, ${this.agreed} agree (${share.toFixed(2)} %)${others}`;
  }

  /** Fails for any unexplained difference, for too many explained ones, and for a group too small to mean anything. */
  check(atLeast: number): void {
    const more = this.wrong.length > SHOWN ? [`and ${this.wrong.length - SHOWN} more`] : [];
    assert.deepEqual([...this.wrong.slice(0, SHOWN), ...more], [], this.name);
    assert.ok(this.compared >= atLeast, `${this.summary}: fewer than ${atLeast}`);
    assert.ok(this.agreed >= WANTED_SHARE * this.compared, this.summary);
  }
}
