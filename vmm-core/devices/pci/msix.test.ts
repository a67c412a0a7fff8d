import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIRST_DEVICE, PciMachine } from '../../../test/support/pciMachine.ts';
import * as abi from '../../abi/pci.ts';

const ONE = FIRST_DEVICE;
const BAR = 1;
const FLAGS = 0x42;
const ALL_ONES = 0xffff_ffff;
const MESSAGE = { address: 0xfee0_1000, data: 0x4041 };

/** MSI-X enabled, every vector with that message, still masked. */
function build(vectors = 2) {
  const machine = new PciMachine({ msixVectors: vectors, msixBar: BAR });
  const main = machine.thread();
  main.reset();
  const [msix] = main.functions;
  assert.ok(msix !== undefined);
  const table = main.readBar(ONE, BAR);
  const pending = table + main.read(ONE, 0x48, 4) - BAR;
  main.write(ONE, abi.PCI_COMMAND, 2, abi.PCI_COMMAND_MEMORY | abi.PCI_COMMAND_MASTER);
  main.write(ONE, FLAGS, 2, abi.PCI_MSIX_FLAGS_ENABLE);
  const set = (vector: number, field: number, value: number) =>
    main.mmio.write(table + 16 * vector + field, 4, value);
  for (let vector = 0; vector < vectors; vector++) {
    set(vector, 0, MESSAGE.address);
    set(vector, 8, MESSAGE.data);
  }
  const unmask = (vector: number) => set(vector, 12, 0);
  const mask = (vector: number) => set(vector, 12, 1);
  const { sent } = machine.msi;
  return { machine, main, msix, table, pending, sent, set, mask, unmask };
}

test('the capability tells the number of vectors, less one, and where table and pending bits are (§6.8.2.3)', () => {
  const { main, table, pending } = build(5);
  assert.equal(main.read(ONE, FLAGS, 2), abi.PCI_MSIX_FLAGS_ENABLE | 4);
  assert.equal(main.read(ONE, 0x44, 4), BAR);
  assert.equal(pending - table, 0x800);
  main.write(ONE, FLAGS, 2, 0xffff);
  assert.equal(main.read(ONE, FLAGS, 2), 0xc004);
});

test('a vector that is not masked sends its message (§6.8.2)', () => {
  const { msix, unmask, sent } = build();
  unmask(1);
  msix.raise(1);
  assert.deepEqual(sent, [MESSAGE]);
});

test('after a reset all vectors are masked (§6.8.2.9)', () => {
  const { main, msix, table, sent, unmask } = build();
  unmask(0);
  main.reset();
  assert.equal(main.read(ONE, FLAGS, 2), 1);
  assert.deepEqual(
    [0, 4, 8, 12].map((field) => main.mmio.read(table + field, 4)),
    [0, 0, 0, 1],
  );
  msix.raise(0);
  assert.deepEqual(sent, []);
});

test('a masked vector is pending, once, until it is unmasked, and then sends (§6.8.3.4)', () => {
  const { main, msix, pending, unmask, sent } = build();
  msix.raise(1);
  msix.raise(1);
  assert.deepEqual(sent, []);
  assert.equal(main.mmio.read(pending, 4), 2);
  unmask(1);
  assert.deepEqual(sent, [MESSAGE]);
  assert.equal(main.mmio.read(pending, 4), 0);
});

test('the message sent is that of the table at the unmask, not at the event (§6.8.3.5)', () => {
  const { msix, set, unmask, sent } = build();
  msix.raise(0);
  set(0, 4, 1);
  set(0, 8, 0x99);
  unmask(0);
  assert.deepEqual(sent, [{ address: 2 ** 32 + MESSAGE.address, data: 0x99 }]);
});

test('no message comes after a write that masks the vector, whichever thread wrote', () => {
  const { machine, table, msix, unmask, sent } = build();
  unmask(0);
  msix.raise(0);
  machine.thread().mmio.write(table + 12, 4, 1);
  msix.raise(0);
  assert.deepEqual(sent, [MESSAGE]);
});

