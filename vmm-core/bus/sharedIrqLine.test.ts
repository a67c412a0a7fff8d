import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecordedIrq } from '../../test/support/devices.ts';
import { SharedIrqLine } from './sharedIrqLine.ts';
import { StateBlock } from './stateBlock.ts';

test('the line is up while any source is', () => {
  const irq = new RecordedIrq();
  const shared = new SharedIrqLine(StateBlock.allocate(SharedIrqLine.state), irq);
  const [com1, com3] = [shared.source(0), shared.source(31)];
  com1.set(true);
  com3.set(true);
  com1.set(false);
  assert.equal(irq.asserted, true);
  com3.set(false);
  com3.set(false);
  assert.equal(irq.asserted, false);
  assert.equal(irq.edges, 1);
});

test('objects of two threads over the same block drive one line', () => {
  const irq = new RecordedIrq();
  const buffer = new SharedArrayBuffer(StateBlock.sizeOf(SharedIrqLine.state));
  const threads = [0, 1].map(() => new SharedIrqLine(new StateBlock(SharedIrqLine.state, buffer), irq));
  threads[0]?.source(0).set(true);
  threads[1]?.source(0).set(false);
  assert.equal(irq.asserted, false);
});

test('a source number outside 0..31 is refused', () => {
  const shared = new SharedIrqLine(StateBlock.allocate(SharedIrqLine.state), new RecordedIrq());
  assert.throws(() => shared.source(32), RangeError);
  assert.throws(() => shared.source(-1), RangeError);
});
