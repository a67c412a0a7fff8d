import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzDevice } from '../../../test/support/devices.ts';
import * as abi from '../../abi/fwCfg.ts';
import { StateBlock } from '../../bus/stateBlock.ts';
import { FwCfg, fwCfg } from './fwCfg.ts';

function newFwCfg() {
  const device = new FwCfg({
    state: StateBlock.allocate(fwCfg.state),
    machine: { cpus: 3, memoryBytes: 5 * 2 ** 30 },
  });
  device.reset();
  return {
    device,
    item: (key: number, length: number): number[] => {
      device.write(abi.FW_CFG_SELECTOR, 2, key);
      return Array.from({ length }, () => device.read(abi.FW_CFG_DATA, 1));
    },
  };
}

test('the signature is QEMU, and is what is selected after reset', () => {
  const { device, item } = newFwCfg();
  const bytes = Array.from({ length: 4 }, () => device.read(abi.FW_CFG_DATA, 1));
  assert.equal(Buffer.from(bytes).toString('latin1'), 'QEMU');
  assert.deepEqual(item(abi.FW_CFG_SIGNATURE, 4), bytes);
});

test('the interface is the traditional one, without DMA, and there are no files', () => {
  const { item } = newFwCfg();
  assert.deepEqual(item(abi.FW_CFG_ID, 4), [1, 0, 0, 0]);
  assert.deepEqual(item(abi.FW_CFG_FILE_DIR, 4), [0, 0, 0, 0]);
});

test('CPUs and memory are those of the machine, little-endian', () => {
  const { item } = newFwCfg();
  assert.deepEqual(item(abi.FW_CFG_NB_CPUS, 2), [3, 0]);
  assert.deepEqual(item(abi.FW_CFG_MAX_CPUS, 2), [3, 0]);
  assert.deepEqual(item(abi.FW_CFG_RAM_SIZE, 8), [0, 0, 0, 0x40, 1, 0, 0, 0]);
});

test('selecting starts from the first byte; behind the end and in unknown items there are zeroes', () => {
  const { device, item } = newFwCfg();
  assert.deepEqual(item(abi.FW_CFG_NB_CPUS, 4), [3, 0, 0, 0]);
  assert.deepEqual(item(abi.FW_CFG_NB_CPUS, 1), [3]);
  assert.deepEqual(item(0x11, 8), Array(8).fill(0));
  assert.deepEqual(item(0xffff, 2), [0, 0]);
  assert.equal(device.read(abi.FW_CFG_SELECTOR, 2), 0);
});

test('fuzz: random accesses stay in range', () => {
  fuzzDevice(newFwCfg().device, {
    seed: 5,
    rounds: 5000,
    windowBytes: 2,
    check: (value, size) => assert.ok(Number.isInteger(value) && value >= 0 && value < 256 ** size),
  });
});
