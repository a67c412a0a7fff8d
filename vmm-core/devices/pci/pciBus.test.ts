import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIRST_DEVICE, PciMachine, seen } from '../../../test/support/pciMachine.ts';
import type { PciResources } from './pciResources.ts';

const ONE = FIRST_DEVICE;
const OTHER = FIRST_DEVICE + 1;
const WINDOW = 0xc000_0000;
const ALL_ONES = 0xffff_ffff;
const COMMAND = 4;

const memory = (sizeBytes: number, index = 0) => ({ index, kind: 'memory', sizeBytes }) as const;
const io = (sizeBytes: number, index = 0) => ({ index, kind: 'io', sizeBytes }) as const;
const memory64 = (sizeBytes: number, index = 0) => ({ index, kind: 'memory64', sizeBytes }) as const;

function threads(...functions: readonly Partial<PciResources>[]) {
  const machine = new PciMachine(...functions);
  const main = machine.thread();
  main.reset();
  return { machine, main, vcpu: machine.thread() };
}

test('after a reset BARs are where firmware has put them, decoded, apart from each other', () => {
  const { main, machine } = threads(
    { bars: [memory(16), io(4, 1), memory64(0x10_0000, 2)] },
    { bars: [memory(0x4000), io(0x100, 2)] },
  );
  const bars = machine.plan.devices.flatMap(({ pci }) => pci?.bars ?? []);
  for (const { base, sizeBytes, kind } of bars) {
    assert.equal(base % sizeBytes, 0);
    assert.ok(kind === 'io' || base % 0x1000 === 0);
  }
  const memories = bars.filter(({ kind }) => kind !== 'io').toSorted((a, b) => a.base - b.base);
  memories.forEach((it, i) => assert.ok(it.base + it.sizeBytes <= (memories[i + 1]?.base ?? 0xd000_0000)));
  main.mmio.write(main.readBar(ONE, 0), 4, 7);
  assert.equal(main.mmio.read(main.readBar(ONE, 0) + 4, 4), seen(7, 0, 4));
  assert.equal(main.ports.read(main.readBar(ONE, 1) & ~3, 4), seen(7, 1, 0));
  assert.equal(main.mmio.read(main.readBar(ONE, 2) - 4 + 0xf_fffc, 4), seen(7, 2, 0xf_fffc));
  assert.equal(main.read(ONE, COMMAND, 2), 3);
});

test('all ones in a BAR read back as its size, with the type in the low bits (§6.2.5.1)', () => {
  const { main } = threads({ bars: [memory(0x1000), io(32, 1), memory64(0x2000, 2)] });
  for (let bar = 0; bar < 6; bar++) main.writeBar(ONE, bar, ALL_ONES);
  const sizes = [0xffff_f000, 0xffff_ffe1, 0xffff_e004, ALL_ONES, 0, 0];
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((bar) => main.readBar(ONE, bar)),
    sizes,
  );
});

test('a BAR can be written byte by byte', () => {
  const { main } = threads({ bars: [memory(0x1000)] });
  [0x12, 0x30, 0x45, 0xc1].forEach((byte, i) => main.write(ONE, 0x10 + i, 1, byte));
  assert.equal(main.readBar(ONE, 0), 0xc145_3000);
  assert.equal(main.mmio.read(0xc145_3004, 4), 4);
});

test('a BAR that one vCPU moves all see move', () => {
  const { main, vcpu } = threads({ bars: [memory(0x1000)] });
  const before = main.readBar(ONE, 0);
  assert.equal(vcpu.mmio.read(before + 8, 4), 8);
  main.writeBar(ONE, 0, 0xc800_0000);
  assert.equal(vcpu.mmio.read(before + 8, 4), ALL_ONES);
  assert.equal(vcpu.mmio.read(0xc800_0008, 4), 8);
  vcpu.writeBar(ONE, 0, before);
  assert.equal(main.mmio.read(0xc800_0008, 4), ALL_ONES);
  assert.equal(main.mmio.read(before + 8, 4), 8);
});

test('with decoding off nothing answers, and writes reach nobody (§6.2.2)', () => {
  const { main } = threads({ bars: [memory(0x1000), io(4, 1)] });
  const [base, port] = [main.readBar(ONE, 0), main.readBar(ONE, 1) & ~3];
  main.write(ONE, COMMAND, 2, 1);
  assert.deepEqual([main.mmio.read(base, 4), main.ports.read(port, 4)], [ALL_ONES, 0x0100_0000]);
  main.mmio.write(base, 4, 99);
  main.write(ONE, COMMAND, 2, 2);
  assert.deepEqual([main.mmio.read(base, 4), main.ports.read(port, 4)], [0, ALL_ONES]);
});

test('a BAR outside its window is nowhere, and comes back from there', () => {
  const { main } = threads({ bars: [memory(0x1000), memory64(0x1000, 2)] });
  for (const base of [0, 0x10_0000, 0xbfff_f000, 0xd000_0000, 0xfee0_0000, 0xffff_f000]) {
    main.writeBar(ONE, 0, base);
    assert.equal(main.mmio.read(base, 4), ALL_ONES, base.toString(16));
  }
  main.writeBar(ONE, 3, 1);
  assert.equal(main.mmio.read(main.readBar(ONE, 2) - 4, 4), ALL_ONES);
  assert.equal(main.mmio.read(2 ** 32 + main.readBar(ONE, 2) - 4, 4), ALL_ONES);
  main.writeBar(ONE, 3, 0);
  main.writeBar(ONE, 0, 0xcfff_f000);
  assert.equal(main.mmio.read(0xcfff_fffc, 4), 0xffc);
  assert.equal(main.mmio.read(main.readBar(ONE, 2) - 4, 4), seen(0, 2, 0));
});

