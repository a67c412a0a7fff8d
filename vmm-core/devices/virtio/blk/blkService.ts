/**
 * Serves a disk on its I/O thread: owns the image, has requests taken from the queues, and does what main
 * asks for in between.
 */
import {
  VIRTIO_BLK_F_CONFIG_WCE,
  VIRTIO_BLK_F_DISCARD,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_WRITE_ZEROES,
} from '../../../abi/virtioBlk.ts';
import { DiskError } from '../../../backends/disk/diskError.ts';
import { attachImage } from '../../../backends/disk/openImage.ts';
import { UserError } from '../../../errors.ts';
import type { VirtioPort, VirtioService } from '../virtioClass.ts';
import { configOf, idBytes, isWriteback, setMedium, setWriteback } from './blkConfig.ts';
import type { BlkCommand, BlkMedium, BlkNews } from './blkMedium.ts';
import { type BlkDisk, BlkRequests } from './blkRequests.ts';
import type { BlkInstance, BlkState } from './blkState.ts';
import { RateLimit } from './rateLimit.ts';

export class BlkService implements VirtioService {
  readonly #instance: BlkInstance;
  readonly #port: VirtioPort<BlkState>;
  readonly #requests: BlkRequests;
  readonly #arm: (delayMs: number) => void;
  #disk: BlkDisk;
  /** What main waits for; each has its turn when nothing is under way. */
  readonly #commands: BlkCommand[] = [];
  #isPaused = true;
  // As negotiated.
  #isWriteThrough = false;
  #hasWriteback = false;
  #mayDiscard = false;
  #mayWriteZeroes = false;

  constructor(instance: BlkInstance, port: VirtioPort<BlkState>) {
    const { io } = port;
    if (io === undefined) throw new Error(`${port.name} has no I/O thread`);
    this.#instance = instance;
    this.#port = port;
    this.#disk = this.#attach(port.opened as BlkMedium); // BlkBackend.opened
    this.#arm = (delayMs) => io.arm(delayMs);
    this.#requests = new BlkRequests(
      {
        memory: port.memory,
        io,
        queues: Array.from({ length: instance.queues }, (_, i) => port.queue(i)),
        limit: new RateLimit(instance.disk),
        notifyUsed: (queue) => port.notifyUsed(queue),
        fail: (rule) => port.fail(rule),
        isWriteThrough: () => this.#isWriteThrough || (this.#hasWriteback && !isWriteback(this.#config)),
        mayDiscard: () => this.#mayDiscard,
        mayWriteZeroes: () => this.#mayWriteZeroes,
        tell: (message) => this.#tell({ kind: 'trouble', message }),
      },
      this.#disk,
    );
  }

  onKick(index: number): boolean {
    return this.#requests.onKick(index);
  }

  onDone(slot: number, result: number): void {
    this.#requests.onDone(slot, result);
    this.#obey();
  }

  onAllDone(): void {
    if (this.#requests.proceed()) this.#arm(0);
  }

  onSlotFree(): void {
    if (this.#requests.proceed()) this.#arm(0);
  }

  onTimer(): void {
    if (this.#requests.proceed()) this.#arm(0);
  }

  onMessage(message: unknown): void {
    this.#commands.push(message as BlkCommand); // BlkBackend sends nothing else
    this.#requests.pause();
    this.#obey();
  }

  pause(): void {
    this.#isPaused = true;
    this.#requests.pause();
  }

  get isIdle(): boolean {
    return this.#requests.isIdle;
  }

  /** §5.2.5.2: without FLUSH, writes go through, and writeback begins as 0. */
  resume(): void {
    const hasFlush = this.#port.hasFeature(VIRTIO_BLK_F_FLUSH);
    this.#hasWriteback = this.#port.hasFeature(VIRTIO_BLK_F_CONFIG_WCE);
    this.#isWriteThrough = !hasFlush;
    this.#mayDiscard = this.#port.hasFeature(VIRTIO_BLK_F_DISCARD);
    this.#mayWriteZeroes = this.#port.hasFeature(VIRTIO_BLK_F_WRITE_ZEROES);
    if (this.#hasWriteback && !hasFlush) this.#port.state.locked(() => setWriteback(this.#config, false));
    this.#isPaused = false;
    if (this.#commands.length === 0) this.#requests.resume();
  }

  reset(): void {
    this.#requests.reset();
  }

  resetQueue(index: number): void {
    this.#requests.resetQueue(index);
  }

  close(): void {
    this.#closeImage();
  }

  get #config(): Uint8Array {
    return this.#port.state.regs.config;
  }

  /** Main's commands, once nothing is under way. */
  #obey(): void {
    if (this.#commands.length === 0 || !this.#requests.isIdle) return;
    for (const command of this.#commands.splice(0))
      this.#tell({ kind: 'reply', id: command.id, error: this.#failureOf(command) });
    if (this.#isPaused) return;
    this.#requests.resume();
    this.#arm(0);
  }

  /** Undefined: it is done. */
  #failureOf(command: BlkCommand): string | undefined {
    try {
      if (command.kind === 'resize') this.#disk.image.resize(command.sizeBytes);
      else this.#change(command.medium);
      this.#tellDriver();
      return undefined;
    } catch (error) {
      if (error instanceof DiskError || error instanceof UserError) return error.message;
      throw error;
    }
  }

  #change(medium: BlkMedium): void {
    const disk = this.#attach(medium);
    this.#closeImage();
    this.#disk = disk;
    this.#requests.disk = disk;
  }

  #tell(news: BlkNews): void {
    this.#port.tell?.(news);
  }

  #tellDriver(): void {
    const { queues, disk } = this.#instance;
    const fresh = configOf(this.#disk.image, { queues, discards: disk.discard !== false });
    this.#port.changeConfig((config) => {
      this.#port.state.regs.medium.set(fresh);
      setMedium(config, fresh);
    });
  }

  #attach({ opened, path }: BlkMedium): BlkDisk {
    const { disk, name } = this.#instance;
    return {
      image: attachImage(opened),
      path,
      isReadOnly: disk.readonly === true,
      id: idBytes(disk.serial ?? name),
    };
  }

  #closeImage(): void {
    try {
      this.#disk.image.close();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#tell({ kind: 'trouble', message: error.message });
    }
  }
}
