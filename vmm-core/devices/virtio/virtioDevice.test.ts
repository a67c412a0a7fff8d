/** What is the same by every transport, here over MMIO: a driver's life, and what it may not do. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  ECHO_F_LOUD,
  ECHO_QUEUE_SIZE,
  ECHO_STATE,
  echoClass,
  type EchoOptions,
  type EchoService,
} from '../../../test/support/echoDevice.ts';
import { MockDriver, readable, writable } from '../../../test/support/mockDriver.ts';
import { MmioDriver, VirtioMachine } from '../../../test/support/virtioMachine.ts';
import {
  VIRTIO_CONFIG_S_ACKNOWLEDGE as ACKNOWLEDGE,
  VIRTIO_CONFIG_S_DRIVER as DRIVER,
  VIRTIO_CONFIG_S_DRIVER_OK as DRIVER_OK,
  VIRTIO_CONFIG_S_FAILED as FAILED,
  VIRTIO_CONFIG_S_FEATURES_OK as FEATURES_OK,
  VIRTIO_CONFIG_S_NEEDS_RESET as NEEDS_RESET,
  VIRTIO_F_RING_RESET,
  VIRTIO_F_VERSION_1,
} from '../../abi/virtioConfig.ts';
import * as abi from '../../abi/virtioMmio.ts';
import { VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from '../../abi/virtioRing.ts';
import { placeFields } from '../../bus/stateBlock.ts';
import { virtioDevice } from './virtioDevice.ts';

const PLAIN = [VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC];
const HELLO = Buffer.from('hello');

function echo(options: EchoOptions = {}) {
  const services: EchoService[] = [];
  const first = new MockDriver({ size: ECHO_QUEUE_SIZE });
  const second = new MockDriver({ base: 0x4_0000, size: ECHO_QUEUE_SIZE, memory: first.memory });
  const machine = new VirtioMachine(virtioDevice(echoClass(services, options)), ECHO_STATE, first.memory);
  const [service] = services;
  assert.ok(service !== undefined);
  return { machine, service, driver: new MmioDriver(machine), queues: [first, second], first, second };
}

const startedEcho = (options: EchoOptions = {}) => {
  const it = echo(options);
  it.driver.start(
    it.queues.map(({ rings }) => rings),
    PLAIN,
  );
  return it;
};

function offsetOf(name: string): number {
  return placeFields(ECHO_STATE).find((it) => it.name === name)?.offset ?? assert.fail(name);
}

for (const ioThread of [undefined, 'io']) {
  const options = ioThread === undefined ? {} : { ioThread };
  describe(`a device that ${ioThread === undefined ? 'main' : 'an I/O thread'} serves`, () => {
    it('answers a request, and interrupts', () => {
      const { machine, driver, first } = startedEcho(options);
      const head = first.addChain([readable(HELLO), writable(8)]);
      driver.kick(0);
      assert.deepEqual(first.used(), [{ head, writtenBytes: 5 }]);
      assert.deepEqual(Buffer.from(first.bytesOf(1)).subarray(0, 5), HELLO);
      assert.equal(machine.line.edges, 1);
      assert.equal(driver.read(abi.VIRTIO_MMIO_INTERRUPT_STATUS), abi.VIRTIO_MMIO_INT_VRING);
      driver.write(abi.VIRTIO_MMIO_INTERRUPT_ACK, abi.VIRTIO_MMIO_INT_VRING);
      assert.equal(driver.read(abi.VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    });

    it('looks at what was made available before DRIVER_OK, and ignores kicks until then', () => {
      const { driver, first, second, queues } = echo(options);
      first.addChain([readable(HELLO), writable(8)]);
      second.addChain([readable(HELLO), writable(8)]);
      driver.negotiate(PLAIN);
      queues.forEach(({ rings }, i) => driver.setQueue(i, rings));
      driver.kick(0);
      assert.deepEqual(first.used(), []);
      driver.status |= DRIVER_OK;
      assert.equal(first.used().length, 1);
      assert.equal(second.used().length, 1);
    });

    it('takes more requests than fit into one go', () => {
      const { machine, driver, first } = startedEcho(options);
      machine.isMainBusy = true;
      for (let i = 0; i < 4; i++) first.addChain([readable(HELLO), writable(8)]);
      driver.kick(0);
      for (let i = 0; i < 4; i++) machine.turn();
      assert.equal(first.used().length, 4);
    });

    it('leaves guest memory alone once the write that resets it has returned (§2.4)', () => {
      const { driver, first, service } = startedEcho(options);
      driver.status = 0;
      assert.equal(driver.status, 0);
      assert.deepEqual(service.log, ['resume', 'pause', 'reset']);
      first.addChain([readable(HELLO), writable(8)]);
      driver.kick(0);
      service.onKick(0);
      assert.deepEqual(first.used(), []);
    });

    it('starts anew after a reset', () => {
      const { driver, first, queues } = startedEcho(options);
      first.addChain([readable(HELLO), writable(8)]);
      driver.kick(0);
      driver.status = 0;
      const again = new MockDriver({ base: 0x7_0000, memory: first.memory });
      driver.start([again.rings, queues[1]?.rings ?? again.rings], PLAIN);
      const head = again.addChain([readable(HELLO), writable(8)]);
      driver.kick(0);
      assert.deepEqual(again.used(), [{ head, writtenBytes: 5 }]);
    });

    it('starts anew after a reset of the machine, whatever the driver had done', () => {
      const { machine, driver, first, service } = startedEcho(options);
      machine.reset();
      assert.equal(driver.status, 0);
      assert.deepEqual(service.log, ['resume', 'pause', 'reset']);
      const again = new MockDriver({ base: 0x7_0000, memory: first.memory });
      driver.start([again.rings], PLAIN);
      again.addChain([readable(HELLO), writable(8)]);
      driver.kick(0);
      assert.equal(again.used().length, 1);
    });

    it('says NEEDS_RESET and why when the driver breaks a rule, tells it, and works after a reset (§2.1.2)', () => {
      const { machine, driver, first, service } = startedEcho(options);
      first.offer(ECHO_QUEUE_SIZE);
      driver.kick(0);
      assert.notEqual(driver.status & NEEDS_RESET, 0);
      assert.equal(machine.brokenRule, `§2.7.5: descriptor ${ECHO_QUEUE_SIZE} of ${ECHO_QUEUE_SIZE}`);
      assert.equal(driver.read(abi.VIRTIO_MMIO_INTERRUPT_STATUS), abi.VIRTIO_MMIO_INT_CONFIG);
      assert.equal(machine.line.edges, 1);
      driver.kick(1);
      assert.equal(service.log.at(-1), 'resume', 'it is not served any more');
      driver.status = 0;
      assert.equal(machine.brokenRule, '');
      const again = new MockDriver({ base: 0x7_0000, memory: first.memory });
      driver.start([again.rings], PLAIN);
      again.addChain([readable(HELLO), writable(8)]);
      driver.kick(0);
      assert.equal(again.used().length, 1);
    });

    it('tells how far it has come in a queue, also when the driver has broken it', () => {
      const { machine, driver, first } = startedEcho(options);
      const { regs } = machine.state;
      const progress = (): number[] => [regs.queueNextAvail[0] ?? 0, regs.queueNextUsed[0] ?? 0];
      for (let i = 0; i < 3; i++) {
        first.addChain([readable(HELLO), writable(8)]);
        driver.kick(0);
      }
      assert.deepEqual(progress(), [3, 3]);
      first.offer(ECHO_QUEUE_SIZE);
      driver.kick(0);
      assert.notEqual(driver.status & NEEDS_RESET, 0);
      assert.deepEqual(progress(), [3, 3], 'the broken chain is the next');
      driver.status = 0;
      assert.deepEqual(progress(), [0, 0]);
    });

    it('whose rings are not in memory needs a reset when the driver is ready (§2.7)', () => {
      const { machine, driver, first } = echo(options);
      driver.start([{ ...first.rings, desc: 0xd000_0000 }], PLAIN);
      assert.notEqual(driver.status & NEEDS_RESET, 0);
      assert.match(machine.brokenRule, /^§2\.7: the descriptor table at 0xd0000000 is outside memory$/);
    });

    it('with a queue larger than it offers needs a reset (§4.1.4.3, §4.2.2)', () => {
      const { machine, driver, first } = echo(options);
      driver.start([{ ...first.rings, size: 2 * ECHO_QUEUE_SIZE }], PLAIN);
      assert.notEqual(driver.status & NEEDS_RESET, 0);
      assert.match(machine.brokenRule, /^§2\.7: a queue of 16, which is not a power of two up to 8$/);
    });

    it('serves no queue once the rings of one are wrong, whatever else was enabled meanwhile (§2.1.2)', () => {
      const { machine, driver, first, second, queues } = startedEcho(options);
      for (const index of queues.keys()) {
        driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, index);
        driver.write(abi.VIRTIO_MMIO_QUEUE_READY, 0);
      }
      machine.isMainBusy = true;
      driver.setQueue(0, { ...first.rings, desc: 0xd000_0000 });
      const again = new MockDriver({ base: 0x7_0000, memory: second.memory });
      again.addChain([readable(HELLO), writable(8)]);
      driver.setQueue(1, again.rings);
      machine.turn();
      driver.kick(1);
      machine.turn();
      assert.notEqual(driver.status & NEEDS_RESET, 0);
      assert.deepEqual(again.used(), []);
    });

    it('has one queue reset without the others (§2.6.1)', () => {
      const { driver, first, second, service } = startedEcho(options);
      first.addChain([readable(HELLO), writable(8)]);
      driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, 1);
      driver.write(abi.VIRTIO_MMIO_QUEUE_RESET, 1);
      assert.deepEqual(service.log, ['resume', 'pause', 'reset of queue 1', 'resume']);
      assert.equal(driver.read(abi.VIRTIO_MMIO_QUEUE_RESET), 0);
      assert.equal(driver.read(abi.VIRTIO_MMIO_QUEUE_READY), 0);
      second.addChain([readable(HELLO), writable(8)]);
      driver.kick(1);
      assert.deepEqual(second.used(), []);
      assert.equal(first.used().length, 1, 'the pause found what no kick had told of');
      const again = new MockDriver({ base: 0x7_0000, memory: first.memory });
      driver.setQueue(1, again.rings);
      again.addChain([readable(HELLO), writable(8)]);
      driver.kick(1);
      assert.equal(again.used().length, 1);
    });

    it('tells of a change of its configuration, with another generation (§2.5.3)', () => {
      const { machine, driver, service } = startedEcho(options);
      const before = driver.read(abi.VIRTIO_MMIO_CONFIG_GENERATION);
      service.port.changeConfig((config) => (config[0] = 99));
      assert.notEqual(driver.read(abi.VIRTIO_MMIO_CONFIG_GENERATION), before);
      assert.equal(driver.read(abi.VIRTIO_MMIO_CONFIG, 1), 99);
      assert.equal(driver.read(abi.VIRTIO_MMIO_INTERRUPT_STATUS), abi.VIRTIO_MMIO_INT_CONFIG);
      assert.equal(machine.line.edges, 1);
    });
  });
}

it('a read of the configuration space finds a change of another thread done, or not begun (§2.5.3)', async () => {
  const { machine, driver } = echo();
  const { config } = machine.state.regs;
  const lock = new Int32Array(config.buffer, config.byteOffset - offsetOf('config'), 1);
  const started = new Int32Array(new SharedArrayBuffer(4));
  // The other thread changes half of it, and the rest when somebody waits for its lock.
  const source = `
    const { workerData: { lock, config, started } } = require('node:worker_threads');
    const [FREE, HELD] = [0, 1];
    Atomics.store(lock, 0, HELD);
    config.fill(0x55, 0, 2);
    Atomics.store(started, 0, 1);
    Atomics.notify(started, 0);
    while (Atomics.load(lock, 0) === HELD && Atomics.load(started, 0) === 1);
    config.fill(0x55, 2, 4);
    Atomics.store(lock, 0, FREE);
    Atomics.notify(lock, 0);`;
  const worker = new Worker(source, { eval: true, workerData: { lock, config, started } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  Atomics.wait(started, 0, 0);
  const value = driver.read(abi.VIRTIO_MMIO_CONFIG);
  Atomics.store(started, 0, 2); // it need not wait if nobody has
  await ended;
  assert.equal(value, 0x5555_5555);
});

describe('requests that take their time', () => {
  /** With a request under way, which `finish` ends. */
  const busyEcho = (machineOptions: EchoOptions = {}) => {
    const it = startedEcho({ ioThread: 'io', ...machineOptions });
    it.service.isHolding = true;
    it.first.addChain([readable(HELLO), writable(8)]);
    it.driver.kick(0);
    assert.equal(it.service.held, 1);
    const isGuestHeld = (): boolean => it.machine.holds.some((isOver) => !isOver());
    return { ...it, isGuestHeld, finish: () => it.machine.service?.onDone?.(0, 0) };
  };

  it('are finished before a reset is, which a driver of MMIO that does not look waits for (§2.4)', () => {
    const { driver, service, isGuestHeld, finish } = busyEcho();
    driver.status = 0;
    assert.notEqual(driver.status, 0);
    assert.equal(isGuestHeld(), true);
    assert.equal(service.log.includes('reset'), false);
    finish();
    assert.equal(driver.status, 0);
    assert.equal(isGuestHeld(), false);
    assert.deepEqual(service.log, ['resume', 'pause', 'reset']);
  });

  it('are not answered by an interrupt once the driver has begun the reset (§2.4.1)', () => {
    const { driver, machine, service, finish } = busyEcho();
    driver.status = 0;
    service.port.notifyUsed(service.port.queue(0));
    service.port.changeConfig((config) => (config[0] = 99));
    finish();
    assert.equal(machine.line.edges, 0);
    assert.equal(driver.read(abi.VIRTIO_MMIO_INTERRUPT_STATUS), 0);
  });

  it('leave a driver that goes on before its reset is done without an effect, and with one after it', () => {
    const { driver, finish, first } = busyEcho();
    driver.status = 0;
    const underWay = driver.status;
    for (const status of [ACKNOWLEDGE | DRIVER, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK, 0])
      driver.status = status;
    driver.setQueue(1, first.rings);
    driver.kick(0);
    assert.equal(driver.status, underWay);
    finish();
    const again = new MockDriver({ base: 0x7_0000, memory: first.memory });
    driver.start([again.rings], PLAIN);
    assert.notEqual(driver.status & DRIVER_OK, 0);
    assert.equal(driver.status & NEEDS_RESET, 0);
  });

  it('hold two vCPUs that reset the device at once until it is reset, once', () => {
    const { driver, machine, service, finish, isGuestHeld } = busyEcho();
    driver.status = 0;
    driver.status = 0;
    assert.equal(machine.holds.length, 2);
    finish();
    assert.equal(isGuestHeld(), false);
    assert.deepEqual(service.log, ['resume', 'pause', 'reset']);
  });

  it('are finished before their queue is reset: QueueReset reads 1 until then (§2.6.1.1)', () => {
    const { driver, machine, service, finish } = busyEcho();
    driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, 0);
    driver.write(abi.VIRTIO_MMIO_QUEUE_RESET, 1);
    const read = (): number[] =>
      [abi.VIRTIO_MMIO_QUEUE_RESET, abi.VIRTIO_MMIO_QUEUE_READY].map((it) => driver.read(it));
    assert.deepEqual(read(), [1, 1]);
    assert.equal(machine.holds.length, 0);
    finish();
    assert.deepEqual(read(), [0, 0]);
    assert.deepEqual(service.log, ['resume', 'pause', 'reset of queue 0', 'resume']);
  });

  it('are finished before QueueReady = 0 is, which a driver that looks but once waits for (§4.2.2.2)', () => {
    const { driver, finish, isGuestHeld } = busyEcho();
    driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, 0);
    driver.write(abi.VIRTIO_MMIO_QUEUE_READY, 0);
    assert.equal(isGuestHeld(), true);
    finish();
    assert.equal(isGuestHeld(), false);
    assert.equal(driver.read(abi.VIRTIO_MMIO_QUEUE_READY), 0);
  });

  it('hold nobody when the thread that serves them has ended', () => {
    const { driver, machine, isGuestHeld } = busyEcho();
    driver.status = 0;
    assert.equal(isGuestHeld(), true);
    for (const { device } of machine.set.devices) device?.serviceEnded?.();
    assert.equal(isGuestHeld(), false);
    driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, 1);
    driver.write(abi.VIRTIO_MMIO_QUEUE_READY, 0);
    assert.equal(driver.read(abi.VIRTIO_MMIO_QUEUE_READY), 0);
  });

  it('keep a paused device from being idle until they are done', () => {
    const { driver, first, service, machine } = startedEcho({ ioThread: 'io' });
    service.isHolding = true;
    first.addChain([readable(HELLO), writable(8)]);
    driver.kick(0);
    machine.service?.pause();
    assert.equal(machine.service?.isIdle, false);
    machine.service?.onDone?.(0, 0);
    assert.equal(machine.service?.isIdle, true);
    first.addChain([readable(HELLO), writable(8)]);
    driver.kick(0);
    assert.equal(service.held, 0, 'nothing is taken in a pause');
    machine.service?.resume();
    assert.equal(service.held, 1, 'and nothing lost');
  });
});