test('an I/O BAR below 1000h or beyond FFFFh is nowhere: the ports there stay what they are', () => {
  const { main } = threads({ bars: [io(16)] });
  for (const base of [0, 0xcf0, 0xff0, 0x1_2000]) {
    main.writeBar(ONE, 0, base);
    assert.equal(main.ports.read(base & 0xffff, 4), ALL_ONES);
  }
  main.writeBar(ONE, 0, 0xfff0);
  assert.equal(main.ports.read(0xfffc, 4), 12);
});

test('of BARs that overlap the one of the lower function answers, the other is nowhere until it is free', () => {
  const { main, vcpu, machine } = threads({ bars: [memory(0x1000)] }, { bars: [memory(0x4000)] });
  main.writeBar(ONE, 0, WINDOW + 0x1_1000);
  main.writeBar(OTHER, 0, WINDOW + 0x1_0000);
  assert.equal(vcpu.mmio.read(WINDOW + 0x1_1004, 4), 4);
  assert.equal(vcpu.mmio.read(WINDOW + 0x1_0004, 4), ALL_ONES);
  const doorbell = () => machine.doorbells[1]?.connected.map(({ address }) => address);
  assert.deepEqual(doorbell(), []);
  main.writeBar(ONE, 0, WINDOW);
  assert.equal(vcpu.mmio.read(WINDOW + 0x1_1004, 4), 0x1004);
  assert.deepEqual(doorbell(), [WINDOW + 0x1_0000]);
});

test("of one function's BARs that overlap the lower answers", () => {
  const { main } = threads({ bars: [memory(0x1000, 3), memory(0x1000, 0)] });
  main.writeBar(ONE, 3, WINDOW + 0x1_0000);
  main.writeBar(ONE, 0, WINDOW + 0x1_0000);
  assert.equal(main.mmio.read(WINDOW + 0x1_0000, 4), seen(0, 0, 0));
});

test('two BARs of a function cannot have one register, nor any the seventh', () => {
  const refused = /^Error: function-0: two BARs want one register, or one that is not there$/;
  assert.throws(() => threads({ bars: [memory64(16, 1), io(4, 2)] }), refused);
  assert.throws(() => threads({ bars: [memory(16, 1)], msixVectors: 1, msixBar: 1 }), refused);
  assert.throws(() => threads({ bars: [memory64(16, 5)] }), refused);
});

test('an access across the end of a BAR reads all ones, with the neighbour as without', () => {
  const { main } = threads({ bars: [memory(0x1000)] }, { bars: [memory(0x1000)] });
  main.writeBar(ONE, 0, WINDOW);
  main.writeBar(OTHER, 0, WINDOW + 0x1000);
  assert.equal(main.mmio.read(WINDOW + 0xffe, 4), ALL_ONES);
  assert.equal(main.mmio.read(WINDOW + 0xffe, 2), 0xffe);
});

test('a doorbell follows its BAR, whichever thread moves it, and is never where another still is', () => {
  const { main, vcpu, machine } = threads({ bars: [memory(0x1000)] }, { bars: [memory(0x1000)] });
  const at = () => machine.doorbells.map(({ connected }) => connected.map(({ address }) => address));
  const [one, other] = [main.readBar(ONE, 0), main.readBar(OTHER, 0)];
  assert.deepEqual(at(), [[one], [other]]);
  vcpu.writeBar(ONE, 0, 0xc100_0000);
  assert.deepEqual(at(), [[0xc100_0000], [other]]);
  main.write(ONE, COMMAND, 2, 0);
  main.writeBar(OTHER, 0, 0xc100_0000);
  assert.deepEqual(at(), [[], [0xc100_0000]]);
  vcpu.write(ONE, COMMAND, 2, 2);
  assert.deepEqual(at(), [[0xc100_0000], []], 'the lower one wins');
  main.reset();
  assert.deepEqual(at(), [[one], [other]]);
});

test('what a guest changed is as firmware left it after a reset', () => {
  const { main } = threads({ bars: [memory(0x1000)], hasInterruptPin: true });
  const space = () => Array.from({ length: 64 }, (_, i) => main.read(ONE, 4 * i, 4));
  const before = space();
  for (let i = 0; i < 64; i++) main.write(ONE, 4 * i, 4, 0x5a5a_5a5a);
  assert.notDeepEqual(space(), before);
  main.reset();
  assert.deepEqual(space(), before);
});

test('thirty-one functions beside the bridge have a slot each; one more is refused with a sentence', () => {
  const many = (count: number) => new PciMachine(...Array.from({ length: count }, () => ({})));
  const slots = many(31).plan.devices.map(({ pci }) => pci?.slot.device);
  assert.deepEqual(slots, [...Array(32).keys()]);
  assert.throws(() => many(32), /^UserError: function-31: the PCI bus has room for 32 devices/);
});

test('who insists on a slot has it, the others go around; two cannot have the same', () => {
  const insists = { slot: { device: 1, function: 0 } };
  const { plan } = new PciMachine({}, insists, {});
  assert.deepEqual(
    plan.devices.map(({ pci }) => pci?.slot.device),
    [0, 2, 1, 3],
  );
  assert.throws(
    () => new PciMachine(insists, insists),
    /slot 00:01.0 is wanted by function-0 and function-1/,
  );
});
