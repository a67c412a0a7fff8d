import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plannableConfig, threadHost } from '../../test/support/devices.ts';
import { StateBlock, u32 } from '../bus/stateBlock.ts';
import { allocateDevices, buildDevices } from './buildDevices.ts';
import type { DeviceClass, Irq, Resources } from './device.ts';
import { planMachine } from './planner.ts';

const STATE = { count: u32 };

/** Counts writes to its ports and raises its interrupt with each. */
function counter(id: string, resources: Resources) {
  return {
    id,
    state: STATE,
    resources: () => resources,
    build: (_, { name, state, irq }) => ({
      name,
      read: () => state.regs.count,
      write: () => {
        state.regs.count++;
        irq().set(true);
      },
    }),
  } satisfies DeviceClass<unknown, typeof STATE>;
}

const at = (base: number, sizeBytes: number): Resources => ({ ports: [{ base, sizeBytes }] });
const wired = (irq: Irq): Resources => ({ irqs: [irq] });
const plan = (...catalog: readonly DeviceClass[]) => planMachine(plannableConfig(), catalog);

test('two devices at one port are refused, neighbours are not', () => {
  plan(counter('one', at(0x300, 4)), counter('other', at(0x304, 4)));
  assert.throws(
    () => plan(counter('one', at(0x300, 5)), counter('other', at(0x304, 4))),
    /^Error: one at port 0x300 overlaps other at port 0x304$/,
  );
});

test('two devices at one address are refused', () => {
  const mmio = [{ base: 0xd000_0000, sizeBytes: 0x1000 }];
  assert.throws(() => plan(counter('one', { mmio }), counter('other', { mmio })), /address 0xd0000000/);
});

test('an interrupt has one user, or several that all say so and agree on its trigger', () => {
  const shared: Irq = { gsi: 4, trigger: 'edge', isShared: true };
  const { irqs } = plan(counter('one', wired(shared)), counter('other', wired(shared)));
  assert.deepEqual(irqs[0]?.users, ['one', 'other']);
  const selfish: Irq = { gsi: 4, trigger: 'edge' };
  const level: Irq = { gsi: 4, trigger: 'level', isShared: true };
  assert.throws(
    () => plan(counter('one', wired(shared)), counter('other', wired(selfish))),
    /IRQ 4 is wanted by one and other/,
  );
  assert.throws(
    () => plan(counter('one', wired(shared)), counter('other', wired(level))),
    /IRQ 4 is both a level and an edge/,
  );
});

test('every device has registers of its own, the same in all threads, and a plan survives being sent to them', () => {
  const shared: Irq = { gsi: 4, trigger: 'edge', isShared: true };
  const catalog = [0x300, 0x304].map((base) =>
    counter(`c${base}`, { ports: [{ base, sizeBytes: 4 }], irqs: [shared] }),
  );
  const made = plan(...catalog);
  const memory = allocateDevices(made);
  const levels: boolean[] = [];
  const host = threadHost({ irqLine: () => ({ set: (on) => void levels.push(on) }) });
  const [one, other] = [made, structuredClone(made)].map((it) => buildDevices(it, memory, host, catalog));
  one?.ports.write(0x300, 1, 0);
  other?.ports.write(0x300, 1, 0);
  other?.ports.write(0x304, 1, 0);
  assert.deepEqual([one?.ports.read(0x300, 1), one?.ports.read(0x304, 1)], [2, 1]);
  assert.deepEqual(levels, [true], 'the line is up already');
  const counts = made.devices.map((it) => new StateBlock(STATE, memory, it.stateOffset).regs.count);
  assert.deepEqual(counts, [2, 1]);
});

test('the machine of a configuration has what the configuration asks for', () => {
  const names = (debugExit: boolean) =>
    planMachine(plannableConfig({ debugExit })).devices.map(({ name }) => name);
  assert.ok(names(true).includes('isa-debug-exit'));
  assert.ok(!names(false).includes('isa-debug-exit'));
  assert.deepEqual(
    names(false).filter((it) => it.startsWith('com')),
    ['com1', 'com2', 'com3', 'com4'],
  );
});
