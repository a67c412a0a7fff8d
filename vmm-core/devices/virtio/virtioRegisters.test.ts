import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_NEEDS_RESET } from '../../abi/virtioConfig.ts';
import { ServiceGate } from '../../bus/serviceGate.ts';
import { StateBlock } from '../../bus/stateBlock.ts';
import { VirtioRegisters } from './virtioRegisters.ts';
import { virtioState } from './virtioState.ts';

const SHAPE = virtioState(1, 0);
const CAUSE = 1;

function newRegisters(): VirtioRegisters {
  const state = StateBlock.allocate(SHAPE);
  const nothing = (): undefined => undefined;
  const driver = { kick: nothing, onReady: nothing, lowerInterrupt: nothing, holdGuest: nothing };
  const config = { resetConfig: nothing, writeConfig: nothing, refusal: nothing };
  const gate = new ServiceGate(state.regs.gate, nothing);
  const device = { name: 'test', features: [], queueSizes: [8] };
  return new VirtioRegisters({ ...device, ...driver, ...config, shape: SHAPE, state, gate });
}

test('an interrupt that comes after a reset, from another thread, is none (§2.4)', () => {
  const registers = newRegisters();
  for (const status of [
    0,
    VIRTIO_CONFIG_S_DRIVER_OK,
    VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET,
  ]) {
    registers.regs.status = status;
    registers.regs.isr = 0;
    let signals = 0;
    registers.raiseIsr(CAUSE, () => signals++);
    assert.deepEqual([registers.regs.isr, signals], status === 0 ? [0, 0] : [CAUSE, 1]);
  }
});
