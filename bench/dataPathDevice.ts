/**
 * Our device for bench/dataPath.ts, with the memory, doorbell and interrupt that its driver (dataPath.c)
 * gives it: the loop of an I/O thread, the queue and the block device's requests as a VM has them.
 *
 *   dataPathDevice MEMORY KICK CALL DISK      until it is killed
 */
import { closeSync, openSync, statSync } from 'node:fs';
import { openImage, attachImage } from '../vmm-core/backends/disk/openImage.ts';
import type { DeviceService, IoSlots } from '../vmm-core/devices/deviceService.ts';
import { BlkRequests } from '../vmm-core/devices/virtio/blk/blkRequests.ts';
import { RateLimit } from '../vmm-core/devices/virtio/blk/rateLimit.ts';
import { SplitQueue } from '../vmm-core/devices/virtio/queue.ts';
import { IoLoop } from '../vmm-core/io/ioLoop.ts';
import { chooseIoEngine, openIoEngine } from '../vmm-core/kvm/io/openIoEngine.ts';
import { createEventFd, mapOver, signalEventFd } from '../vmm-core/kvm/libc.ts';
import { allocateGuestMemory, type GuestMemory } from '../vmm-core/memory/guestMemory.ts';

/** As dataPath.c has them. */
const RINGS = { size: 256, desc: 0x10000, driver: 0x11000, device: 0x12000 };

class Disk implements DeviceService {
  readonly #queue: SplitQueue;
  readonly #requests: BlkRequests;
  readonly #io: IoSlots;

  constructor(memory: GuestMemory, callFd: number, path: string, io: IoSlots) {
    this.#io = io;
    this.#queue = new SplitQueue(0, memory, broken);
    this.#queue.enable({ ...RINGS, hasEventIdx: true, hasIndirect: true });
    const image = attachImage(
      openImage({
        path,
        format: 'raw',
        isReadOnly: false,
        cache: 'writeback',
        discards: true,
        backing: 'none',
        isSnapshot: false,
      }),
    );
    const host = {
      memory,
      io,
      queues: [this.#queue],
      limit: new RateLimit({}),
      notifyUsed: () => {
        if (this.#queue.takeInterrupt()) signalEventFd(callFd);
      },
      fail: broken,
      isWriteThrough: () => false,
      mayDiscard: () => true,
      mayWriteZeroes: () => true,
      tell: broken,
    };
    this.#requests = new BlkRequests(host, { image, path, isReadOnly: false, id: new Uint8Array(20) });
    this.#requests.resume();
  }

  onKick(): void {
    if (this.#requests.onKick(0)) this.#io.arm(0);
  }
  onDone(slot: number, result: number): void {
    this.#requests.onDone(slot, result);
  }
  onAllDone(): void {
    this.onTimer();
  }
  onSlotFree(): void {
    this.onTimer();
  }
  onTimer(): void {
    if (this.#requests.proceed()) this.#io.arm(0);
  }
  pause(): void {}
  readonly isIdle = false;
  resume(): void {}
  close(): void {}
}

function broken(what: string): never {
  throw new Error(what);
}

function serve([memoryFile = '', kickFd = '', callFd = '', disk = '']: readonly string[]): void {
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: statSync(memoryFile).size }]);
  const fd = openSync(memoryFile, 'r+');
  for (const { bytes } of memory.slots) mapOver(bytes, fd);
  closeSync(fd);
  const engine = openIoEngine(chooseIoEngine().kind, memory.slots);
  const device = {
    device: 0,
    doorbellFds: [Number(kickFd)],
    serve: (io: IoSlots) => new Disk(memory, Number(callFd), disk, io),
  };
  const host = {
    engine,
    wakeFd: createEventFd(),
    nextCommand: () => undefined,
    post: () => undefined,
  };
  new IoLoop(host, [device]).run();
}

serve(process.argv.slice(2));
