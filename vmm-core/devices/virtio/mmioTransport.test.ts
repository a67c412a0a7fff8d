import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fuzzDevice } from '../../../test/support/devices.ts';
import { ECHO_QUEUE_SIZE, ECHO_STATE, ECHO_TYPE, echoClass } from '../../../test/support/echoDevice.ts';
import { MockDriver } from '../../../test/support/mockDriver.ts';
import { MmioDriver, VirtioMachine } from '../../../test/support/virtioMachine.ts';
import * as abi from '../../abi/virtioMmio.ts';
import { virtioDevice } from './virtioDevice.ts';
import { virtioFirmware } from './virtioFirmware.ts';

function newDevice() {
  const { memory, rings } = new MockDriver();
  const machine = new VirtioMachine(virtioDevice(echoClass([])), ECHO_STATE, memory);
  return { machine, driver: new MmioDriver(machine), rings };
}

describe('virtio over MMIO (§4.2)', () => {
  it('says what it is: "virt", version 2, its type', () => {
    const { driver } = newDevice();
    assert.equal(driver.read(abi.VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    assert.equal(driver.read(abi.VIRTIO_MMIO_VERSION), 2);
    assert.equal(driver.read(abi.VIRTIO_MMIO_DEVICE_ID), ECHO_TYPE);
  });

  it('answers registers by 32-bit accesses only; what is not a register reads 0 (§4.2.2.2)', () => {
    const { driver } = newDevice();
    assert.equal(driver.read(abi.VIRTIO_MMIO_VERSION, 1), 0);
    assert.equal(driver.read(abi.VIRTIO_MMIO_VERSION, 2), 0);
    driver.write(abi.VIRTIO_MMIO_STATUS, 1, 1);
    assert.equal(driver.status, 0);
    for (const offset of [0x00d, 0x018, 0x01c, 0x0f0, abi.VIRTIO_MMIO_STATUS + 2])
      assert.equal(driver.read(offset), 0);
  });

  it('has registers that are only written, and read 0', () => {
    const { driver } = newDevice();
    for (const offset of [abi.VIRTIO_MMIO_QUEUE_SEL, abi.VIRTIO_MMIO_DRIVER_FEATURES_SEL]) {
      driver.write(offset, 1);
      assert.equal(driver.read(offset), 0);
    }
  });

  it('has no shared memory: its length is all ones (§4.2.2)', () => {
    const { driver } = newDevice();
    driver.write(abi.VIRTIO_MMIO_SHM_SEL, 0);
    assert.equal(driver.read(abi.VIRTIO_MMIO_SHM_LEN_LOW), 0xffff_ffff);
    assert.equal(driver.read(abi.VIRTIO_MMIO_SHM_LEN_HIGH), 0xffff_ffff);
  });

  it('has its configuration space from 100h on, in any width, and 0 behind it', () => {
    const { driver, machine } = newDevice();
    assert.equal(driver.read(abi.VIRTIO_MMIO_CONFIG, 1), 1);
    assert.equal(driver.read(abi.VIRTIO_MMIO_CONFIG + 1, 2), 0x0302);
    assert.equal(driver.read(abi.VIRTIO_MMIO_CONFIG + 4), 0x0807_0605);
    assert.equal(driver.read(abi.VIRTIO_MMIO_CONFIG + 6), 0x0000_0807);
    assert.equal(driver.read(abi.VIRTIO_MMIO_CONFIG + 8), 0);
    driver.write(abi.VIRTIO_MMIO_CONFIG + 4, 0xaa55, 2);
    driver.write(abi.VIRTIO_MMIO_CONFIG + 6, 0, 4); // ends outside
    driver.write(abi.VIRTIO_MMIO_CONFIG, 0, 4); // read-only, says this device
    assert.deepEqual([...machine.state.regs.config], [1, 2, 3, 4, 0x55, 0xaa, 7, 8]);
  });

  it('tells the largest size of a queue, and 0 of one that there is not (§4.2.2)', () => {
    const { driver } = newDevice();
    driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, 1);
    assert.equal(driver.read(abi.VIRTIO_MMIO_QUEUE_NUM_MAX), ECHO_QUEUE_SIZE);
    driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, 2);
    assert.equal(driver.read(abi.VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
  });

  it('acknowledges only the interrupts written (§4.2.2)', () => {
    const { machine, driver } = newDevice();
    machine.state.regs.isr = abi.VIRTIO_MMIO_INT_VRING | abi.VIRTIO_MMIO_INT_CONFIG;
    driver.write(abi.VIRTIO_MMIO_INTERRUPT_ACK, abi.VIRTIO_MMIO_INT_CONFIG);
    assert.equal(driver.read(abi.VIRTIO_MMIO_INTERRUPT_STATUS), abi.VIRTIO_MMIO_INT_VRING);
  });

  it('takes a queue back by QueueReady = 0 (§4.2.2)', () => {
    const { driver, rings } = newDevice();
    driver.start([rings]);
    driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, 0);
    assert.equal(driver.read(abi.VIRTIO_MMIO_QUEUE_READY), 1);
    driver.write(abi.VIRTIO_MMIO_QUEUE_READY, 0);
    assert.equal(driver.read(abi.VIRTIO_MMIO_QUEUE_READY), 0);
  });

  it('survives any sequence of accesses', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { machine } = newDevice();
      const device = {
        name: 'page',
        read: (offset: number, size: number) => machine.set.mmio.read(0xd000_0000 + offset, size),
        write: (offset: number, size: number, value: number) =>
          machine.set.mmio.write(0xd000_0000 + offset, size, value),
      };
      const check = (value: number, size: number): void => assert.ok(value >= 0 && value < 256 ** size);
      fuzzDevice(device, { seed, rounds: 2000, windowBytes: 0x120, check });
    }
  });
});

describe('firmware', () => {
  it('names a device on MMIO by LNRO0005, with its page and its interrupt, and to a Linux without ACPI', () => {
    const {
      busTerms = [],
      isaIrqs,
      kernelParameters,
    } = virtioFirmware({
      mmio: [{ base: 0xd000_1000, sizeBytes: 0x1000 }],
      irqs: [{ gsi: 17, trigger: 'edge' }],
    });
    const text = Buffer.concat(busTerms).toString('latin1');
    assert.match(text, /VR01.*LNRO0005/s);
    assert.deepEqual(isaIrqs, [17]);
    assert.deepEqual(kernelParameters, ['virtio_mmio.device=4K@0xd0001000:17']);
    assert.deepEqual(virtioFirmware({}), {});
  });
});
