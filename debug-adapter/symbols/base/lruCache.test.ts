import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LruCache } from './lruCache.ts';

test('what was used least recently is forgotten first, until there is room again', () => {
  const cache = new LruCache<string, number>(10);
  for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) cache.set(name, index, 2.5);
  assert.equal(cache.get('a'), 0);
  cache.set('e', 4, 2.5);
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].map((name) => cache.get(name)),
    [0, undefined, undefined, 3, 4],
  );
});

test('an entry that is too heavy by itself is still kept, alone', () => {
  const cache = new LruCache<string, number>(10);
  cache.set('small', 1, 1);
  cache.set('large', 2, 100);
  assert.equal(cache.get('small'), undefined);
  assert.equal(cache.get('large'), 2);
  cache.set('next', 3, 1);
  assert.equal(cache.get('large'), undefined);
  assert.equal(cache.get('next'), 3);
});

test('an entry set again has its new weight', () => {
  const cache = new LruCache<string, number>(10);
  for (let round = 0; round < 100; round++) cache.set('a', round, 6);
  cache.set('b', 0, 3);
  assert.equal(cache.get('a'), 99);
});
