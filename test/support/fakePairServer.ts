/** What a link has whose host serves queues, without a host: it says what it is asked. */
import assert from 'node:assert/strict';
import type { LentPair, PairProgress, PairServer } from '../../vmm-core/backends/net/pairServer.ts';

export class FakePairServer implements PairServer {
  readonly pairs: number;
  readonly told: string[] = [];
  readonly lent = new Map<number, LentPair>();
  isAble = true;
  isClear = true;
  /** How far it has come when it is stopped, after where it began. */
  used = { receive: 0, transmit: 0 };

  constructor(pairs = 1) {
    this.pairs = pairs;
  }
  usePairs(count: number): void {
    this.told.push(`use ${count}`);
  }
  clear(): boolean {
    return this.isClear;
  }
  start(pair: number, lent: LentPair): boolean {
    if (!this.isAble) {
      this.told.push(`cannot ${pair}`);
      return false;
    }
    this.lent.set(pair, lent);
    this.told.push(`start ${pair} at ${lent.receive.nextAvail}, ${lent.transmit.nextAvail}`);
    return true;
  }
  stop(pair: number): PairProgress {
    const { receive, transmit } = this.lent.get(pair) ?? assert.fail(`${pair} is not served`);
    this.lent.delete(pair);
    this.told.push(`stop ${pair}`);
    const { used } = this;
    return { receive: receive.nextAvail + used.receive, transmit: transmit.nextAvail + used.transmit };
  }
  pair(pair = 0): LentPair {
    return this.lent.get(pair) ?? assert.fail(`${pair} is not served`);
  }
  /** What it was told since. */
  take(): string[] {
    return this.told.splice(0);
  }
}
