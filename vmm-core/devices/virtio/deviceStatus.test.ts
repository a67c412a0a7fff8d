import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  VIRTIO_CONFIG_S_ACKNOWLEDGE as A,
  VIRTIO_CONFIG_S_DRIVER as D,
  VIRTIO_CONFIG_S_DRIVER_OK as OK,
  VIRTIO_CONFIG_S_FAILED as FAILED,
  VIRTIO_CONFIG_S_FEATURES_OK as F,
  VIRTIO_CONFIG_S_NEEDS_RESET as NEEDS_RESET,
} from '../../abi/virtioConfig.ts';
import { isRunning, nextLegacyStatus, nextStatus } from './deviceStatus.ts';

it('a driver takes four steps, in order, the first two also at once, and no other (§3.1.1)', () => {
  const steps = [0, A, A | D, A | D | F, A | D | F | OK];
  for (let from = 0; from < 16; from++) {
    for (let to = 1; to < 16; to++) {
      const place = steps.indexOf(from);
      const isStep = to === from || (place >= 0 && steps[place + 1] === to) || (from === 0 && to === (A | D));
      assert.equal(nextStatus(from, to), isStep ? to : undefined, `${from} to ${to}`);
    }
  }
});

it('FAILED may be set at any time and stays, as does NEEDS_RESET, which a driver cannot set (§2.1)', () => {
  assert.equal(nextStatus(A, A | FAILED), A | FAILED);
  assert.equal(nextStatus(A | FAILED, A), A | FAILED);
  assert.equal(nextStatus(A | D | NEEDS_RESET, A | D), A | D | NEEDS_RESET);
  assert.equal(nextStatus(A, A | D | NEEDS_RESET), A | D);
  assert.equal(nextLegacyStatus(A, D | NEEDS_RESET), A | D);
});

it('by the legacy interface there is no FEATURES_OK, and bits may come alone (§3.1.2)', () => {
  assert.equal(nextLegacyStatus(A, D), A | D);
  assert.equal(nextLegacyStatus(A | D, OK), A | D | OK);
  assert.equal(nextLegacyStatus(A | D, F), A | D);
});

it('queues are served while the driver is ready and neither side has given up', () => {
  assert.equal(isRunning(A | D | F | OK), true);
  assert.equal(isRunning(A | D | F), false);
  assert.equal(isRunning(A | D | F | OK | FAILED), false);
  assert.equal(isRunning(A | D | F | OK | NEEDS_RESET), false);
});