describe('kicks', () => {
  it('of a guest that kicks in a loop are one message to main until it looks', () => {
    const { machine, driver, first } = startedEcho();
    machine.notices = 0;
    machine.isMainBusy = true;
    first.addChain([readable(HELLO), writable(8)]);
    for (let i = 0; i < 1000; i++) driver.kick(i % 2);
    assert.equal(machine.notices, 1);
    machine.turn();
    assert.equal(first.used().length, 1);
    driver.kick(0);
    assert.equal(machine.notices, 2);
  });

  it('of queues that there are not are ignored', () => {
    const { machine, driver } = startedEcho();
    machine.notices = 0;
    for (const queue of [2, 31, 32, 0xffff_ffff]) driver.kick(queue);
    assert.equal(machine.notices, 0);
  });

  it('go to an eventfd while the driver is ready, each queue its own', () => {
    const { machine, driver } = startedEcho({ ioThread: 'io' });
    const address = 0xd000_0000 + abi.VIRTIO_MMIO_QUEUE_NOTIFY;
    const places = machine.doorbells.map(({ connected }) => connected);
    assert.deepEqual(
      places,
      [0, 1].map((value) => [{ kind: 'mmio', address, sizeBytes: 4, value }]),
    );
    driver.status = 0;
    assert.deepEqual(places, [[], []]);
  });
});

