/**
 * A virtio device in a machine of its own, in one thread: planned and built as in a real one, driven through
 * the buses. Whoever serves its queues runs within the driver's kick.
 */
import { PORT_CONFIG_ADDRESS, PORT_CONFIG_DATA } from '../../vmm-core/abi/hostBridge.ts';
import { PCI_CAP_ID_VNDR, PCI_CAPABILITY_LIST, PCI_BASE_ADDRESS_0 } from '../../vmm-core/abi/pci.ts';
import * as status from '../../vmm-core/abi/virtioConfig.ts';
import * as mmioAbi from '../../vmm-core/abi/virtioMmio.ts';
import { VIRTIO_PCI_CAP_CFG_TYPE, VIRTIO_PCI_CAP_OFFSET } from '../../vmm-core/abi/virtioPci.ts';
import type { Backend } from '../../vmm-core/backends/backend.ts';
import { StateBlock } from '../../vmm-core/bus/stateBlock.ts';
import {
  allocateDevices,
  buildDevices,
  type BuiltDevice,
  type DeviceSet,
} from '../../vmm-core/devices/buildDevices.ts';
import { type DeviceClass, WAKE_EVENT } from '../../vmm-core/devices/device.ts';
import type { DeviceService, ServicePort } from '../../vmm-core/devices/deviceService.ts';
import { hostBridge } from '../../vmm-core/devices/pci/hostBridge.ts';
import { planMachine } from '../../vmm-core/devices/planner.ts';
import type { QueueRings } from '../../vmm-core/devices/virtio/queue.ts';
import type { VirtioState } from '../../vmm-core/devices/virtio/virtioState.ts';
import type { VmConfig } from '../../vmm-core/config/vmConfig.ts';
import { log } from '../../vmm-core/log.ts';
import type { GuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import {
  ManualClock,
  plannableConfig,
  RecordedDoorbell,
  RecordedIrq,
  RecordedMsi,
  RecordedPower,
} from './devices.ts';

const PCI_ENABLE = 0x8000_0000;
/** Of the device: the host bridge has 0. */
const PCI_SLOT = 1;

export class VirtioMachine {
  readonly set: DeviceSet;
  readonly state: StateBlock<VirtioState>;
  readonly backend: Backend | undefined;
  readonly service: DeviceService | undefined;
  readonly irqs = new Map<number, RecordedIrq>();
  readonly msi = new RecordedMsi();
  readonly doorbells: RecordedDoorbell[] = [];
  /** What has the guest wait. */
  readonly holds: (() => boolean)[] = [];
  /** How often main was told of kicks. */
  notices = 0;
  /** Whether main hears of kicks within them. */
  isMainBusy = false;
  readonly #built: BuiltDevice;

  constructor(
    deviceClass: DeviceClass,
    shape: VirtioState,
    memory: GuestMemory,
    config: Partial<VmConfig> = {},
    io: ServicePort['io'] = NO_IO,
  ) {
    log.setLevel('error'); // drivers in tests break rules, of which the log warns
    const catalog: readonly DeviceClass[] = [hostBridge, deviceClass];
    const plan = planMachine(plannableConfig(config), catalog);
    const bytes = allocateDevices(plan);
    const built = buildDevices(
      plan,
      bytes,
      {
        clock: new ManualClock(),
        power: new RecordedPower(),
        irqLine: (gsi) => this.irq(gsi),
        doorbell: (index) => this.doorbell(index),
        msi: this.msi,
        holdGuest: (isOver) => this.holds.push(isOver),
        arm: () => undefined,
        notify: (_, event) => this.#notify(event),
        wakeService: () => this.#wake(),
      },
      catalog,
    );
    this.set = built;
    const found = built.devices.find((it) => it.deviceClass === deviceClass);
    if (found?.device === undefined) throw new Error('the device was not built');
    this.#built = found;
    const { planned, device, state } = found;
    this.state = new StateBlock(shape, bytes, planned.stateOffset);
    const nothing = (): void => undefined;
    const ends = { onStuck: nothing, onHalted: nothing };
    const lost = { onBehind: nothing, onLost: nothing, onTrouble: nothing, ...ends, send: nothing };
    const port = { name: planned.name, state, device, memory, ...lost };
    this.backend = deviceClass.backend?.(planned.instance, port);
    if (planned.resources.ioThread !== undefined)
      this.service = deviceClass.service?.(planned.instance, {
        ...{ name: planned.name, state, device, memory, opened: this.backend?.opened, io, tell: nothing },
      });
    this.reset();
  }

  /** Of the whole machine. */
  reset(): void {
    for (const { device } of this.set.devices) device?.reset?.();
  }

  irq(gsi: number): RecordedIrq {
    const known = this.irqs.get(gsi) ?? new RecordedIrq();
    this.irqs.set(gsi, known);
    return known;
  }

  doorbell(index: number): RecordedDoorbell {
    const known = (this.doorbells[index] ??= new RecordedDoorbell());
    known.ring = () => {
      known.rings++;
      this.service?.onKick(index);
    };
    return known;
  }

  /** Of the device's own interrupt. */
  get line(): RecordedIrq {
    return this.irq(this.#built.planned.resources.irqs?.[0]?.gsi ?? 0);
  }

  /** What the event loop does. */
  turn(): void {
    this.backend?.poll?.();
  }

  get brokenRule(): string {
    const text = Buffer.from(this.state.regs.brokenRule).toString('utf8');
    return text.slice(0, text.indexOf('\0'));
  }

  #notify(event: string): void {
    this.notices++;
    if (event === WAKE_EVENT) this.backend?.onEvent(event, 0);
    else if (!this.isMainBusy) this.turn();
  }

  #wake(): void {
    if (this.service === undefined) this.backend?.onEvent(WAKE_EVENT, 0);
    else this.service.onWake?.();
  }
}

