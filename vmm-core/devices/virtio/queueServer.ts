/**
 * Between the thread that serves a device and the service of its class: finds out from shared memory what the
 * driver has done (ready, queues enabled, reset), keeps the queues so, and lets the service run while it may.
 * On the serving thread only.
 */
import type { ServiceGate } from '../../bus/serviceGate.ts';
import type { Registers, StateBlock } from '../../bus/stateBlock.ts';
import { log } from '../../log.ts';
import type { DeviceService } from '../deviceService.ts';
import { VIRTIO_CONFIG_S_NEEDS_RESET } from '../../abi/virtioConfig.ts';
import { VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from '../../abi/virtioRing.ts';
import type { GuestMemory } from '../../memory/guestMemory.ts';
import { isRunning } from './deviceStatus.ts';
import { type LentRings, type QueueRings, SplitQueue, type VirtQueue } from './queue.ts';
import type { VirtioService } from './virtioClass.ts';
import { QUEUE_LENT, QUEUE_ON, type VirtioState } from './virtioState.ts';
import type { VirtioInterrupts } from './virtioTransport.ts';

export interface QueueServerOptions {
  /** The log tag. */
  readonly name: string;
  readonly state: StateBlock<VirtioState>;
  readonly memory: GuestMemory;
  /** The largest size of each queue. */
  readonly queueSizes: readonly number[];
  readonly gate: ServiceGate;
  /** See VirtioRegisters. */
  readonly finishResets: () => boolean;
  readonly interrupts: VirtioInterrupts;
  readonly hasFeature: (bit: number) => boolean;
  /** Has `onKick` called again, after others had their turn. */
  readonly kick: (queue: number) => void;
  readonly serve: (server: QueueServer) => VirtioService;
}

const U32 = 2 ** 32;
const NEVER = -1;

export class QueueServer implements DeviceService {
  readonly queues: readonly SplitQueue[];
  readonly #options: QueueServerOptions;
  readonly #regs: Registers<VirtioState>;
  readonly #service: VirtioService;
  /** How often the driver had enabled each queue when it was enabled here; 0: it is not. */
  readonly #generations: number[];
  #seenChanges = NEVER;
  /** The service runs: it was resumed, and not paused since. */
  #isRunning = false;
  /** By the machine, not by the driver. */
  #isPaused = false;
  #isBroken = false;

  constructor(options: QueueServerOptions) {
    this.#options = options;
    this.#regs = options.state.regs;
    const { queueSizes, memory } = options;
    this.queues = queueSizes.map(
      (maxSize, index) => new SplitQueue(index, memory, (rule) => this.fail(rule), maxSize),
    );
    this.#generations = this.queues.map(() => 0);
    this.#service = options.serve(this);
  }

  get service(): VirtioService {
    return this.#service;
  }

  queue(index: number): SplitQueue {
    const queue = this.queues[index];
    if (queue === undefined) throw new RangeError(`no queue ${index}`);
    return queue;
  }

  onKick(queue: number): void {
    count(this.#regs.queueKicks, queue);
    if (this.#follow()) this.#serve(queue);
  }

  onWake(): void {
    this.#follow();
  }

  onDone(slot: number, result: number): void {
    this.#service.onDone?.(slot, result);
    if (!this.#isRunning) this.#follow(); // somebody may wait for the last of them
  }

  /** After a halt the queues may be the driver's again; who resumes looks at what is left. */
  onAllDone(): void {
    if (this.#isRunning) this.#service.onAllDone?.();
  }

  onSlotFree(): void {
    if (this.#follow()) this.#service.onSlotFree?.();
  }

  onTimer(): void {
    if (this.#follow() || this.#service.hasOwnTime === true) this.#service.onTimer?.();
  }

  /** While it does not run too: an edge is told once, and the service remembers it. */
  onReady(tag: number, events: number): void {
    this.#follow();
    this.#service.onReady?.(tag, events);
  }

  onMessage(message: unknown): void {
    this.#service.onMessage?.(message);
  }

  pause(): void {
    this.#isPaused = true;
    this.#follow();
  }

  get isIdle(): boolean {
    return this.#service.isIdle ?? true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#follow();
  }

  close(): void {
    this.#halt();
    this.#service.close?.();
  }

  /** See VirtioPort. */
  notifyUsed({ index }: VirtQueue): void {
    const queue = this.queues[index];
    if (queue?.isInUse !== true) return;
    this.#tellProgress(queue);
    if (queue.takeInterrupt()) this.#interrupt(index);
  }

  /** See VirtioPort. */
  lend(index: number): LentRings | undefined {
    const rings = this.queue(index).lend();
    if (rings !== undefined) this.#regs.queueNextAvail[index] = QUEUE_LENT;
    return rings;
  }

  /** See VirtioPort. */
  takeBack(index: number, nextAvail: number): void {
    const queue = this.queue(index);
    queue.takeBack(nextAvail);
    this.#tellProgress(queue);
  }

  /** See VirtioPort. */
  interruptLent(index: number): void {
    if (this.queue(index).isInUse) this.#interrupt(index);
  }

  #interrupt(index: number): void {
    count(this.#regs.queueInterrupts, index);
    this.#options.interrupts.usedBuffers(index);
  }

  /** See VirtioPort. §2.1.2: the configuration interrupt tells of NEEDS_RESET, when the driver is ready. */
  fail(rule: string): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    for (const queue of this.queues) {
      this.#tellProgress(queue);
      queue.disable();
    }
    const { name, state, interrupts } = this.#options;
    log.guest(name, 'virtio: the driver broke a rule, and the device waits for its reset', { rule });
    const wasRunning = state.locked(() => {
      const before = this.#regs.status;
      this.#regs.status = before | VIRTIO_CONFIG_S_NEEDS_RESET;
      this.#regs.brokenRule.fill(0);
      new TextEncoder().encodeInto(rule, this.#regs.brokenRule.subarray());
      return isRunning(before);
    });
    if (wasRunning) interrupts.configChange();
  }

  /** For whoever looks at the device. */
  #tellProgress({ index, nextAvail, nextUsed }: SplitQueue): void {
    this.#regs.queueNextAvail[index] = nextAvail;
    this.#regs.queueNextUsed[index] = nextUsed;
  }

  /** Does what the driver or the machine have asked for meanwhile. True: the service runs. */
  #follow(): boolean {
    const { gate } = this.#options;
    const isAsked = gate.isAsked;
    if (isAsked || this.#isPaused) this.#halt();
    if (isAsked && this.isIdle) this.#finishResets(gate.asked);
    if (this.#isPaused || gate.isAsked) return false;
    if (this.#regs.changes !== this.#seenChanges || !this.#isRunning) this.#update();
    return this.#isRunning;
  }

  #finishResets(asked: number): void {
    if (this.#options.finishResets()) this.#forget();
    this.#options.gate.follow(asked);
  }

  #halt(): void {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#service.pause?.();
  }

  #forget(): void {
    this.#halt();
    for (const queue of this.queues) queue.disable();
    this.#generations.fill(0);
    this.#seenChanges = NEVER;
    this.#isBroken = false;
    this.#service.reset?.();
  }

  /** The driver has become ready, has given up, or has enabled or reset a queue; or a pause is over. */
  #update(): void {
    const { state } = this.#options;
    const rings = state.locked(() => {
      this.#seenChanges = this.#regs.changes;
      return isRunning(this.#regs.status) ? this.queues.map(({ index }) => this.#ringsOf(index)) : undefined;
    });
    if (rings === undefined) return this.#halt();
    const fresh = rings.map((it, index) => this.#keep(index, it));
    if (this.#isBroken) return;
    const isResumed = !this.#isRunning;
    this.#isRunning = true;
    if (isResumed) this.#service.resume?.();
    fresh.forEach((isFresh, index) => {
      if (isFresh || isResumed) this.#serve(index);
    });
  }

  /** Enables or disables the queue here as the driver has done. True: it begins. */
  #keep(index: number, rings: QueueRings | undefined): boolean {
    const generation = rings === undefined ? 0 : (this.#regs.queueGeneration[index] ?? 0);
    const before = this.#generations[index];
    if (before === generation) return false;
    this.#generations[index] = generation;
    const queue = this.queue(index);
    queue.disable();
    if (before !== 0) this.#service.resetQueue?.(index);
    if (rings === undefined || this.#isBroken || !queue.enable(rings)) return false;
    this.#tellProgress(queue);
    return true;
  }

  /** undefined: the driver does not use it. With the lock held. */
  #ringsOf(index: number): QueueRings | undefined {
    const { regs } = this.#options.state;
    if (regs.queueEnabled[index] !== QUEUE_ON) return undefined;
    const address = (low: Uint32Array, high: Uint32Array): number =>
      (low[index] ?? 0) + (high[index] ?? 0) * U32;
    return {
      size: regs.queueSize[index] ?? 0,
      desc: address(regs.queueDescLow, regs.queueDescHigh),
      driver: address(regs.queueDriverLow, regs.queueDriverHigh),
      device: address(regs.queueDeviceLow, regs.queueDeviceHigh),
      hasEventIdx: this.#options.hasFeature(VIRTIO_RING_F_EVENT_IDX),
      hasIndirect: this.#options.hasFeature(VIRTIO_RING_F_INDIRECT_DESC),
    };
  }

  #serve(queue: number): void {
    if (queue < this.queues.length && this.#service.onKick(queue)) this.#options.kick(queue);
  }
}

function count(counters: Uint32Array, index: number): void {
  counters[index] = (counters[index] ?? 0) + 1;
}