describe('a driver that does things out of order', () => {
  it('cannot write features before DRIVER or after FEATURES_OK (§3.1.1)', () => {
    const { driver, machine } = echo();
    const write = (value: number): number => {
      driver.write(abi.VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
      driver.write(abi.VIRTIO_MMIO_DRIVER_FEATURES, value);
      return machine.state.regs.driverFeaturesLow;
    };
    const loud = 1 << ECHO_F_LOUD;
    assert.equal(write(loud), 0);
    driver.status = ACKNOWLEDGE;
    assert.equal(write(loud), 0);
    driver.negotiate();
    assert.notEqual(machine.state.regs.driverFeaturesLow, 0);
    const negotiated = machine.state.regs.driverFeaturesLow;
    assert.equal(write(0), negotiated);
  });

  it('gets no features that were not offered', () => {
    const { driver, machine } = echo();
    driver.status = ACKNOWLEDGE;
    driver.status |= DRIVER;
    for (const word of [0, 1, 2, 0xffff_ffff]) {
      driver.write(abi.VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
      driver.write(abi.VIRTIO_MMIO_DRIVER_FEATURES, 0xffff_ffff);
    }
    const { driverFeaturesLow, driverFeaturesHigh } = machine.state.regs;
    const offered = (word: number): number => {
      driver.write(abi.VIRTIO_MMIO_DEVICE_FEATURES_SEL, word);
      return driver.read(abi.VIRTIO_MMIO_DEVICE_FEATURES);
    };
    assert.deepEqual([driverFeaturesLow, driverFeaturesHigh], [offered(0), offered(1)]);
    assert.equal(offered(2), 0);
  });

  it('does not get FEATURES_OK without VERSION_1 (§6.1)', () => {
    const { driver } = echo();
    driver.negotiate([VIRTIO_F_VERSION_1]);
    assert.equal(driver.status, ACKNOWLEDGE | DRIVER);
  });

  it('cannot take a status bit away, or skip one (§2.1.1)', () => {
    const { driver } = startedEcho();
    const all = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
    for (const value of [ACKNOWLEDGE, DRIVER_OK, ACKNOWLEDGE | DRIVER]) {
      driver.status = value;
      assert.equal(driver.status, all);
    }
    driver.status = 0;
    driver.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    assert.equal(driver.status, 0);
  });

  it('that has said FAILED is not served until it resets the device', () => {
    const { driver, first } = startedEcho();
    driver.status |= FAILED;
    first.addChain([readable(HELLO), writable(8)]);
    driver.kick(0);
    assert.deepEqual(first.used(), []);
    driver.status &= ~FAILED;
    assert.notEqual(driver.status & FAILED, 0);
    driver.status = 0;
    assert.equal(driver.status, 0);
  });

  it('cannot change a queue that is enabled, or before FEATURES_OK', () => {
    const { driver, machine, first } = echo();
    const { regs } = machine.state;
    driver.setQueue(0, first.rings);
    assert.deepEqual([regs.queueEnabled[0], regs.queueDescLow[0]], [0, 0]);
    driver.negotiate(PLAIN);
    driver.setQueue(0, first.rings);
    driver.write(abi.VIRTIO_MMIO_QUEUE_DESC_LOW, 0x100);
    driver.write(abi.VIRTIO_MMIO_QUEUE_NUM, 4);
    assert.deepEqual([regs.queueEnabled[0], regs.queueDescLow[0]], [1, first.rings.desc]);
    assert.equal(regs.queueSize[0], ECHO_QUEUE_SIZE);
  });

  it('cannot enable or change a queue that there is not', () => {
    const { driver, machine, first } = echo();
    driver.negotiate(PLAIN);
    for (const index of [2, 0xffff, 0x1_0000]) {
      driver.setQueue(index, first.rings);
      assert.equal(driver.read(abi.VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
    }
    assert.deepEqual([...machine.state.regs.queueEnabled], [0, 0]);
  });

  it('cannot reset a queue without RING_RESET', () => {
    const { driver, first } = echo();
    driver.start([first.rings], [...PLAIN, VIRTIO_F_RING_RESET]);
    driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, 0);
    driver.write(abi.VIRTIO_MMIO_QUEUE_RESET, 1);
    assert.equal(driver.read(abi.VIRTIO_MMIO_QUEUE_READY), 1);
  });
});
