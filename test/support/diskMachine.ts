/**
 * A machine of one disk, in one thread, over real files: planned and built as in a real one, driven over
 * MMIO. `run` is what the I/O thread does until there is nothing left to do.
 */
import type { DiskDrive } from '../../vmm-core/backends/backend.ts';
import { StateBlock } from '../../vmm-core/bus/stateBlock.ts';
import type { DiskConfig } from '../../vmm-core/config/settings/diskOptions.ts';
import { allocateDevices, buildDevices, type DeviceSet } from '../../vmm-core/devices/buildDevices.ts';
import type { DeviceService } from '../../vmm-core/devices/deviceService.ts';
import { hostBridge } from '../../vmm-core/devices/pci/hostBridge.ts';
import { planMachine } from '../../vmm-core/devices/planner.ts';
import { blkClass } from '../../vmm-core/devices/virtio/blk/blk.ts';
import { BlkBackend } from '../../vmm-core/devices/virtio/blk/blkBackend.ts';
import { BlkService } from '../../vmm-core/devices/virtio/blk/blkService.ts';
import { BLK_STATE, type BlkInstance, type BlkState } from '../../vmm-core/devices/virtio/blk/blkState.ts';
import { virtioDevice } from '../../vmm-core/devices/virtio/virtioDevice.ts';
import { ServiceIo } from '../../vmm-core/io/serviceIo.ts';
import { openIoEngine } from '../../vmm-core/kvm/io/openIoEngine.ts';
import { log } from '../../vmm-core/log.ts';
import { allocateGuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { plannableConfig, RecordedIrq, servedHost } from './devices.ts';
import { MockDriver, OFF_START, type Segment } from './mockDriver.ts';
import { MmioDriver } from './virtioMachine.ts';

const MEMORY_BYTES = 0x40_0000;

/** Its code need not be loaded first. */
const blk = virtioDevice({
  ...blkClass,
  serve: (instance, port) => new BlkService(instance, port),
  backend: (instance, port) => new BlkBackend(instance, port),
});

export class DiskMachine {
  readonly memory = allocateGuestMemory([{ base: 0, sizeBytes: MEMORY_BYTES }], OFF_START);
  readonly engine = openIoEngine('poll', this.memory.slots);
  readonly io = new ServiceIo(this.engine, {
    ...{ firstSlot: 0, slots: this.engine.slots, firstTag: 1, doorbellFds: [] },
    onReady: () => undefined,
  });
  readonly set: DeviceSet;
  readonly state: StateBlock<BlkState>;
  readonly driver = new MockDriver({ size: 64, memory: this.memory });
  readonly mmio: MmioDriver;
  readonly irq = new RecordedIrq();
  readonly drive: DiskDrive;
  /** What the user is told. */
  readonly troubles: string[] = [];
  readonly #service: DeviceService;
  readonly #kicked = new Set<number>();
  readonly #sent: unknown[] = [];

  /** Throws UserError when the disk cannot be opened. */
  constructor(disk: DiskConfig, cpus = 1) {
    log.setLevel('error');
    const catalog = [hostBridge, blk];
    const plan = planMachine(
      { ...plannableConfig(), cpus, disks: [{ ...disk, transport: 'mmio' }] },
      catalog,
    );
    const bytes = allocateDevices(plan);
    const wake = (): void => this.#service.onWake?.();
    const host = servedHost({ irq: this.irq, kicked: this.#kicked, wake });
    this.set = buildDevices(plan, bytes, host, catalog);
    this.mmio = new MmioDriver(this);
    const built = this.set.devices.find((it) => it.planned.classId === blk.id);
    if (built?.device === undefined) throw new Error('the disk was not built');
    const { device, planned } = built;
    const instance = planned.instance as BlkInstance;
    this.state = new StateBlock(BLK_STATE, bytes, planned.stateOffset);
    const shared = { name: planned.name, state: this.state, device, memory: this.memory };
    const nothing = (): void => undefined;
    const send = (message: unknown): void => void this.#sent.push(message);
    const backend = blk.backend?.(instance, {
      ...shared,
      send,
      onBehind: nothing,
      onLost: nothing,
      onTrouble: (message) => this.troubles.push(message),
      onStuck: () => undefined,
      onHalted: () => undefined,
    });
    if (backend?.disk === undefined) throw new Error('the disk has no back end');
    this.drive = backend.disk;
    device.reset?.();
    const tell = (message: unknown): void => backend.onMessage?.(message);
    const service = blk.service?.(instance, { ...shared, opened: backend.opened, io: this.io, tell });
    if (service === undefined) throw new Error('the disk has no service');
    this.#service = service;
  }

  /** As a driver does; `without`: features that it does not know. */
  start(without: readonly number[] = []): void {
    this.mmio.start([this.driver.rings], without);
    this.run();
  }

  run(): void {
    for (let isBusy = true; isBusy;) {
      const kicked = [...this.#kicked];
      this.#kicked.clear();
      for (const it of kicked) this.#service.onKick(it);
      for (const it of this.#sent.splice(0)) this.#service.onMessage?.(it);
      this.engine.wait(0, {
        onDone: (slot, result) => this.#service.onDone?.(slot, result),
        onReady: () => {},
      });
      this.#service.onAllDone?.();
      if (this.io.takeTimer(performance.now())) this.#service.onTimer?.();
      isBusy =
        !this.#service.isIdle || this.#kicked.size > 0 || this.#sent.length > 0 || this.io.dueMs < Infinity;
    }
  }

  /** One request from beginning to end: its status, and what the device may write before it. */
  ask(...segments: readonly Segment[]): { readonly status: number; readonly data: Uint8Array } {
    const placed = segments.map((it) => ({ ...it, at: this.driver.allocate(it.lengthBytes, 512) }));
    this.driver.addChain(placed);
    this.mmio.kick(0);
    this.run();
    if (this.driver.used().length !== 1) throw new Error('the device has not answered');
    const bytes = placed
      .filter((it) => it.isWritable)
      .flatMap(({ at, lengthBytes }) => [...this.driver.bytes.subarray(at, at + lengthBytes)]);
    return { status: bytes.at(-1) ?? -1, data: Uint8Array.from(bytes.slice(0, -1)) };
  }

  /** The end of the VM. */
  close(): void {
    this.#service.pause();
    this.run();
    this.#service.close();
    this.engine.close();
  }
}
