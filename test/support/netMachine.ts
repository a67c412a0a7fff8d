/**
 * A machine of one network interface, in one thread: planned and built as in a real one, driven over MMIO.
 * Its link is a LoopLink. `run` is what the I/O thread does until there is nothing left to do.
 */
import type { Backend, NetworkInterface } from '../../vmm-core/backends/backend.ts';
import type { PairServer } from '../../vmm-core/backends/net/pairServer.ts';
import { StateBlock } from '../../vmm-core/bus/stateBlock.ts';
import type { NetworkConfig } from '../../vmm-core/config/settings/networkOptions.ts';
import type { VmConfig } from '../../vmm-core/config/vmConfig.ts';
import { allocateDevices, buildDevices, type DeviceSet } from '../../vmm-core/devices/buildDevices.ts';
import type { DeviceService, IoSlots } from '../../vmm-core/devices/deviceService.ts';
import { hostBridge } from '../../vmm-core/devices/pci/hostBridge.ts';
import { planMachine } from '../../vmm-core/devices/planner.ts';
import { NetBackend } from '../../vmm-core/devices/virtio/net/netBackend.ts';
import { netClass } from '../../vmm-core/devices/virtio/net/netDevice.ts';
import { NetService } from '../../vmm-core/devices/virtio/net/netService.ts';
import { NET_STATE, type NetInstance, type NetState } from '../../vmm-core/devices/virtio/net/netState.ts';
import { virtioDevice } from '../../vmm-core/devices/virtio/virtioDevice.ts';
import { log } from '../../vmm-core/log.ts';
import { allocateGuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { plannableConfig, RecordedIrq, servedHost } from './devices.ts';
import { LoopLink } from './loopLink.ts';
import { MockDriver, OFF_START, readable, type Segment, writable } from './mockDriver.ts';
import { MmioDriver } from './virtioMachine.ts';

const MEMORY_BYTES = 0x200_0000;
const QUEUE_BASE = 0x1_0000;
/** Of each queue: its rings and its buffers. */
const QUEUE_BYTES = 0x20_0000;
const RINGS_BYTES = 0x3000;
export const HEADER_BYTES = 12;
/** What stands for the eventfds of doorbells. */
export const FIRST_DOORBELL_FD = 1000;
/** Of `loop`: what the device offers is that of the kind. */
export const LOOP: NetworkConfig = { kind: 'user', transport: 'mmio' };

export interface NetMachineOptions {
  readonly network?: NetworkConfig;
  readonly cpus?: number;
  readonly queueSize?: number;
  /** The driver as it was built is not started. */
  readonly isIdle?: boolean;
  /** Features that the driver does not know. */
  readonly without?: readonly number[];
  /** Of the link. */
  readonly pairServer?: PairServer;
}

export class NetMachine {
  readonly memory = allocateGuestMemory([{ base: 0, sizeBytes: MEMORY_BYTES }], OFF_START);
  readonly set: DeviceSet;
  readonly state: StateBlock<NetState>;
  readonly instance: NetInstance;
  /** By the index of the queue. */
  drivers: readonly MockDriver[];
  readonly mmio: MmioDriver;
  readonly irq = new RecordedIrq();
  readonly network: NetworkInterface;
  readonly troubles: string[] = [];
  /** What the service asked for. */
  readonly armed: number[] = [];
  readonly service: DeviceService;
  readonly #queueSize: number;
  readonly #backend: Backend;
  #link: LoopLink | undefined;
  readonly #kicked = new Set<number>();
  readonly #sent: unknown[] = [];

  constructor(options: NetMachineOptions = {}) {
    log.setLevel('error');
    const { network = LOOP, cpus = 1, queueSize = 64, isIdle = false, without = [] } = options;
    const { open, attach } = LoopLink.code((link) => (this.#link = link), options.pairServer);
    const device = virtioDevice({
      ...netClass,
      serve: (instance, port) => new NetService(instance, port, attach),
      backend: (instance, port) => new NetBackend(instance, port, open),
    });
    const catalog = [hostBridge, device];
    const config: VmConfig = { ...plannableConfig(), cpus, networks: [network] };
    const plan = planMachine(config, catalog);
    const bytes = allocateDevices(plan);
    const wake = (): void => this.service.onWake?.();
    const host = servedHost({ irq: this.irq, kicked: this.#kicked, wake });
    this.set = buildDevices(plan, bytes, host, catalog);
    this.mmio = new MmioDriver(this);
    const built = this.set.devices.find((it) => it.planned.classId === device.id);
    if (built?.device === undefined) throw new Error('the interface was not built');
    this.instance = built.planned.instance as NetInstance;
    this.state = new StateBlock(NET_STATE, bytes, built.planned.stateOffset);
    const shared = { name: built.planned.name, state: this.state, device: built.device, memory: this.memory };
    const nothing = (): void => undefined;
    const backend = device.backend?.(this.instance, {
      ...shared,
      send: (message) => void this.#sent.push(message),
      onBehind: nothing,
      onLost: nothing,
      onTrouble: (message) => this.troubles.push(message),
      onStuck: nothing,
      onHalted: nothing,
    });
    if (backend?.network === undefined) throw new Error('the interface has no back end');
    this.network = backend.network;
    this.#backend = backend;
    for (const it of this.set.devices) it.device?.reset?.();
    const tell = (message: unknown): void => backend.onMessage?.(message);
    const io = fakeIo((delayMs) => this.armed.push(delayMs));
    const service = device.service?.(this.instance, { ...shared, opened: backend.opened, io, tell });
    if (service === undefined) throw new Error('the interface has no service');
    this.service = service;
    this.#queueSize = queueSize;
    this.drivers = this.#newDrivers();
    if (!isIdle) this.start(without);
  }

  get link(): LoopLink {
    if (this.#link === undefined) throw new Error('the interface has no link');
    return this.#link;
  }

  /** As a driver does. */
  start(without: readonly number[] = []): void {
    this.mmio.start(
      this.drivers.map(({ rings }) => rings),
      without,
    );
    this.run();
  }

  /** As another driver does, after the one before: rings are empty. */
  restart(without: readonly number[] = []): void {
    this.mmio.status = 0;
    this.run();
    const { bytes } = this.driver(0);
    this.drivers.forEach((_, i) => bytes.fill(0, baseOf(i), baseOf(i) + RINGS_BYTES));
    this.drivers = this.#newDrivers();
    this.start(without);
  }

  run(): void {
    while (this.#kicked.size > 0 || this.#sent.length > 0) {
      const kicked = [...this.#kicked];
      this.#kicked.clear();
      for (const it of kicked) this.service.onKick(it);
      for (const it of this.#sent.splice(0)) this.service.onMessage?.(it);
    }
  }

  /** The service has closed. */
  async ended(): Promise<void> {
    await this.#backend.ended?.();
  }

  driver(queue: number): MockDriver {
    const driver = this.drivers[queue];
    if (driver === undefined) throw new Error(`there is no queue ${queue}`);
    return driver;
  }

  kick(queue: number): void {
    this.mmio.kick(queue);
    this.run();
  }

  /** A frame of the guest, behind a header. */
  send(frame: Uint8Array, header: Uint8Array = new Uint8Array(HEADER_BYTES), pair = 0): void {
    this.sendChain([readable(header), readable(frame)], pair);
  }

  sendChain(segments: readonly Segment[], pair = 0): void {
    const queue = 2 * pair + 1;
    this.driver(queue).addChain(segments);
    this.kick(queue);
  }

  /** Offers buffers of these lengths for frames. */
  offer(lengths: readonly number[], pair = 0): void {
    for (const it of lengths) this.driver(2 * pair).addChain([writable(it)]);
    this.kick(2 * pair);
  }

  /** What the device has returned: what is in each buffer, header and all. */
  received(pair = 0): Uint8Array[] {
    const driver = this.driver(2 * pair);
    return driver.used().map(({ head, writtenBytes }) => driver.bytesOf(head).slice(0, writtenBytes));
  }

  /** The answer to a command on the control queue. */
  command(bytes: Uint8Array, index = this.drivers.length - 1): number {
    const driver = this.driver(index);
    const answer = writable(1, driver.allocate(1));
    driver.addChain([readable(bytes), answer]);
    this.kick(index);
    const [used] = driver.used();
    if (used?.writtenBytes !== 1) throw new Error('the device has not answered');
    return driver.view.getUint8(answer.at ?? 0);
  }

  #newDrivers(): readonly MockDriver[] {
    return netClass.queueSizes(this.instance).map((most, i) => {
      return new MockDriver({
        size: Math.min(most, this.#queueSize),
        memory: this.memory,
        base: baseOf(i),
      });
    });
  }
}

function baseOf(queue: number): number {
  return QUEUE_BASE + queue * QUEUE_BYTES;
}

function fakeIo(arm: (delayMs: number) => void): IoSlots {
  return {
    get engine(): never {
      throw new Error('no I/O in this test');
    },
    takeSlot: () => -1,
    giveSlot: () => undefined,
    get poller(): never {
      throw new Error('no sockets in this test');
    },
    arm,
    lendDoorbell: (doorbell) => FIRST_DOORBELL_FD + doorbell,
    takeBackDoorbell: () => undefined,
  };
}
