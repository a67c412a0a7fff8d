/**
 * Counts how often two debuggers agree. On what is built here they must agree, except for what a named rule
 * explains. A package may differ tomorrow, and compilers find new ways to encode things: on those they must
 * agree nearly always, and every difference is reported.
 */
import assert from 'node:assert/strict';

/** At least this much of each group agrees. */
const WANTED_SHARE = 0.995;
const SHOWN = 20;

export class Agreement {
  readonly name: string;
  readonly wrong: string[] = [];
  /** Differences that a rule explains. */
  readonly others: string[] = [];
  readonly #explained = new Map<string, number>();
  #agreed = 0;

  constructor(name: string) {
    this.name = name;
  }

  get compared(): number {
    return this.#agreed + this.#differences;
  }

  get #differences(): number {
    return [...this.#explained.values()].reduce((sum, count) => sum + count, 0) + this.wrong.length;
  }

  agree(): void {
    this.#agreed++;
  }

  /** `rule` is the name of the explanation, `commands` show the difference. */
  differ(rule: string | undefined, difference: () => string, commands: readonly string[]): void {
    const text = [difference(), ...commands].join('\n    ');
    if (rule === undefined) this.wrong.push(text);
    else {
      this.#explained.set(rule, (this.#explained.get(rule) ?? 0) + 1);
      this.others.push(`${rule}: ${text}`);
    }
  }

  /** `5012 addresses compared, 5003 agree (99.82 %), 9 explained (noLine 9)` */
  get summary(): string {
    const share = this.compared === 0 ? 0 : (100 * this.#agreed) / this.compared;
    const rules = [...this.#explained].map(([rule, count]) => `${rule} ${count}`).join(', ');
    const others = rules === '' ? '' : `, explained: ${rules}`;
    const wrong = this.wrong.length === 0 ? '' : `, unexplained: ${this.wrong.length}`;
    return `${this.compared} ${this.name} compared, ${this.#agreed} agree (${share.toFixed(2)} %)${others}${wrong}`;
  }

  /** For programs built here: fails for any unexplained difference, and as checkShare does. */
  check(atLeast: number): void {
    const more = this.wrong.length > SHOWN ? [`and ${this.wrong.length - SHOWN} more`] : [];
    assert.deepEqual([...this.wrong.slice(0, SHOWN), ...more], [], this.name);
    this.checkShare(atLeast);
  }

  /**
   * For what a mirror serves: fails for too many differences, and for a group too small to mean anything.
   * `tell` gets each one.
   */
  checkShare(atLeast: number, tell: (difference: string) => void = () => undefined): void {
    for (const difference of [...this.wrong, ...this.others]) tell(`differs: ${this.name}: ${difference}`);
    assert.ok(this.compared >= atLeast, `${this.summary}: fewer than ${atLeast}`);
    assert.ok(this.#agreed >= WANTED_SHARE * this.compared, this.summary);
  }
}
