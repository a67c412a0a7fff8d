import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plannableConfig, threadHost } from '../../test/support/devices.ts';
import { allocateDevices, buildDevices } from '../devices/buildDevices.ts';
import { CATALOG } from '../devices/catalog.ts';
import type { DeviceClass } from '../devices/device.ts';
import { hostBridge } from '../devices/pci/hostBridge.ts';
import { planMachine } from '../devices/planner.ts';
import type { VirtioClass } from '../devices/virtio/virtioClass.ts';
import { virtioDevice } from '../devices/virtio/virtioDevice.ts';
import { virtioState } from '../devices/virtio/virtioState.ts';
import { allocateGuestMemory } from '../memory/guestMemory.ts';
import { deviceReport } from './deviceReport.ts';
import { machineReport } from './machineReport.ts';

const MEMORY = allocateGuestMemory([{ base: 0, sizeBytes: 0x10000 }]);

const ENTROPY: VirtioClass = {
  id: 'test-entropy',
  deviceType: 4,
  classCode: 0xff_0000,
  state: virtioState(1, 0),
  instances: () => [{ transport: 'pci' }],
  nameOf: () => 'entropy0',
  features: () => [7],
  featureNames: { 7: 'VIRTIO_TEST_F_SEVEN' },
  queueSizes: () => [64],
  serve: () => ({ onKick: () => false }),
  inspect: () => ({ quality: 'good' }),
};

function build(catalog: readonly DeviceClass[]) {
  const plan = planMachine(plannableConfig(), catalog);
  const memory = allocateDevices(plan);
  const set = buildDevices(plan, memory, threadHost(), catalog);
  for (const { device } of set.devices) device?.reset?.();
  const reports = (): ReturnType<typeof deviceReport>[] =>
    set.devices.map((it) => deviceReport(it, memory, MEMORY));
  return { plan, memory, set, reports };
}

test('every device of the catalog has a report that survives JSON', () => {
  const { plan, memory, reports } = build(CATALOG);
  const machine = machineReport({ plan, memory }, MEMORY, [1, 0], {});
  assert.deepEqual(
    machine.devices,
    reports().map(({ name }) => name),
  );
  for (const report of [machine, ...reports()]) assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
});

test('registers have the names of the state block, whoever wrote them', () => {
  const { set, reports } = build(CATALOG);
  const [{ name, base } = assert.fail()] = set.devices.flatMap(({ planned }) =>
    planned.name === 'com2' ? [{ name: planned.name, base: planned.resources.ports?.[0]?.base ?? 0 }] : [],
  );
  set.ports.write(base + 7, 1, 0x5a); // SCR
  assert.equal(reports().find((it) => it.name === name)?.registers['scr'], 0x5a);
});

test('of an interrupt that several share, those that assert it are named', () => {
  const { plan, memory, set } = build(CATALOG);
  const asserting = (): readonly string[] | undefined =>
    machineReport({ plan, memory }, MEMORY, [], {}).interrupts.find(({ users }) => users.includes('com3'))
      ?.asserting;
  assert.deepEqual(asserting(), []);
  set.ports.write(0x3e8 + 1, 1, 2); // IER: the transmitter is empty
  assert.deepEqual(asserting(), ['com3']);
});

test('a virtio device is decoded as a PCI function, by what all have, and by its class', () => {
  const { reports } = build([hostBridge, virtioDevice(ENTROPY)]);
  const [, { decoded, pci, virtio } = assert.fail()] = reports();
  assert.deepEqual(decoded, { quality: 'good' });
  assert.equal(pci?.vendorId, '0x1af4');
  assert.equal(virtio?.deviceType, 4);
  assert.deepEqual(
    virtio.queues.map(({ maxSize, isEnabled }) => [maxSize, isEnabled]),
    [[64, false]],
  );
  for (const name of ['VIRTIO_F_VERSION_1', 'VIRTIO_RING_F_EVENT_IDX', 'VIRTIO_TEST_F_SEVEN'])
    assert.ok(virtio.notTaken.includes(name), name);
});
