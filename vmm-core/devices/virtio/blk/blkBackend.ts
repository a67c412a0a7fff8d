/** Main's side of a disk: opens its image, which the I/O thread then owns, and changes it for clients. */
import { closeSync } from 'node:fs';
import type { Backend, DiskDrive } from '../../../backends/backend.ts';
import { SECTOR_BYTES } from '../../../backends/disk/diskImage.ts';
import { HostFile } from '../../../backends/disk/imageFile.ts';
import { cureOf, otherFormat } from '../../../backends/disk/imageSignature.ts';
import { openImage, type OpenedImage } from '../../../backends/disk/openImage.ts';
import { type DiskConfig, formatOf } from '../../../config/settings/diskOptions.ts';
import { UserError } from '../../../errors.ts';
import { CommandReplies } from '../commandReplies.ts';
import type { VirtioBackendPort } from '../virtioClass.ts';
import { capacityOf, configOf } from './blkConfig.ts';
import type { BlkCommand, BlkMedium, BlkNews, BlkReply } from './blkMedium.ts';
import type { BlkInstance, BlkState } from './blkState.ts';

type Wish = BlkCommand extends infer C ? (C extends BlkCommand ? Omit<C, 'id'> : never) : never;

export class BlkBackend implements Backend, DiskDrive {
  readonly #instance: BlkInstance;
  readonly #port: VirtioBackendPort<BlkState>;
  #medium: BlkMedium;
  #isGiven = false;
  readonly #replies = new CommandReplies<BlkReply>();

  /** Throws UserError. */
  constructor(instance: BlkInstance, port: VirtioBackendPort<BlkState>) {
    this.#instance = instance;
    this.#port = port;
    const opened = openDisk(instance.disk);
    this.#medium = { opened, path: instance.disk.path };
    const { queues, disk } = instance;
    port.state.regs.medium.set(configOf(opened, { queues, discards: disk.discard !== false }));
  }

  /** Who asks owns it from then on. */
  get opened(): BlkMedium {
    this.#isGiven = true;
    return this.#medium;
  }

  get disk(): DiskDrive {
    return this;
  }

  get path(): string {
    return this.#medium.path;
  }

  get sizeBytes(): number {
    return capacityOf(this.#port.state.regs.medium);
  }

  /** See DiskDrive. */
  async resize(sizeBytes: number): Promise<void> {
    const { disk } = this.#instance;
    const name = JSON.stringify(this.path);
    if (disk.readonly === true) throw new UserError(`${name} is read-only for this VM: it cannot be resized`);
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes % SECTOR_BYTES !== 0)
      throw new UserError(`a disk has whole sectors: give a multiple of ${SECTOR_BYTES} bytes`);
    if (sizeBytes < this.sizeBytes)
      throw new UserError(`${name} has ${this.sizeBytes} bytes, and a disk in use can only grow`);
    await this.#ask({ kind: 'resize', sizeBytes });
  }

  /** See DiskDrive. */
  async change(path: string): Promise<void> {
    const { format: _, ...options } = this.#instance.disk;
    const medium = { opened: openDisk({ ...options, path }), path };
    try {
      await this.#ask({ kind: 'change', medium });
    } catch (error) {
      closeFiles(medium.opened);
      throw error;
    }
    this.#medium = medium;
  }

  onEvent(): void {}

  onMessage(message: unknown): void {
    const news = message as BlkNews; // BlkService tells nothing else
    if (news.kind === 'trouble') return this.#port.onTrouble(news.message);
    this.#replies.settle(news.id, news);
  }

  close(): void {
    if (!this.#isGiven) closeFiles(this.#medium.opened);
  }

  /** Throws UserError. */
  async #ask(wish: Wish): Promise<void> {
    const { error } = await this.#replies.ask((id) => this.#port.send({ ...wish, id }));
    if (error !== undefined) throw new UserError(error);
  }
}

/** Throws UserError; then nothing is open. */
function openDisk(disk: DiskConfig): OpenedImage {
  const opened = openImage({
    path: disk.path,
    format: formatOf(disk),
    isReadOnly: disk.readonly === true,
    cache: disk.cache ?? 'writeback',
    discards: disk.discard !== false,
    backing: disk.backing ?? 'none',
    isSnapshot: disk.snapshot === true,
  });
  const problem = emptyProblem(disk, opened) ?? formatProblem(disk, opened);
  if (problem === undefined) return opened;
  closeFiles(opened);
  throw new UserError(problem);
}

/** A qcow2 image may be of such a disk; no guest can use it. */
function emptyProblem({ path }: DiskConfig, { sizeBytes }: OpenedImage): string | undefined {
  return sizeBytes > 0
    ? undefined
    : `${JSON.stringify(path)} is a disk of 0 bytes: give it a size with "vmm resize"`;
}

/** A format that was not given is raw by the file's name; that the file looks like another is no accident. */
function formatProblem({ path, format }: DiskConfig, { files, isUnsafe }: OpenedImage): string | undefined {
  const [file] = files;
  if (format !== undefined || file?.format !== 'raw') return undefined;
  const looks = otherFormat(new HostFile({ ...file, isUnsafe }));
  if (looks === undefined) return undefined;
  return `${JSON.stringify(path)} looks like ${looks}, which its name does not tell: ${cureOf(looks)}, or say that its format is raw`;
}

function closeFiles({ files }: OpenedImage): void {
  for (const { fd } of files) closeSync(fd);
}
