/** The back ends of a machine, in the order of its plan: undefined where a device has none. Main thread. */
import type { Backend, DiskDrive, MemoryBalloon, NetworkInterface, SerialLine } from './backend.ts';

export class BackendSet {
  readonly #backends: readonly (Backend | undefined)[];
  readonly #present: readonly Backend[];
  /** How many wait for quiet, or rely on it: two clients may reset at once. */
  #quietNeeded = 0;

  constructor(backends: readonly (Backend | undefined)[]) {
    this.#backends = backends;
    this.#present = backends.filter((it) => it !== undefined);
  }

  /** The machine's serial ports: COM1 first. */
  get serial(): readonly SerialLine[] {
    return this.#present.flatMap((it) => it.serial ?? []);
  }

  /** The machine's disks, as its configuration lists them. */
  get disks(): readonly DiskDrive[] {
    return this.#present.flatMap((it) => it.disk ?? []);
  }

  /** The machine's network interfaces, as its configuration lists them. */
  get networks(): readonly NetworkInterface[] {
    return this.#present.flatMap((it) => it.network ?? []);
  }

  get balloon(): MemoryBalloon | undefined {
    return this.#present.find((it) => it.balloon !== undefined)?.balloon;
  }

  /** `device` is the place in the plan. */
  onEvent(device: number, event: string, value: number): void {
    this.#backends[device]?.onEvent(event, value);
  }

  poll(): void {
    for (const backend of this.#present) backend.poll?.();
  }

  /**
   * Once this resolves no back end has I/O under way, and none begins any before `resume`, which must follow,
   * or the end of the machine. Undefined: none ever has.
   */
  quiesce(): Promise<unknown> | undefined {
    this.#quietNeeded++;
    const waits = this.#present.flatMap((it) => it.quiesce?.() ?? []);
    return waits.length === 0 ? undefined : Promise.all(waits);
  }

  resume(): void {
    if (--this.#quietNeeded > 0) return;
    for (const backend of this.#present) backend.resume?.();
  }

  flush(): void {
    for (const backend of this.#present) backend.flush?.();
  }

  /** See Backend. */
  async ended(): Promise<void> {
    await Promise.all(this.#present.map((it) => it.ended?.() ?? Promise.resolve()));
  }

  close(): void {
    for (const backend of this.#present) backend.close();
  }
}
