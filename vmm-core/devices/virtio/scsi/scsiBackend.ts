/** Main's side of the CD-ROM drive: opens its medium, which the I/O thread then owns, and changes it. */
import type { Backend, DiskDrive } from '../../../backends/backend.ts';
import { closeOpened, openImage, type OpenedImage } from '../../../backends/disk/openImage.ts';
import { UserError } from '../../../errors.ts';
import { CommandReplies } from '../commandReplies.ts';
import type { VirtioBackendPort } from '../virtioClass.ts';
import { BLOCK_BYTES } from './cdrom.ts';
import type { ScsiCommand, ScsiInstance, ScsiMedium, ScsiNews, ScsiState } from './scsiState.ts';

export class ScsiBackend implements Backend, DiskDrive {
  readonly #port: VirtioBackendPort<ScsiState>;
  #medium: ScsiMedium;
  #isGiven = false;
  readonly #replies = new CommandReplies<void>();

  /** Throws UserError. */
  constructor({ path }: ScsiInstance, port: VirtioBackendPort<ScsiState>) {
    this.#port = port;
    this.#medium = { opened: openMedium(path), path };
  }

  /** Who asks owns it from then on. */
  get opened(): ScsiMedium {
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
    return this.#medium.opened.sizeBytes;
  }

  /** See DiskDrive. */
  resize(): Promise<void> {
    const name = JSON.stringify(this.path);
    return Promise.reject(
      new UserError(`${name} is in the CD-ROM drive: it cannot be resized, only changed`),
    );
  }

  /** See DiskDrive. The guest hears of it with its next command, whether it has locked the drive or not. */
  async change(path: string): Promise<void> {
    const medium = { opened: openMedium(path), path };
    await this.#replies.ask((id) => {
      const command: ScsiCommand = { id, medium };
      this.#port.send(command);
    });
    this.#medium = medium;
  }

  onEvent(): void {}

  onMessage(message: unknown): void {
    const news = message as ScsiNews; // ScsiService tells nothing else
    if (news.kind === 'trouble') return this.#port.onTrouble(news.message);
    this.#replies.settle(news.id);
  }

  close(): void {
    if (!this.#isGiven) closeOpened(this.#medium.opened);
  }
}

/** Throws UserError; then nothing is open. */
function openMedium(path: string): OpenedImage {
  const opened = openImage({
    path,
    format: 'raw',
    isReadOnly: true,
    cache: 'writeback',
    discards: false,
    backing: 'none',
    isSnapshot: false,
  });
  if (opened.sizeBytes >= BLOCK_BYTES) return opened;
  closeOpened(opened);
  const rule = `its size, ${opened.sizeBytes} bytes, is less than a block of ${BLOCK_BYTES}`;
  throw new UserError(`${JSON.stringify(path)} is not the image of a CD-ROM: ${rule}`);
}
