import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ECHO_QUEUE_SIZE, ECHO_STATE, ECHO_TYPE, echoClass } from '../../../test/support/echoDevice.ts';
import { MockDriver, readable, writable } from '../../../test/support/mockDriver.ts';
import { PciFinder, VirtioMachine } from '../../../test/support/virtioMachine.ts';
import * as pciAbi from '../../abi/pci.ts';
import { VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_NEEDS_RESET } from '../../abi/virtioConfig.ts';
import * as abi from '../../abi/virtioPci.ts';
import type { EchoOptions, EchoService } from '../../../test/support/echoDevice.ts';
import { virtioDevice } from './virtioDevice.ts';

const HELLO = Buffer.from('hello');
const MESSAGE = 0xfee0_0000;
/** ACKNOWLEDGE, DRIVER, FEATURES_OK, one after the other. */
const STEPS = [1, 3, 11];
const MODERN_TYPE = 26;

class PciDriver {
  readonly queue = new MockDriver({ size: ECHO_QUEUE_SIZE });
  readonly machine: VirtioMachine;
  readonly service: EchoService;
  readonly config: PciFinder;
  readonly #common: number;
  readonly #notify: number;

  constructor(options: EchoOptions = {}) {
    const services: EchoService[] = [];
    const deviceClass = virtioDevice(echoClass(services, { transport: 'pci', ...options }));
    this.machine = new VirtioMachine(deviceClass, ECHO_STATE, this.queue.memory);
    this.service = services[0] ?? assert.fail();
    this.config = new PciFinder(this.machine);
    this.#common = this.config.region(abi.VIRTIO_PCI_CAP_COMMON_CFG);
    this.#notify = this.config.region(abi.VIRTIO_PCI_CAP_NOTIFY_CFG);
  }