test('Function Mask holds all vectors, whatever their own bits are (§6.8.2.3)', () => {
  const { main, msix, unmask, sent, pending } = build(70);
  unmask(3);
  unmask(69);
  main.write(ONE, FLAGS, 2, abi.PCI_MSIX_FLAGS_ENABLE | abi.PCI_MSIX_FLAGS_MASKALL);
  for (const vector of [3, 4, 69]) msix.raise(vector);
  assert.deepEqual(sent, []);
  assert.deepEqual(
    [0, 4, 8].map((at) => main.mmio.read(pending + at, 4)),
    [0x18, 0, 0x20],
  );
  main.write(ONE, FLAGS, 2, abi.PCI_MSIX_FLAGS_ENABLE);
  assert.deepEqual(sent, [MESSAGE, MESSAGE]);
  assert.deepEqual(
    [0, 4, 8].map((at) => main.mmio.read(pending + at, 4)),
    [0x10, 0, 0],
  );
});

test('a function that may not write memory keeps its messages until it may (§6.2.2)', () => {
  const { main, msix, unmask, sent } = build();
  unmask(0);
  main.write(ONE, abi.PCI_COMMAND, 2, abi.PCI_COMMAND_MEMORY);
  msix.raise(0);
  assert.deepEqual(sent, []);
  main.write(ONE, abi.PCI_COMMAND, 2, abi.PCI_COMMAND_MASTER);
  assert.deepEqual(sent, [MESSAGE]);
});

test('without MSI-X enabled, and for a vector that is not there, nothing happens', () => {
  const { main, msix, unmask, sent, pending } = build();
  unmask(0);
  for (const vector of [-1, 2, 4096, NaN]) msix.raise(vector);
  main.write(ONE, FLAGS, 2, 0);
  msix.raise(0);
  assert.ok(!msix.isMsixEnabled);
  assert.deepEqual([sent, main.mmio.read(pending, 4)], [[], 0]);
});

test('what was masked stays pending while MSI-X is off, whatever is unmasked meanwhile', () => {
  const { main, msix, unmask, sent } = build();
  msix.raise(0);
  main.write(ONE, FLAGS, 2, 0);
  unmask(0);
  assert.deepEqual(sent, []);
  main.write(ONE, FLAGS, 2, abi.PCI_MSIX_FLAGS_ENABLE);
  assert.deepEqual(sent, [MESSAGE]);
});

test('reserved bits of an entry stay 0, as do bits 1 and 0 of the address (§6.8.2.6, §6.8.2.9)', () => {
  const { main, table, set } = build();
  for (const field of [0, 4, 8, 12]) set(1, field, ALL_ONES);
  const entry = [0, 4, 8, 12].map((field) => main.mmio.read(table + 16 + field, 4));
  assert.deepEqual(entry, [0xffff_fffc, ALL_ONES, ALL_ONES, 1]);
});

test('the table is written and read by DWORDs and QWORDs (§6.8.2)', () => {
  const { main, table } = build();
  const bytes = Uint8Array.of(0x00, 0x50, 0xe0, 0xfe, 1, 0, 0, 0);
  main.mmio.writeBytes(table, bytes, 0, 8);
  const read = new Uint8Array(8);
  main.mmio.readBytes(table, read, 0, 8);
  assert.deepEqual(read, bytes);
  assert.deepEqual([main.mmio.read(table + 1, 1), main.mmio.read(table + 2, 2)], [0x50, 0xfee0]);
});

test('writes of part of a DWORD, across two, to pending bits and behind the table are dropped', () => {
  const { main, msix, table, pending } = build();
  msix.raise(0);
  const whole = () => Array.from({ length: 1024 }, (_, i) => main.mmio.read(table + 4 * i, 4));
  const before = whole();
  main.mmio.write(table, 1, 0);
  main.mmio.write(table + 8, 2, 0);
  main.mmio.write(table + 2, 4, 0);
  for (let at = table + 32; at < table + 4096; at += 4) main.mmio.write(at, 4, ALL_ONES);
  assert.deepEqual(whole(), before);
  assert.equal(main.mmio.read(pending, 4), 1);
});

test('2048 vectors have room (§6.8.2.3)', () => {
  const { main, msix, unmask, sent } = build(2048);
  unmask(2047);
  msix.raise(2047);
  assert.equal(sent.length, 1);
  main.writeBar(ONE, BAR, ALL_ONES);
  assert.equal(main.readBar(ONE, BAR), 0xffff_0000);
});