/** For services that do no I/O. */
const NO_IO: ServicePort['io'] = {
  get engine(): never {
    throw new Error('no I/O in this test');
  },
  get poller(): never {
    throw new Error('no descriptors in this test');
  },
  takeSlot: () => -1,
  giveSlot: () => undefined,
  arm: () => undefined,
  lendDoorbell: () => {
    throw new Error('no doorbells in this test');
  },
  takeBackDoorbell: () => undefined,
};

/** The driver of a device on MMIO. */
export class MmioDriver {
  readonly #machine: Pick<VirtioMachine, 'set'>;
  readonly #base: number;

  constructor(machine: Pick<VirtioMachine, 'set'>, base = 0xd000_0000) {
    this.#machine = machine;
    this.#base = base;
  }

  read(offset: number, sizeBytes = 4): number {
    return this.#machine.set.mmio.read(this.#base + offset, sizeBytes);
  }

  write(offset: number, value: number, sizeBytes = 4): void {
    this.#machine.set.mmio.write(this.#base + offset, sizeBytes, value);
  }

  get status(): number {
    return this.read(mmioAbi.VIRTIO_MMIO_STATUS);
  }

  set status(value: number) {
    this.write(mmioAbi.VIRTIO_MMIO_STATUS, value);
  }

  /** §3.1.1, up to and with FEATURES_OK: all features that are offered, but for `without`. */
  negotiate(without: readonly number[] = []): void {
    this.status = status.VIRTIO_CONFIG_S_ACKNOWLEDGE;
    this.status |= status.VIRTIO_CONFIG_S_DRIVER;
    for (const word of [0, 1]) {
      this.write(mmioAbi.VIRTIO_MMIO_DEVICE_FEATURES_SEL, word);
      const left = without.filter((it) => it >>> 5 === word).reduce((sum, it) => sum | (1 << (it & 31)), 0);
      this.write(mmioAbi.VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
      const taken = this.read(mmioAbi.VIRTIO_MMIO_DEVICE_FEATURES) & ~left;
      this.write(mmioAbi.VIRTIO_MMIO_DRIVER_FEATURES, taken >>> 0);
    }
    this.status |= status.VIRTIO_CONFIG_S_FEATURES_OK;
  }

  setQueue(index: number, { size, desc, driver, device }: QueueRings): void {
    this.write(mmioAbi.VIRTIO_MMIO_QUEUE_SEL, index);
    this.write(mmioAbi.VIRTIO_MMIO_QUEUE_NUM, size);
    this.write(mmioAbi.VIRTIO_MMIO_QUEUE_DESC_LOW, desc % 2 ** 32);
    this.write(mmioAbi.VIRTIO_MMIO_QUEUE_DESC_HIGH, Math.floor(desc / 2 ** 32));
    this.write(mmioAbi.VIRTIO_MMIO_QUEUE_AVAIL_LOW, driver % 2 ** 32);
    this.write(mmioAbi.VIRTIO_MMIO_QUEUE_AVAIL_HIGH, Math.floor(driver / 2 ** 32));
    this.write(mmioAbi.VIRTIO_MMIO_QUEUE_USED_LOW, device % 2 ** 32);
    this.write(mmioAbi.VIRTIO_MMIO_QUEUE_USED_HIGH, Math.floor(device / 2 ** 32));
    this.write(mmioAbi.VIRTIO_MMIO_QUEUE_READY, 1);
  }

  /** All of it: afterwards the device serves its queues. */
  start(queues: readonly QueueRings[], without: readonly number[] = []): void {
    this.negotiate(without);
    queues.forEach((it, index) => this.setQueue(index, it));
    this.status |= status.VIRTIO_CONFIG_S_DRIVER_OK;
  }

  kick(queue: number): void {
    this.write(mmioAbi.VIRTIO_MMIO_QUEUE_NOTIFY, queue);
  }
}

/** The first function that is no bridge, as its driver finds it. */
export class PciFinder {
  readonly #machine: Pick<VirtioMachine, 'set'>;

