import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  bytes,
  clearFields,
  placeFields,
  ring,
  s64,
  StateBlock,
  u16,
  u32,
  u32s,
  u64,
  u8,
  words,
} from './stateBlock.ts';

const SHAPE = { count: u32, mask: u32, table: bytes(5) };

test('the same bytes are the same registers in every object over them', () => {
  const buffer = new SharedArrayBuffer(64);
  const one = new StateBlock(SHAPE, buffer, 8);
  const two = new StateBlock(SHAPE, buffer, 8);
  one.regs.mask = 0xffff_ffff;
  one.regs.table[4] = 7;
  assert.equal(two.regs.mask, 0xffff_ffff);
  assert.equal(two.regs['mask'], 0xffff_ffff);
  assert.equal(two.regs.count, 0);
  assert.equal(two.regs.table[4], 7);
});

test('a field keeps the low 32 bits, unsigned', () => {
  const block = StateBlock.allocate(SHAPE);
  block.regs.count = -1;
  assert.equal(block.regs.count, 0xffff_ffff);
  block.regs.count = 2 ** 32 + 5;
  assert.equal(block.regs.count, 5);
});

test('a block holds a lock and its fields, in a multiple of 8', () => {
  assert.equal(StateBlock.sizeOf(SHAPE), 24); // 4 + 2 * 4 + 5
  assert.equal(StateBlock.sizeOf({ count: u32 }), 8);
  assert.throws(() => new StateBlock(SHAPE, new SharedArrayBuffer(16)));
});

test('a field that does not exist cannot be added', () => {
  const block = StateBlock.allocate(SHAPE);
  assert.throws(() => Object.assign(block.regs, { typo: 1 }), TypeError);
});

test('a field is as wide as it says, keeps its low bits, and is at a multiple of its size', () => {
  const shape = { a: u8, b: u16, c: u8, d: u64, e: s64, f: u32 };
  assert.deepEqual(
    placeFields(shape).map(({ name, offset, sizeBytes }) => [name, offset, sizeBytes]),
    [
      ['a', 4, 1],
      ['b', 6, 2],
      ['c', 8, 1],
      ['d', 16, 8],
      ['e', 24, 8],
      ['f', 32, 4],
    ],
  );
  const { regs } = StateBlock.allocate(shape);
  Object.assign(regs, { a: -1, b: -1, c: 0x101, d: -1n, e: -1n, f: -1 });
  const { a, b, c, d, e, f } = regs;
  assert.deepEqual([a, b, c, d, e, f], [0xff, 0xffff, 1, 2n ** 64n - 1n, -1n, 0xffff_ffff]);
});

test('rings and bytes are fields too, and cannot be replaced', () => {
  const shape = { flag: u8, output: ring(16), table: bytes(3) };
  const buffer = new SharedArrayBuffer(StateBlock.sizeOf(shape));
  const [one, two] = [new StateBlock(shape, buffer), new StateBlock(shape, buffer)];
  one.regs.output.push(0x41);
  one.regs.table[2] = 9;
  assert.equal(two.regs.output.shift(), 0x41);
  assert.deepEqual([...two.regs.table], [0, 0, 9]);
  assert.throws(() => Object.assign(one.regs, { table: new Uint8Array(3) }), TypeError);
});

test('clearing leaves rings and the fields named as they are', () => {
  const shape = { flag: u8, wide: u64, kept: u8, output: ring(16), table: bytes(3) };
  const { regs } = StateBlock.allocate(shape);
  Object.assign(regs, { flag: 1, wide: 2n, kept: 3 });
  regs.output.push(0x41);
  regs.table.fill(4);
  clearFields(shape, regs, ['kept']);
  assert.deepEqual([regs.flag, regs.wide, regs.kept, regs.output.length], [0, 0n, 3, 1]);
  assert.deepEqual([...regs.table], [0, 0, 0]);
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
    const block = new StateBlock(${JSON.stringify(SHAPE)}, workerData.buffer);
    for (let i = 0; i < ${rounds}; i++) block.locked(() => { block.regs.count++; });`;
  const workerData = { buffer, module: require.resolve('./stateBlock.ts') };
  const exits = [1, 2].map(
    () =>
      new Promise<number>((resolve, reject) => {
        new Worker(source, { eval: true, workerData }).on('error', reject).on('exit', resolve);
      }),
  );
  assert.deepEqual(await Promise.all(exits), [0, 0]);
  assert.equal(new StateBlock(SHAPE, buffer).regs.count, 2 * rounds);
});

test('registers that there are several of are cleared by a reset, words for Atomics are not', () => {
  const shape = { flag: u8, vectors: u32s(3), gate: words(2) };
  const { regs } = StateBlock.allocate(shape);
  regs.vectors.fill(0xffff_ffff);
  Atomics.store(regs.gate, 1, -1);
  clearFields(shape, regs);
  assert.deepEqual([...regs.vectors], [0, 0, 0]);
  assert.deepEqual([...regs.gate], [0, -1]);
});

test('a block that starts with the fields of another shape is one of those too, under the same lock', () => {
  const start = { status: u8, queues: u32s(2) };
  const block = StateBlock.allocate({ ...start, extra: u32 });
  const common = block.startingWith({ status: u8, queues: u32s(2) });
  block.regs.queues[1] = 5;
  assert.equal(common.regs.queues[1], 5);
  assert.throws(() => block.startingWith({ status: u8, queues: u32s(3) }), /does not start/);
  assert.throws(() => block.startingWith({ extra: u32 }), /does not start/);
});
