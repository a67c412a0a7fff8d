import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { StateBlock } from './stateBlock.ts';

const SHAPE = { fields: ['count', 'mask'] as const, extraBytes: 5 };

test('the same bytes are the same registers in every object over them', () => {
  const buffer = new SharedArrayBuffer(64);
  const one = StateBlock.open(SHAPE, buffer, 8);
  const two = StateBlock.open(SHAPE, buffer, 8);
  one.regs.mask = 0xffff_ffff;
  one.extra[4] = 7;
  assert.equal(two.regs.mask, 0xffff_ffff);
  assert.equal(two.get('mask'), 0xffff_ffff);
  assert.equal(two.regs.count, 0);
  assert.equal(two.extra[4], 7);
});

test('a field keeps the low 32 bits, unsigned', () => {
  const block = StateBlock.allocate(SHAPE);
  block.regs.count = -1;
  assert.equal(block.regs.count, 0xffff_ffff);
  block.set('count', 2 ** 32 + 5);
  assert.equal(block.get('count'), 5);
});

test('a block holds lock, fields and extra bytes, in a multiple of 8', () => {
  assert.equal(StateBlock.sizeOf(SHAPE), 24); // 4 + 2 * 4 + 5
  assert.equal(StateBlock.sizeBytes(1), 8);
  assert.throws(() => StateBlock.open(SHAPE, new SharedArrayBuffer(16)));
});

test('a field that does not exist cannot be added', () => {
  const block = StateBlock.allocate(SHAPE);
  assert.throws(() => Object.assign(block.regs, { typo: 1 }), TypeError);
});

test('the lock is released when the body throws', () => {
  const block = StateBlock.allocate(SHAPE);
  assert.throws(() => block.locked(() => assert.fail('body')));
  assert.equal(
    block.locked(() => 'free'),
    'free',
  );
});

test('increments of two threads under the lock are all counted', { timeout: 20_000 }, async () => {
  const rounds = 50_000;
  const buffer = new SharedArrayBuffer(StateBlock.sizeOf(SHAPE));
  const source = `require('tsx/cjs');
    const { workerData } = require('node:worker_threads');
    const { StateBlock } = require(workerData.module);
    const block = StateBlock.open(${JSON.stringify(SHAPE)}, workerData.buffer);
    for (let i = 0; i < ${rounds}; i++) block.locked(() => { block.regs.count++; });`;
  const workerData = { buffer, module: require.resolve('./stateBlock.ts') };
  const exits = [1, 2].map(
    () =>
      new Promise<number>((resolve, reject) => {
        new Worker(source, { eval: true, workerData }).on('error', reject).on('exit', resolve);
      }),
  );
  assert.deepEqual(await Promise.all(exits), [0, 0]);
  assert.equal(StateBlock.open(SHAPE, buffer).regs.count, 2 * rounds);
});
