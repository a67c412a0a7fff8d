import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alternate, summarize } from './statistics.ts';

test('the median of an even number of values is between the middle two', () => {
  assert.deepEqual(summarize([4, 1, 3, 10]), { median: 3.5, min: 1, max: 10 });
  assert.deepEqual(summarize([7, 5, 6]), { median: 6, min: 5, max: 7 });
});

test('measurements alternate, and the first round is not counted', async () => {
  const order: string[] = [];
  const values = { a: [100, 1, 2, 3], b: [200, 4, 5, 6] };
  const measure = (name: 'a' | 'b') => async (): Promise<number> => {
    order.push(name);
    return values[name].shift() ?? NaN;
  };
  const result = await alternate(3, { a: measure('a'), b: measure('b') });
  assert.equal(order.join(''), 'abababab');
  assert.deepEqual([result.a.median, result.b.median], [2, 5]);
});
