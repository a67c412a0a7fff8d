import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIRST_DEVICE, PciMachine } from '../../../test/support/pciMachine.ts';
import * as abi from '../../abi/pci.ts';
import type { PciResources } from './pciResources.ts';

const ONE = FIRST_DEVICE;
const OTHER = FIRST_DEVICE + 1;

function build(...functions: readonly Partial<PciResources>[]) {
  const machine = new PciMachine(...functions);
  const main = machine.thread();
  main.reset();
  const [first, second] = main.functions;
  assert.ok(first !== undefined);
  return { machine, main, first, second };
}

test('identification is read-only (§6.2.1)', () => {
  const { main } = build({});
  const registers = [abi.PCI_VENDOR_ID, abi.PCI_CLASS_REVISION, abi.PCI_SUBSYSTEM_VENDOR_ID];
  for (const register of registers) main.write(ONE, register, 4, 0);
  const values = registers.map((register) => main.read(ONE, register, 4));
  assert.deepEqual(values, [0x0005_1b36, 0xff00_0001, 0x1100_1af4]);
});

test('of the command register the bits that the function has can be set (§6.2.2)', () => {
  const { main, first } = build({ bars: [{ index: 0, kind: 'memory', sizeBytes: 16 }] });
  main.write(ONE, abi.PCI_COMMAND, 2, 0xffff);
  assert.equal(main.read(ONE, abi.PCI_COMMAND, 2), 0x546, 'no I/O: it has no ports');
  assert.ok(first.isBusMaster);
  main.write(ONE, abi.PCI_COMMAND, 2, 0);
  assert.ok(!first.isBusMaster);
});

test('status is read-only but for errors, which a one clears (§6.2.3)', () => {
  const { main } = build({ capabilities: [Uint8Array.of(4)] });
  assert.equal(main.read(ONE, abi.PCI_STATUS, 2), abi.PCI_STATUS_CAP_LIST);
  main.write(ONE, abi.PCI_STATUS, 2, 0xffff);
  main.write(ONE, abi.PCI_STATUS, 2, 0);
  assert.equal(main.read(ONE, abi.PCI_STATUS, 2), abi.PCI_STATUS_CAP_LIST);
});

test('what firmware writes for drivers can be written: line, latency, cache line (§6.2.4)', () => {
  const { main } = build({ hasInterruptPin: true });
  assert.equal(main.read(ONE, abi.PCI_INTERRUPT_LINE, 2), 0x010b, 'INTA#, its line');
  for (const register of [abi.PCI_INTERRUPT_LINE, abi.PCI_LATENCY_TIMER, abi.PCI_CACHE_LINE_SIZE]) {
    main.write(ONE, register, 1, 0x42);
    assert.equal(main.read(ONE, register, 1), 0x42);
  }
});

test('capabilities are a list of DWORD-aligned entries that ends with 0 (§6.7)', () => {
  const { main } = build({
    capabilities: [Uint8Array.of(5, 1, 2), Uint8Array.of(4, 7)],
    msixVectors: 3,
    msixBar: 4,
  });
  const list: number[][] = [];
  for (let at = main.read(ONE, abi.PCI_CAPABILITY_LIST, 1); at !== 0; at = main.read(ONE, at + 1, 1)) {
    assert.equal(at % 4, 0);
    list.push([main.read(ONE, at, 1), main.read(ONE, at + 2, 1)]);
  }
  assert.deepEqual(list, [
    [abi.PCI_CAP_ID_MSIX, 2],
    [abi.PCI_CAP_ID_VNDR, 5],
    [abi.PCI_CAP_ID_VNDR, 0],
  ]);
  assert.equal(main.read(ONE, abi.PCI_STATUS, 2) & abi.PCI_STATUS_CAP_LIST, abi.PCI_STATUS_CAP_LIST);
});

test("a capability's bytes are read-only, unless a device answers for them", () => {
  const { main } = build({ capabilities: [Uint8Array.of(8, 1, 2, 3), new Uint8Array(18)] });
  main.write(ONE, 0x40, 4, 0xffff_ffff);
  assert.equal(main.read(ONE, 0x40, 4), 0x0108_4809);
  main.write(ONE, 0x4c, 4, 0x1234);
  assert.equal(main.read(ONE, 0x4c, 4), 0x1234 + 2, 'the value, and the offset from the third byte on');
  assert.equal(main.read(ONE, 0x48, 2), 0x0009, 'its id and link are of the list');
});

test('an interrupt pin is a level that the line follows, and the status bit (§2.2.6, §6.2.3)', () => {
  const { main, machine, first } = build({ hasInterruptPin: true });
  const line = machine.irq(11);
  first.setPin(true);
  first.setPin(true);
  assert.deepEqual([line.asserted, line.edges], [true, 1]);
  assert.equal(main.read(ONE, abi.PCI_STATUS, 2), abi.PCI_STATUS_INTERRUPT);
  first.setPin(false);
  assert.equal(line.asserted, false);
  assert.equal(main.read(ONE, abi.PCI_STATUS, 2), 0);
});

test('Interrupt Disable takes the line away, not the status, and gives it back (§6.2.2)', () => {
  const { main, machine, first } = build({ hasInterruptPin: true });
  const line = machine.irq(11);
  first.setPin(true);
  main.write(ONE, abi.PCI_COMMAND, 2, abi.PCI_COMMAND_INTX_DISABLE);
  assert.equal(line.asserted, false);
  assert.equal(main.read(ONE, abi.PCI_STATUS, 2), abi.PCI_STATUS_INTERRUPT);
  main.write(ONE, abi.PCI_COMMAND, 2, 0);
  assert.equal(line.asserted, true);
});

test('with MSI-X enabled a function does not use its pin (§6.8.3.3)', () => {
  const { main, machine, first } = build({ hasInterruptPin: true, msixVectors: 1, msixBar: 0 });
  first.setPin(true);
  main.write(ONE, 0x42, 2, abi.PCI_MSIX_FLAGS_ENABLE);
  assert.equal(machine.irq(11).asserted, false);
  main.write(ONE, 0x42, 2, 0);
  assert.equal(machine.irq(11).asserted, true);
});

test('functions on one line hold it together', () => {
  const { machine, main } = build(
    { hasInterruptPin: true },
    { hasInterruptPin: true },
    { hasInterruptPin: true },
  );
  const [one, other, third] = main.functions;
  assert.equal(main.read(OTHER, abi.PCI_INTERRUPT_LINE, 1), 10);
  one?.setPin(true);
  third?.setPin(true);
  other?.setPin(true);
  one?.setPin(false);
  assert.deepEqual([machine.irq(10).asserted, machine.irq(11).asserted], [true, true]);
  third?.setPin(false);
  assert.deepEqual([machine.irq(10).asserted, machine.irq(11).asserted], [true, false]);
});

test('a reset takes the line down', () => {
  const { main, machine, first } = build({ hasInterruptPin: true });
  first.setPin(true);
  main.reset();
  assert.equal(machine.irq(11).asserted, false);
  assert.equal(main.read(ONE, abi.PCI_STATUS, 2), 0);
});
