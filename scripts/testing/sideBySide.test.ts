import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Job, runSideBySide } from './sideBySide.ts';

/** Jobs whose begin and end are recorded; `end` ends one. */
class Recorded {
  readonly log: string[] = [];
  readonly #ends = new Map<string, () => void>();

  job(name: string, cores: number, ready: Promise<unknown> = Promise.resolve()): Job {
    const run = async (): Promise<void> => {
      this.log.push(`+${name}`);
      await new Promise<void>((resolve) => this.#ends.set(name, resolve));
      this.log.push(`-${name}`);
    };
    return { cores, ready, run };
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)?.();
    await settled();
  }
}

/** Everything that can happen without a further event has happened. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
}

describe('jobs side by side', () => {
  it('start in order up to the number of processors, then as earlier ones end', async () => {
    const jobs = new Recorded();
    const done = runSideBySide([jobs.job('a', 1), jobs.job('b', 1), jobs.job('c', 1)], 2);
    await settled();
    assert.deepEqual(jobs.log, ['+a', '+b']);
    await jobs.end('b');
    assert.deepEqual(jobs.log, ['+a', '+b', '-b', '+c']);
    await jobs.end('a');
    await jobs.end('c');
    await done;
  });

  it('let a smaller one go first when a large one does not fit', async () => {
    const jobs = new Recorded();
    const done = runSideBySide([jobs.job('a', 1), jobs.job('large', 2), jobs.job('b', 1)], 2);
    await settled();
    assert.deepEqual(jobs.log, ['+a', '+b']);
    await jobs.end('a');
    assert.deepEqual(jobs.log, ['+a', '+b', '-a']);
    await jobs.end('b');
    assert.deepEqual(jobs.log.slice(-1), ['+large']);
    await jobs.end('large');
    await done;
  });

  it('run alone when they want more processors than there are', async () => {
    const jobs = new Recorded();
    const done = runSideBySide([jobs.job('large', 4), jobs.job('a', 1)], 2);
    await settled();
    assert.deepEqual(jobs.log, ['+large']);
    await jobs.end('large');
    await jobs.end('a');
    await done;
    assert.deepEqual(jobs.log, ['+large', '-large', '+a', '-a']);
  });

  it('are not started before they are ready, and start even if what readies them fails', async () => {
    const jobs = new Recorded();
    let fail!: (error: Error) => void;
    const ready = new Promise((_resolve, reject) => (fail = reject));
    const done = runSideBySide([jobs.job('late', 1, ready), jobs.job('a', 1)], 1);
    await settled();
    await jobs.end('a');
    assert.deepEqual(jobs.log, ['+a', '-a']);
    fail(new Error('no network'));
    await settled();
    await jobs.end('late');
    await done;
    assert.deepEqual(jobs.log, ['+a', '-a', '+late', '-late']);
  });

  it('reject with what one of them threw', async () => {
    const broken: Job = {
      cores: 1,
      ready: Promise.resolve(),
      run: () => Promise.reject(new Error('broken')),
    };
    await assert.rejects(runSideBySide([broken], 2), /broken/);
  });
});
