/** The I/O threads of a machine: those that its plan's devices name. Main thread. */
import type { Backend } from '../backends/backend.ts';
import type { BuiltDevice } from '../devices/buildDevices.ts';
import type { IoAssignment, IoMessage } from '../io/messages.ts';
import { IoThread } from '../io/ioThread.ts';
import { chooseIoEngine } from '../kvm/io/openIoEngine.ts';
import { createEventFd } from '../kvm/libc.ts';

/** A disk that does not answer for so long does not keep the process any longer. */
const LAST_IO_MS = 10_000;

export interface IoThreadsEvents {
  readonly onMessage: (message: Exclude<IoMessage, { kind: 'quiet' | 'closed' }>) => void;
  /** A bug of ours: its devices are not served any more. */
  readonly onCrash: (error: Error) => void;
}

export class IoThreads {
  /** The eventfd that wakes each, by its name. */
  readonly wakeFds: Readonly<Record<string, number>>;
  readonly #threads: readonly IoThread[];
  #devices: readonly BuiltDevice[] = [];

  /** `names`: of the plan's devices, undefined where main serves one. */
  constructor(names: readonly (string | undefined)[], { onMessage, onCrash }: IoThreadsEvents) {
    const wanted = [...new Set(names.filter((it) => it !== undefined))];
    this.wakeFds = Object.fromEntries(wanted.map((name) => [name, createEventFd()]));
    this.#threads = Object.entries(this.wakeFds).map(([name, wakeFd]) => {
      const onEnd = (): void => this.#forsake(name);
      return new IoThread(name, wakeFd, {
        onMessage,
        onEnd,
        onCrash: (error) => {
          onEnd();
          onCrash(new Error(`the I/O thread "${name}": ${error.message}`, { cause: error }));
        },
      });
    });
  }

  /** They wait for what wakes them. */
  get areStarted(): boolean {
    return this.#threads.some(({ isStarted }) => isStarted);
  }

  /** Each is quiet, and goes on, like a device's back end. */
  get asBackends(): readonly Backend[] {
    return this.#threads;
  }

  /** To the service of a device. */
  send(name: string, device: number, message: unknown): void {
    this.#threads.find((it) => it.name === name)?.send(device, message);
  }

  /** When all that they serve is there. Throws UserError when the user wants an engine that is not. */
  start(
    assignment: Omit<IoAssignment, 'threadName' | 'commands' | 'engine' | 'ioWakeFds'>,
    devices: readonly BuiltDevice[],
  ): void {
    if (this.#threads.length === 0) return;
    this.#devices = devices;
    const engine = chooseIoEngine().kind;
    for (const thread of this.#threads) thread.start({ ...assignment, ioWakeFds: this.wakeFds, engine });
  }

  /**
   * The VM ends: resolves with true when what was written is where it belongs, with false when a disk does
   * not answer. `after`: what is yet to be done when the threads have closed.
   */
  async shutDown(after: () => Promise<unknown>): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), LAST_IO_MS);
    });
    const closed = Promise.all(this.#threads.map((it) => it.shutDown()))
      .then(after)
      .then(() => true);
    const isInTime = await Promise.race([closed, late]);
    clearTimeout(timer);
    return isInTime;
  }

  /** Nobody may wait for its services any more. */
  #forsake(name: string): void {
    for (const { planned, device } of this.#devices)
      if (planned.resources.ioThread === name) device?.serviceEnded?.();
  }
}
