import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  VIRTIO_CONFIG_S_ACKNOWLEDGE,
  VIRTIO_CONFIG_S_DRIVER,
  VIRTIO_CONFIG_S_NEEDS_RESET,
} from '../abi/virtioConfig.ts';
import { VIRTIO_MSI_NO_VECTOR } from '../abi/virtioPci.ts';
import { StateBlock } from '../bus/stateBlock.ts';
import type { VirtioKind } from '../devices/virtio/virtioKind.ts';
import { QUEUE_LENT, virtioState } from '../devices/virtio/virtioState.ts';
import { allocateGuestMemory, gpa } from '../memory/guestMemory.ts';
import { virtioReport } from './virtioReport.ts';

const QUEUES = 2;
const MEMORY = allocateGuestMemory([{ base: 0, sizeBytes: 0x10000 }]);

/** A device with features 5 and 9, of which the first has a name. */
const KIND: VirtioKind = {
  deviceType: 2,
  state: virtioState(QUEUES, 4),
  features: () => [5, 9],
  featureNames: { 5: 'VIRTIO_BLK_F_RO' },
  queueSizes: () => [256, 128],
};

function newDevice() {
  const state = StateBlock.allocate(KIND.state);
  return { regs: state.regs, report: () => virtioReport(KIND, undefined, state.regs, MEMORY) };
}

test('status and features are shown by the names of the specification', () => {
  const { regs, report } = newDevice();
  regs.status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
  regs.driverFeaturesLow = (1 << 5) | (1 << 28) | (1 << 31);
  regs.driverFeaturesHigh = 1;
  const { status, features, notTaken } = report();
  assert.deepEqual(status, { value: '0x3', set: ['VIRTIO_CONFIG_S_ACKNOWLEDGE', 'VIRTIO_CONFIG_S_DRIVER'] });
  assert.deepEqual(features, {
    value: '0x190000020',
    set: ['VIRTIO_BLK_F_RO', 'VIRTIO_RING_F_INDIRECT_DESC', 'bit 31', 'VIRTIO_F_VERSION_1'],
  });
  assert.deepEqual(notTaken, ['bit 9']);
});

test('the rule that the driver broke is shown, by its section', () => {
  const { regs, report } = newDevice();
  assert.equal(report().brokenRule, undefined);
  regs.status = VIRTIO_CONFIG_S_NEEDS_RESET;
  regs.brokenRule.set(new TextEncoder().encode('§2.7.5.2: a loop'));
  assert.equal(report().brokenRule, '§2.7.5.2: a loop');
  regs.brokenRule.fill(0x41);
  assert.equal(report().brokenRule, 'A'.repeat(regs.brokenRule.length), 'without an end');
});

test('a queue is shown with its addresses and counters, and its rings while it is enabled', () => {
  const { regs, report } = newDevice();
  regs.queueSize.set([8, 0]);
  regs.queueVector.set([1, VIRTIO_MSI_NO_VECTOR]);
  regs.queueDescLow[0] = 0x1000;
  regs.queueDriverLow[0] = 0x2000;
  regs.queueDeviceHigh[0] = 1;
  regs.queueKicks[0] = 3;
  regs.queueInterrupts[0] = 2;
  const [queue, other] = report().queues;
  assert.deepEqual(queue, {
    index: 0,
    maxSize: 256,
    size: 8,
    isEnabled: false,
    vector: 1,
    descriptorTable: '0x1000',
    availableRing: '0x2000',
    usedRing: '0x100000000',
    kicks: 3,
    interrupts: 2,
  });
  assert.equal(other?.vector, undefined);
  regs.queueEnabled[0] = 1;
  assert.equal(report().queues[0]?.rings, 'the used ring is outside guest memory');
  regs.queueDeviceHigh[0] = 0;
  regs.queueDeviceLow[0] = 0x3000;
  assert.ok(typeof report().queues[0]?.rings === 'object');
});

test('of a queue that somebody else serves the used ring says how far that has come', () => {
  const { regs, report } = newDevice();
  const [driver, device] = [0x4000, 0x5000];
  regs.queueSize[0] = 8;
  regs.queueEnabled[0] = 1;
  regs.queueDriverLow[0] = driver;
  regs.queueDeviceLow[0] = device;
  regs.queueNextAvail[0] = QUEUE_LENT;
  regs.queueNextUsed[0] = 17;
  MEMORY.writeU16(gpa(driver + 2), 45);
  MEMORY.writeU16(gpa(device + 2), 42);
  const { rings } = report().queues[0] ?? {};
  assert.ok(typeof rings === 'object');
  assert.deepEqual([rings.nextAvail, rings.inFlight, rings.available], [42, 0, 3]);
});
