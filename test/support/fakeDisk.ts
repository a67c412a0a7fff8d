/**
 * A device with a service on an I/O thread, for tests of that: its driver writes a block number into shared
 * memory and rings; the service reads that block of its file into guest memory and says so in its state.
 */
import { u32, words } from '../../vmm-core/bus/stateBlock.ts';
import type { DeviceClass } from '../../vmm-core/devices/device.ts';
import type { DeviceService, ServicePort } from '../../vmm-core/devices/deviceService.ts';

export const BLOCK_BYTES = 512;

export const FAKE_DISK_STATE = { block: u32, address: u32, results: words(2) };
/** Of `results`: counts what is done, for who waits. */
export const DONE = 0;
export const RESULT = 1;

export interface FakeDiskInstance {
  readonly ioThread: string;
  /** What it does when it is rung: a bug, for a test of that. */
  readonly isBroken?: boolean;
}

export const fakeDisk: DeviceClass<FakeDiskInstance, typeof FAKE_DISK_STATE> = {
  id: 'fakeDisk',
  state: FAKE_DISK_STATE,
  resources: ({ ioThread }) => ({ doorbells: 1, ioThread }),
  build: (_, { name }) => ({ name, read: () => 0, write: () => undefined }),
  service: (instance, port) => new FakeDiskService(instance, port),
};

class FakeDiskService implements DeviceService {
  readonly #instance: FakeDiskInstance;
  readonly #port: ServicePort<typeof FAKE_DISK_STATE>;
  #isPaused = false;
  #isKicked = false;
  isIdle = true;

  constructor(instance: FakeDiskInstance, port: ServicePort<typeof FAKE_DISK_STATE>) {
    this.#instance = instance;
    this.#port = port;
  }

  onKick(): void {
    if (this.#instance.isBroken === true) throw new Error('the fake disk is broken');
    this.#isKicked = this.#isPaused;
    if (this.#isPaused) return;
    const { io, state, opened } = this.#port;
    const slot = io.takeSlot();
    io.engine.iovecs.clear(slot);
    io.engine.iovecs.addGuest(slot, state.regs.address, BLOCK_BYTES);
    io.engine.readv(slot, Number(opened), state.regs.block * BLOCK_BYTES);
    this.isIdle = false;
  }
  onDone(slot: number, result: number): void {
    this.#port.io.giveSlot(slot);
    this.isIdle = true;
    this.#tellDriver(result);
  }
  onMessage(message: unknown): void {
    this.#port.tell(`heard ${String(message)}`);
  }
  pause(): void {
    this.#isPaused = true;
  }
  resume(): void {
    this.#isPaused = false;
    if (this.#isKicked) this.onKick();
  }
  close(): void {
    this.#port.tell('closed');
  }

  #tellDriver(result: number): void {
    const { results } = this.#port.state.regs;
    Atomics.store(results, RESULT, result);
    Atomics.add(results, DONE, 1);
    Atomics.notify(results, DONE);
  }
}
