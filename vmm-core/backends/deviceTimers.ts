/** The timers that devices arm (DeviceHost.arm), one per device. Main thread. */
export class DeviceTimers {
  readonly #onTimer: (device: number) => void;
  readonly #armed = new Map<number, { readonly timer: NodeJS.Timeout; readonly dueMs: number }>();

  constructor(onTimer: (device: number) => void) {
    this.#onTimer = onTimer;
  }

  /**
   * The earlier of what is pending and `delayMs`: messages of two vCPUs may come in either order, and a tick
   * too early is harmless.
   */
  arm(device: number, delayMs: number): void {
    const dueMs = performance.now() + delayMs;
    const pending = this.#armed.get(device);
    if (pending !== undefined && pending.dueMs <= dueMs) return;
    clearTimeout(pending?.timer);
    const timer = setTimeout(() => {
      this.#armed.delete(device);
      this.#onTimer(device);
    }, delayMs);
    timer.unref();
    this.#armed.set(device, { timer, dueMs });
  }
}
