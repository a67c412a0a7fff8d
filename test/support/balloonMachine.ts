/** The driver's side of a memory balloon, over memory of a real host. */
import { BALLOON_STATE, QUEUE_SIZES } from '../../vmm-core/devices/virtio/balloon/balloonState.ts';
import { virtioBalloon } from '../../vmm-core/devices/virtio/balloon/virtioBalloon.ts';
import { allocateGuestMemory, gpa, type GuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import type { MemoryBalloon } from '../../vmm-core/backends/backend.ts';
import { MockDriver, OFF_START, readable, type Segment } from './mockDriver.ts';
import { MmioDriver, VirtioMachine } from './virtioMachine.ts';

export const RAM_BYTES = 0x80_0000;
/** From here on no ring and no buffer is. */
export const FREE_FROM = 0x20_0000;
const HIGH = { base: 0x1_0000_0000, sizeBytes: 0x10_0000 };
const QUEUE_SPACE = 0x2_0000;

/** First of all. */
export async function loadBalloon(): Promise<undefined> {
  await virtioBalloon.load?.([{ transport: 'mmio' }]);
  return undefined;
}

export class BalloonMachine {
  readonly machine: VirtioMachine;
  readonly driver: MmioDriver;
  readonly memory: GuestMemory;
  readonly queues: readonly MockDriver[];

  constructor(without: readonly number[] = []) {
    this.memory = allocateGuestMemory([{ base: 0, sizeBytes: RAM_BYTES }, HIGH], OFF_START);
    this.machine = new VirtioMachine(virtioBalloon, BALLOON_STATE, this.memory, {
      virtio: 'mmio',
      balloon: true,
    });
    this.driver = new MmioDriver(this.machine);
    this.queues = QUEUE_SIZES.map(
      (size, i) =>
        new MockDriver({ size, base: 0x1_0000 + i * QUEUE_SPACE, memory: this.memory, hasEventIdx: true }),
    );
    this.driver.start(
      this.queues.map((it) => it.rings),
      without,
    );
  }

  get balloon(): MemoryBalloon {
    const { balloon } = this.machine.backend ?? {};
    if (balloon === undefined) throw new Error('no balloon');
    return balloon;
  }

  queue(index: number): MockDriver {
    const found = this.queues[index];
    if (found === undefined) throw new Error(`no queue ${index}`);
    return found;
  }

  /** Page numbers, in one buffer. */
  give(queue: number, pages: readonly number[]): number {
    return this.chain(queue, [readable(bytesOf(pages))]);
  }

  chain(queue: number, segments: readonly Segment[]): number {
    const head = this.queue(queue).addChain(segments);
    this.driver.kick(queue);
    return head;
  }

  /** Every byte of the page. */
  dirty(page: number): void {
    this.memory.slice(gpa(page * 0x1000), 0x1000).fill(0xaa);
  }

  isZero(page: number): boolean {
    return this.memory.slice(gpa(page * 0x1000), 0x1000).every((it) => it === 0);
  }
}

export function bytesOf(pages: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(pages).buffer);
}