  constructor(machine: Pick<VirtioMachine, 'set'>) {
    this.#machine = machine;
  }

  readConfig(offset: number, sizeBytes = 4): number {
    this.#select(offset);
    return this.#machine.set.ports.read(PORT_CONFIG_DATA + (offset & 3), sizeBytes);
  }

  writeConfig(offset: number, value: number, sizeBytes = 4): void {
    this.#select(offset);
    this.#machine.set.ports.write(PORT_CONFIG_DATA + (offset & 3), sizeBytes, value);
  }

  barBase(bar: number): number {
    return (this.readConfig(PCI_BASE_ADDRESS_0 + 4 * bar) & ~0xf) >>> 0;
  }

  /** Where the capability of that type is in configuration space; 0: there is none. */
  capability(type: number): number {
    let at = this.readConfig(PCI_CAPABILITY_LIST, 1);
    for (let left = 48; at !== 0 && left > 0; left--) {
      const isVirtio = this.readConfig(at, 1) === PCI_CAP_ID_VNDR;
      if (isVirtio && this.readConfig(at + VIRTIO_PCI_CAP_CFG_TYPE, 1) === type) return at;
      at = this.readConfig(at + 1, 1);
    }
    return 0;
  }

  /** The first capability with that id. */
  capabilityWithId(id: number): number {
    let at = this.readConfig(PCI_CAPABILITY_LIST, 1);
    while (at !== 0 && this.readConfig(at, 1) !== id) at = this.readConfig(at + 1, 1);
    return at;
  }

  /** The address of a region that the capability of that type names. */
  region(type: number): number {
    const capability = this.capability(type);
    const bar = this.readConfig(capability + 4, 1);
    return this.barBase(bar) + this.readConfig(capability + VIRTIO_PCI_CAP_OFFSET);
  }

  #select(offset: number): void {
    this.#machine.set.ports.write(PORT_CONFIG_ADDRESS, 4, PCI_ENABLE + (PCI_SLOT << 11) + (offset & 0xfc));
  }
}