  read(offset: number, sizeBytes: number): number {
    return this.machine.set.mmio.read(this.#common + offset, sizeBytes);
  }

  write(offset: number, value: number, sizeBytes: number): void {
    this.machine.set.mmio.write(this.#common + offset, sizeBytes, value);
  }

  get status(): number {
    return this.read(abi.VIRTIO_PCI_COMMON_STATUS, 1);
  }

  set status(value: number) {
    this.write(abi.VIRTIO_PCI_COMMON_STATUS, value, 1);
  }

  /** VERSION_1 and RING_RESET alone. */
  negotiate(): void {
    for (const step of STEPS) {
      if (step === 11) {
        this.write(abi.VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
        this.write(abi.VIRTIO_PCI_COMMON_GF, 0x101, 4);
      }
      this.status = step;
    }
  }

  setQueue(index: number, vector: number = abi.VIRTIO_MSI_NO_VECTOR): void {
    const { size, desc, driver, device } = this.queue.rings;
    this.write(abi.VIRTIO_PCI_COMMON_Q_SELECT, index, 2);
    this.write(abi.VIRTIO_PCI_COMMON_Q_SIZE, size, 2);
    this.write(abi.VIRTIO_PCI_COMMON_Q_MSIX, vector, 2);
    this.write(abi.VIRTIO_PCI_COMMON_Q_DESCLO, desc, 4);
    this.write(abi.VIRTIO_PCI_COMMON_Q_DESCHI, 0, 4);
    this.write(abi.VIRTIO_PCI_COMMON_Q_AVAILLO, driver, 4);
    this.write(abi.VIRTIO_PCI_COMMON_Q_AVAILHI, 0, 4);
    this.write(abi.VIRTIO_PCI_COMMON_Q_USEDLO, device, 4);
    this.write(abi.VIRTIO_PCI_COMMON_Q_USEDHI, 0, 4);
    this.write(abi.VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
  }

  start(vector: number = abi.VIRTIO_MSI_NO_VECTOR): void {
    this.negotiate();
    this.setQueue(0, vector);
    this.status |= VIRTIO_CONFIG_S_DRIVER_OK;
  }

  kick(queue: number): void {
    this.machine.set.mmio.write(this.#notify + 4 * queue, 2, queue);
  }

  /** All vectors unmasked; the message of vector n has the data n. */
  enableMsix(): void {
    const capability = this.config.capabilityWithId(pciAbi.PCI_CAP_ID_MSIX);
    const table = this.config.barBase(this.config.readConfig(capability + pciAbi.PCI_MSIX_TABLE) & 7);
    for (let vector = 0; vector < 3; vector++) {
      const entry = table + pciAbi.PCI_MSIX_ENTRY_SIZE * vector;
      this.machine.set.mmio.write(entry, 4, MESSAGE);
      this.machine.set.mmio.write(entry + pciAbi.PCI_MSIX_ENTRY_DATA, 4, vector);
      this.machine.set.mmio.write(entry + pciAbi.PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
    }
    const command = this.config.readConfig(pciAbi.PCI_COMMAND, 2);
    this.config.writeConfig(pciAbi.PCI_COMMAND, command | pciAbi.PCI_COMMAND_MASTER, 2);
    this.config.writeConfig(capability + pciAbi.PCI_MSIX_FLAGS, pciAbi.PCI_MSIX_FLAGS_ENABLE, 2);
  }

  /** Reading takes the causes away. */
  readIsr(): number {
    return this.machine.set.mmio.read(this.config.region(abi.VIRTIO_PCI_CAP_ISR_CFG), 1);
  }
}

/** Of a device with a request under way. */
function busyDriver(): PciDriver {
  const driver = new PciDriver({ ioThread: 'io' });
  driver.start();
  driver.service.isHolding = true;
  driver.queue.addChain([readable(HELLO), writable(8)]);
  driver.kick(0);
  return driver;
}

describe('virtio over PCI (§4.1)', () => {
  it('has the transitional ids and both interfaces, of a type that virtio 0.9 had (§4.1.2)', () => {
    const { config } = new PciDriver();
    assert.equal(config.readConfig(pciAbi.PCI_VENDOR_ID), 0x1005_1af4);
    assert.equal(config.readConfig(pciAbi.PCI_CLASS_REVISION, 1), 0);
    assert.equal(config.readConfig(pciAbi.PCI_SUBSYSTEM_ID, 2), ECHO_TYPE);
    assert.equal(config.readConfig(pciAbi.PCI_BASE_ADDRESS_0, 1) & 1, 1, 'ports');
  });

  it('is modern alone otherwise, and old drivers keep away (§4.1.2.1)', () => {
    const { config } = new PciDriver({ deviceType: MODERN_TYPE });
    assert.equal(config.readConfig(pciAbi.PCI_DEVICE_ID, 2), 0x1040 + MODERN_TYPE);
    assert.equal(config.readConfig(pciAbi.PCI_CLASS_REVISION, 1), 1);
    assert.ok(config.readConfig(pciAbi.PCI_SUBSYSTEM_ID, 2) >= 0x40);
    assert.equal(config.readConfig(pciAbi.PCI_BASE_ADDRESS_0), 0);
  });

  it('has a capability of each kind (§4.1.4)', () => {
    const { config } = new PciDriver();
    for (let type = abi.VIRTIO_PCI_CAP_COMMON_CFG; type <= abi.VIRTIO_PCI_CAP_PCI_CFG; type++)
      assert.notEqual(config.capability(type), 0, `type ${type}`);
    const notify = config.capability(abi.VIRTIO_PCI_CAP_NOTIFY_CFG);
    assert.equal(config.readConfig(notify + abi.VIRTIO_PCI_CAP_LEN, 1), 20);
    assert.equal(config.readConfig(notify + abi.VIRTIO_PCI_NOTIFY_CAP_MULT), 4);
  });

  it('answers a request by the pin, which reading the ISR lowers (§4.1.4.5.1)', () => {
    const driver = new PciDriver();
    driver.start();
    const head = driver.queue.addChain([readable(HELLO), writable(8)]);
    driver.kick(0);
    assert.deepEqual(driver.queue.used(), [{ head, writtenBytes: 5 }]);
    assert.equal(driver.machine.line.asserted, true);
    assert.equal(driver.readIsr(), abi.VIRTIO_PCI_ISR_QUEUE);
    assert.equal(driver.machine.line.asserted, false);
    assert.equal(driver.readIsr(), 0);
  });

  it('lowers the pin with a reset, though nobody has read the ISR (§2.4)', () => {
    const driver = new PciDriver();
    driver.start();
    driver.queue.addChain([readable(HELLO), writable(8)]);
    driver.kick(0);
    assert.equal(driver.machine.line.asserted, true);
    driver.status = 0;
    assert.equal(driver.machine.line.asserted, false);
    assert.equal(driver.readIsr(), 0);
  });

  it('answers by the MSI-X vector of the queue, and the ISR stays 0 (§4.1.4.5.1)', () => {
    const driver = new PciDriver();
    driver.enableMsix();
    driver.start(2);
    driver.queue.addChain([readable(HELLO), writable(8)]);
    driver.kick(0);
    assert.deepEqual(driver.machine.msi.sent, [{ address: MESSAGE, data: 2 }]);
    assert.equal(driver.machine.line.edges, 0);
    assert.equal(driver.readIsr(), 0);
  });

  it('tells a change of configuration by its vector, and by the ISR too (§4.1.4.5.1)', () => {
    const driver = new PciDriver();
    driver.enableMsix();
    driver.write(abi.VIRTIO_PCI_COMMON_MSIX, 1, 2);
    driver.start(2);
    driver.queue.offer(99);
    driver.kick(0);
    assert.notEqual(driver.status & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
    assert.deepEqual(driver.machine.msi.sent, [{ address: MESSAGE, data: 1 }]);
    assert.equal(driver.readIsr(), abi.VIRTIO_PCI_ISR_CONFIG);
  });

  it('takes no vector that it has not: it reads back as none (§4.1.5.1.2.1)', () => {
    const driver = new PciDriver();
    for (const register of [abi.VIRTIO_PCI_COMMON_MSIX, abi.VIRTIO_PCI_COMMON_Q_MSIX]) {
      driver.write(register, 2, 2);
      assert.equal(driver.read(register, 2), 2);
      driver.write(register, 3, 2);
      assert.equal(driver.read(register, 2), abi.VIRTIO_MSI_NO_VECTOR);
    }
  });

  it('has a queue of size 0 where there is none (§4.1.4.3)', () => {
    const driver = new PciDriver();
    assert.equal(driver.read(abi.VIRTIO_PCI_COMMON_NUMQ, 2), 2);
    driver.write(abi.VIRTIO_PCI_COMMON_Q_SELECT, 1, 2);
    assert.equal(driver.read(abi.VIRTIO_PCI_COMMON_Q_SIZE, 2), ECHO_QUEUE_SIZE);
    assert.equal(driver.read(abi.VIRTIO_PCI_COMMON_Q_NOFF, 2), 1);
    driver.write(abi.VIRTIO_PCI_COMMON_Q_SELECT, 2, 2);
    assert.equal(driver.read(abi.VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
  });

  it('resets one queue: it reads as not enabled then (§4.1.4.3.1)', () => {
    const driver = new PciDriver();
    driver.start();
    driver.write(abi.VIRTIO_PCI_COMMON_Q_RESET, 1, 2);
    assert.equal(driver.read(abi.VIRTIO_PCI_COMMON_Q_RESET, 2), 0);
    assert.equal(driver.read(abi.VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    driver.write(abi.VIRTIO_PCI_COMMON_Q_ENABLE, 0, 2); // §4.1.4.3.2: means nothing
  });

  it('that is busy reads as not reset until it is, and holds nobody: the driver looks (§4.1.4.3.2)', () => {
    const driver = busyDriver();
    driver.status = 0;
    assert.notEqual(driver.status, 0);
    driver.machine.service?.onDone?.(0, 0);
    assert.equal(driver.status, 0);
    assert.equal(driver.machine.holds.length, 0);
  });

  it('that is busy has a driver that asks again and again wait once: a pause comes through', (t) => {
    const driver = busyDriver();
    const wait = t.mock.method(Atomics, 'wait');
    driver.status = 0;
    const waits = wait.mock.callCount();
    assert.notEqual(waits, 0);
    for (let i = 0; i < 100; i++) driver.status = 0;
    assert.equal(wait.mock.callCount(), waits);
  });

  it('that is busy resets a queue when it can: queue_reset reads 1 until then (§4.1.4.3.1)', () => {
    const driver = busyDriver();
    driver.write(abi.VIRTIO_PCI_COMMON_Q_RESET, 1, 2);
    const read = (): number[] =>
      [abi.VIRTIO_PCI_COMMON_Q_RESET, abi.VIRTIO_PCI_COMMON_Q_ENABLE].map((it) => driver.read(it, 2));
    assert.deepEqual(read(), [1, 1]);
    driver.machine.service?.onDone?.(0, 0);
    assert.deepEqual(read(), [0, 0]);
    assert.equal(driver.machine.holds.length, 0);
  });

  it('reaches its BAR from configuration space (§4.1.4.9)', () => {
    const { config, machine } = new PciDriver();
    const window = config.capability(abi.VIRTIO_PCI_CAP_PCI_CFG);
    const select = (offset: number, length: number, bar = 4): void => {
      config.writeConfig(window + abi.VIRTIO_PCI_CAP_BAR, bar, 1);
      config.writeConfig(window + abi.VIRTIO_PCI_CAP_OFFSET, offset);
      config.writeConfig(window + abi.VIRTIO_PCI_CAP_LENGTH, length);
    };
    select(abi.VIRTIO_PCI_COMMON_NUMQ, 2);
    assert.equal(config.readConfig(window + abi.VIRTIO_PCI_CAP_PCI_CFG_DATA, 2), 2);
    select(abi.VIRTIO_PCI_COMMON_STATUS, 1);
    config.writeConfig(window + abi.VIRTIO_PCI_CAP_PCI_CFG_DATA, 1, 1);
    assert.equal(machine.state.regs.status, 1);
    for (const [offset, length, bar] of [
      [abi.VIRTIO_PCI_COMMON_NUMQ, 3, 4],
      [abi.VIRTIO_PCI_COMMON_NUMQ, 4, 4],
      [abi.VIRTIO_PCI_COMMON_NUMQ, 2, 1],
      [0xffff_fffe, 2, 4],
    ] as const) {
      select(offset, length, bar);
      assert.equal(config.readConfig(window + abi.VIRTIO_PCI_CAP_PCI_CFG_DATA, 2), 0);
    }
  });

  it('has its kicks where the guest moves its BAR, while it is ready (§4.1.4.4)', () => {
    const driver = new PciDriver({ ioThread: 'io' });
    const places = () => driver.machine.doorbells.map(({ connected }) => connected.map((it) => it.address));
    assert.deepEqual(places(), [[], []]);
    const before = driver.config.region(abi.VIRTIO_PCI_CAP_NOTIFY_CFG);
    driver.start();
    assert.deepEqual(places(), [[before], [before + 4]]);
    driver.config.writeConfig(pciAbi.PCI_BASE_ADDRESS_0 + 16, 0xc800_0000);
    const after = driver.config.region(abi.VIRTIO_PCI_CAP_NOTIFY_CFG);
    assert.notEqual(after, before);
    assert.deepEqual(places(), [[after], [after + 4]]);
    driver.config.writeConfig(pciAbi.PCI_COMMAND, 0, 2);
    assert.deepEqual(places(), [[], []]);
  });
});

describe('the legacy interface (§4.1.4.10)', () => {
  function legacy(options: EchoOptions = {}) {
    const driver = new PciDriver(options);
    const base = driver.config.readConfig(pciAbi.PCI_BASE_ADDRESS_0) & ~3;
    const { ports } = driver.machine.set;
    return {
      ...{ driver, base, machine: driver.machine, queue: driver.queue },
      read: (offset: number, sizeBytes: number) => ports.read(base + offset, sizeBytes),
      write: (offset: number, value: number, sizeBytes: number) =>
        ports.write(base + offset, sizeBytes, value),
    };
  }
  type Legacy = ReturnType<typeof legacy>;

  /** As Solo5 does: each status bit alone, features before DRIVER. */
  function start(it: Legacy): MockDriver {
    const driver = prepare(it);
    it.write(abi.VIRTIO_PCI_STATUS, 4, 1);
    return driver;
  }

  /** All but DRIVER_OK. */
  function prepare({ write, queue }: Legacy): MockDriver {
    const page = 0x8_0000;
    write(abi.VIRTIO_PCI_STATUS, 0, 1);
    write(abi.VIRTIO_PCI_STATUS, 1, 1);
    write(abi.VIRTIO_PCI_GUEST_FEATURES, 0, 4);
    write(abi.VIRTIO_PCI_STATUS, 2, 1);
    write(abi.VIRTIO_PCI_QUEUE_SEL, 0, 2);
    write(abi.VIRTIO_PCI_QUEUE_PFN, page / 4096, 4);
    return new MockDriver({
      memory: queue.memory,
      size: ECHO_QUEUE_SIZE,
      base: page,
      rings: { driver: page + 16 * ECHO_QUEUE_SIZE, device: page + 4096 },
    });
  }

  it('offers the low 32 features, and no more', () => {
    const { read } = legacy();
    assert.equal(read(abi.VIRTIO_PCI_HOST_FEATURES, 4), (1 << 3) | (1 << 28) | (1 << 29));
  });

  it('serves a queue of the size it says, laid out in pages (§2.7.2)', () => {
    const it = legacy();
    const queue = start(it);
    assert.equal(it.read(abi.VIRTIO_PCI_QUEUE_NUM, 2), ECHO_QUEUE_SIZE);
    assert.equal(it.read(abi.VIRTIO_PCI_QUEUE_PFN, 4), 0x80);
    const head = queue.addChain([readable(HELLO), writable(8)]);
    it.write(abi.VIRTIO_PCI_QUEUE_NOTIFY, 0, 2);
    assert.deepEqual(queue.used(), [{ head, writtenBytes: 5 }]);
    assert.equal(it.machine.line.asserted, true);
    assert.equal(it.read(abi.VIRTIO_PCI_ISR, 1), abi.VIRTIO_PCI_ISR_QUEUE);
    assert.equal(it.machine.line.asserted, false);
  });

  for (const ioThread of [undefined, 'io'])
    it(`serves a driver that kicks before DRIVER_OK, which it does not see yet (§3.1.2), on ${ioThread ?? 'main'}`, () => {
      const it = legacy(ioThread === undefined ? {} : { ioThread });
      const queue = prepare(it);
      it.write(abi.VIRTIO_PCI_QUEUE_NOTIFY, 1, 2); // that queue is not there
      const head = queue.addChain([readable(HELLO), writable(8)]);
      it.write(abi.VIRTIO_PCI_QUEUE_NOTIFY, 0, 2);
      assert.deepEqual(queue.used(), [{ head, writtenBytes: 5 }]);
      assert.equal(it.machine.line.asserted, true);
      assert.equal(it.read(abi.VIRTIO_PCI_STATUS, 1), 3);
      it.write(abi.VIRTIO_PCI_STATUS, 7, 1);
      assert.equal(it.read(abi.VIRTIO_PCI_STATUS, 1), 7);
      queue.addChain([readable(HELLO), writable(8)]);
      it.write(abi.VIRTIO_PCI_QUEUE_NOTIFY, 0, 2);
      assert.equal(queue.used().length, 1);
      it.write(abi.VIRTIO_PCI_STATUS, 0, 1);
      assert.equal(it.read(abi.VIRTIO_PCI_STATUS, 1), 0);
    });

  it('has its kicks in a port then', () => {
    const it = legacy({ ioThread: 'io' });
    start(it);
    const places = it.machine.doorbells.map(({ connected }) => connected);
    const address = it.base + abi.VIRTIO_PCI_QUEUE_NOTIFY;
    assert.deepEqual(
      places,
      [0, 1].map((value) => [{ kind: 'port', address, sizeBytes: 2, value }]),
    );
  });

  it('takes a queue back by page 0, and all by status 0', () => {
    const it = legacy();
    start(it);
    it.write(abi.VIRTIO_PCI_QUEUE_PFN, 0, 4);
    assert.equal(it.read(abi.VIRTIO_PCI_QUEUE_PFN, 4), 0);
    assert.equal(it.machine.state.regs.queueEnabled[0], 0);
    it.write(abi.VIRTIO_PCI_STATUS, 0, 1);
    assert.equal(it.read(abi.VIRTIO_PCI_STATUS, 1), 0);
  });

  it('holds a driver that takes them back while the device is busy: it does not look (§4.1.4.10)', () => {
    const it = legacy({ ioThread: 'io' });
    const queue = start(it);
    it.driver.service.isHolding = true;
    queue.addChain([readable(HELLO), writable(8)]);
    it.write(abi.VIRTIO_PCI_QUEUE_NOTIFY, 0, 2);
    it.write(abi.VIRTIO_PCI_QUEUE_PFN, 0, 4);
    it.write(abi.VIRTIO_PCI_STATUS, 0, 1);
    const held = (): boolean[] => it.machine.holds.map((isOver) => !isOver());
    assert.deepEqual(held(), [true, true]);
    it.machine.service?.onDone?.(0, 0);
    assert.deepEqual(held(), [false, false]);
    assert.equal(it.read(abi.VIRTIO_PCI_STATUS, 1), 0);
  });

  it('has the configuration space behind the vectors, which are there with MSI-X only', () => {
    const it = legacy();
    assert.equal(it.read(20, 4), 0x0403_0201);
    it.driver.enableMsix();
    assert.equal(it.read(20, 2), abi.VIRTIO_MSI_NO_VECTOR);
    it.write(abi.VIRTIO_MSI_CONFIG_VECTOR, 1, 2);
    it.write(abi.VIRTIO_MSI_QUEUE_VECTOR, 2, 2);
    assert.equal(it.read(abi.VIRTIO_MSI_CONFIG_VECTOR, 2), 1);
    assert.equal(it.read(abi.VIRTIO_MSI_QUEUE_VECTOR, 2), 2);
    assert.equal(it.read(24, 4), 0x0403_0201);
  });

  it('survives a queue at the end of what 32 bits of pages can name', () => {
    const it = legacy();
    start(it);
    it.write(abi.VIRTIO_PCI_STATUS, 0, 1);
    it.write(abi.VIRTIO_PCI_STATUS, 3, 1);
    it.write(abi.VIRTIO_PCI_QUEUE_PFN, 0xffff_ffff, 4);
    assert.equal(it.read(abi.VIRTIO_PCI_QUEUE_PFN, 4), 0xffff_ffff);
    it.write(abi.VIRTIO_PCI_STATUS, 4, 1);
    assert.match(it.machine.brokenRule, /^§2\.7: the descriptor table at 0xffffffff000 is outside memory$/);
  });
});
