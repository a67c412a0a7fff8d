import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecordedIrq, RecordedMsi } from '../../test/support/devices.ts';
import * as abi from '../abi/pci.ts';
import { StateBlock } from '../bus/stateBlock.ts';
import { functionState } from '../devices/pci/functionState.ts';
import { PciFunction } from '../devices/pci/pciFunction.ts';
import { planFunctions } from '../devices/pci/pciPlan.ts';
import type { PciResources } from '../devices/pci/pciResources.ts';
import { pciReport } from './pciReport.ts';

const RESOURCES: PciResources = {
  ids: {
    vendorId: 0x1af4,
    deviceId: 0x1042,
    revisionId: 1,
    classCode: 0x01_0000,
    subsystemVendorId: 0x1af4,
    subsystemId: 0x40,
  },
  bars: [{ index: 0, kind: 'memory', sizeBytes: 0x1000 }],
  hasInterruptPin: true,
  msixVectors: 2,
  msixBar: 1,
};

function functionAsReset() {
  const [planned] = planFunctions([{ name: 'disk', pci: RESOURCES }], () => 0);
  assert.ok(planned !== undefined);
  const state = StateBlock.allocate(functionState(RESOURCES.msixVectors));
  const it = new PciFunction({
    resources: RESOURCES,
    planned,
    state,
    line: new RecordedIrq(),
    msi: new RecordedMsi(),
  });
  it.reset();
  const write = (offset: number, sizeBytes: number, value: number): void =>
    it.writeConfig(offset, sizeBytes, value);
  return { it, write, report: () => pciReport(planned, state.regs) };
}

test('a function is shown with its ids, and bits of command and status by name', () => {
  const { write, report } = functionAsReset();
  write(abi.PCI_COMMAND, 2, abi.PCI_COMMAND_MEMORY | abi.PCI_COMMAND_MASTER);
  const { address, vendorId, deviceId, classCode, command, status } = report();
  assert.deepEqual([address, vendorId, deviceId, classCode], ['00:00.0', '0x1af4', '0x1042', '0x010000']);
  assert.deepEqual(command, { value: '0x6', set: ['PCI_COMMAND_MEMORY', 'PCI_COMMAND_MASTER'] });
  assert.deepEqual(status.set, ['PCI_STATUS_CAP_LIST']);
});

test('a BAR is shown where the guest wrote it, whether or not the bus decodes it there', () => {
  const { it, write, report } = functionAsReset();
  write(abi.PCI_BASE_ADDRESS_0, 4, 0xc123_4fff);
  assert.deepEqual(report().bars[0], {
    index: 0,
    kind: 'memory',
    sizeBytes: 0x1000,
    base: '0xc1234000',
    isDecoded: false,
  });
  it.setBase(0, 0xc123_4000);
  assert.equal(report().bars[0]?.isDecoded, true);
});

test('the pin is told apart from its line, which the guest can switch off', () => {
  const { it, write, report } = functionAsReset();
  it.setPin(true);
  const { gsi, ...up } = report().pin ?? assert.fail();
  assert.ok(gsi > 0);
  assert.deepEqual(up, { isAsserted: true, isLineAsserted: true });
  write(abi.PCI_COMMAND, 2, abi.PCI_COMMAND_INTX_DISABLE);
  assert.deepEqual(report().pin, { gsi, isAsserted: true, isLineAsserted: false });
});

test('a vector that was raised while masked is pending (PCI 3.0 §6.8.2)', () => {
  const { it, write, report } = functionAsReset();
  write(abi.PCI_STD_HEADER_SIZEOF + abi.PCI_MSIX_FLAGS, 2, abi.PCI_MSIX_FLAGS_ENABLE);
  it.raise(1);
  const { isEnabled, isFunctionMasked, vectors } = report().msix ?? assert.fail();
  assert.deepEqual([isEnabled, isFunctionMasked], [true, false]);
  assert.deepEqual(
    vectors.map(({ isMasked, isPending }) => [isMasked, isPending]),
    [
      [true, false],
      [true, true],
    ],
  );
});
