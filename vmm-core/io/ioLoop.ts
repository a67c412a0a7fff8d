/**
 * The I/O thread's work: it waits in the engine for doorbells, completions, descriptors, its timers and for
 * being woken, and calls the services that these concern. Nothing wakes it while there is nothing to do.
 */
import type { IoEngine, IoEvents } from '../bus/ioEngine.ts';
import type { DeviceService, IoSlots } from '../devices/deviceService.ts';
import type { IoCommand, IoMessage } from './messages.ts';
import { ServiceIo } from './serviceIo.ts';

/** A device that it serves. */
export interface Served {
  /** Its place in the plan. */
  readonly device: number;
  readonly doorbellFds: readonly number[];
  /** Makes its service, which lives as long as the loop. */
  readonly serve: (io: IoSlots) => DeviceService;
}

export interface IoLoopHost {
  readonly engine: IoEngine;
  /** The eventfd by which the thread is woken. */
  readonly wakeFd: number;
  /** The next command of main. */
  readonly nextCommand: () => IoCommand | undefined;
  readonly post: (message: IoMessage) => void;
}

interface Service {
  readonly device: number;
  readonly io: ServiceIo;
  readonly service: DeviceService;
  /** It was told of completions, or of ready descriptors, in this turn. */
  hasDone: boolean;
}

const WAKE_TAG = 0;
/** poll(2) takes no longer time: a disk with a low rate may owe more after one huge request. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

export class IoLoop implements IoEvents {
  readonly #host: IoLoopHost;
  readonly #services: readonly Service[];
  /** By slot. */
  readonly #owners: readonly Service[];
  /** By the tag that the engine watches it under; 0 is WAKE_TAG. */
  readonly #doorbells: { readonly service: DeviceService; readonly doorbell: number }[] = [];
  #isWoken = true; // what came before is in shared memory, too
  /** What main waits for until nothing is under way. */
  #promised: 'quiet' | 'closed' | undefined;
  #isClosed = false;

  constructor(host: IoLoopHost, served: readonly Served[]) {
    this.#host = host;
    const { engine } = host;
    const share = Math.floor(engine.slots / Math.max(1, served.length));
    engine.watch(WAKE_TAG, host.wakeFd);
    this.#services = served.map(({ device, doorbellFds, serve }, i) => {
      const io = new ServiceIo(engine, {
        ...{ firstSlot: i * share, slots: share, firstTag: this.#doorbells.length + 1, doorbellFds },
        onReady: (tag, events) => {
          it.hasDone = true;
          it.service.onReady?.(tag, events);
        },
      });
      const it: Service = { device, io, service: serve(io), hasDone: false };
      this.#watch(it.service, doorbellFds);
      return it;
    });
    this.#owners = this.#services.flatMap((it) => Array.from({ length: share }, () => it));
  }

  /** Until main closes it. */
  run(): void {
    while (!this.#isClosed) this.turn();
  }

  /** One wait, and what it was good for. */
  turn(): void {
    this.#host.engine.wait(this.#isWoken ? 0 : this.#waitMs(), this);
    if (this.#isWoken) this.#serveWake();
    for (const it of this.#services) {
      const { io, service } = it;
      if (it.hasDone) service.onAllDone?.();
      it.hasDone = false;
      if (io.takeSlotNews()) service.onSlotFree?.();
      if (io.dueMs < Infinity && io.takeTimer(performance.now())) service.onTimer?.();
    }
    if (this.#promised !== undefined && this.#isIdle) this.#keepPromise(this.#promised);
  }

  onDone(slot: number, result: number): void {
    const owner = this.#owners[slot];
    if (owner === undefined) return;
    owner.hasDone = true;
    owner.service.onDone?.(slot, result);
  }

  onReady(tag: number): void {
    if (tag === WAKE_TAG) {
      this.#isWoken = true;
      return;
    }
    const rung = this.#doorbells[tag - 1];
    rung?.service.onKick(rung.doorbell);
  }

  #watch(service: DeviceService, doorbellFds: readonly number[]): void {
    doorbellFds.forEach((fd, doorbell) => {
      this.#host.engine.watch(this.#doorbells.push({ service, doorbell }), fd);
    });
  }

  /** -1: for ever. */
  #waitMs(): number {
    let due = Infinity;
    for (const { io } of this.#services) due = Math.min(due, io.dueMs);
    if (due === Infinity) return -1;
    return Math.min(LONGEST_WAIT_MS, Math.max(0, Math.ceil(due - performance.now())));
  }

  #serveWake(): void {
    this.#isWoken = false;
    for (let command = this.#host.nextCommand(); command !== undefined; command = this.#host.nextCommand())
      this.#obey(command);
    for (const { service } of this.#services) service.onWake?.();
  }

  #obey(command: IoCommand): void {
    switch (command.kind) {
      case 'quiesce':
        return this.#pause('quiet');
      case 'close':
        return this.#pause('closed');
      case 'resume':
        this.#promised = undefined;
        for (const { service } of this.#services) service.resume();
        return;
      case 'send':
        return this.#services
          .find(({ device }) => device === command.device)
          ?.service.onMessage?.(command.message);
    }
  }

  #pause(promised: 'quiet' | 'closed'): void {
    this.#promised = promised;
    for (const { service } of this.#services) service.pause();
  }

  get #isIdle(): boolean {
    return this.#services.every(({ service }) => service.isIdle);
  }

  #keepPromise(promised: 'quiet' | 'closed'): void {
    this.#promised = undefined;
    if (promised === 'closed') this.#close();
    this.#host.post({ kind: promised });
  }

  #close(): void {
    this.#isClosed = true;
    for (const { service } of this.#services) service.close();
    this.#host.engine.close();
  }
}
