/** New, empty images. */
import path from 'node:path';
import { UserError } from '../../errors.ts';
import { SECTOR_BYTES } from './diskImage.ts';
import type { ImageFile } from './imageFile.ts';
import { NewImageFile } from './newImageFile.ts';
import { type BackingPolicy, closeOpened, type ImageFormat, openImage, PROTOCOL } from './openImage.ts';
import { DEFAULT_FORMAT, formatQcow2, type Qcow2Format } from './qcow2/formatQcow2.ts';

export interface NewImage {
  readonly format: ImageFormat;
  readonly sizeBytes: number;
  /** Of qcow2 images; what is absent is as QEMU has it. */
  readonly qcow2?: Partial<Omit<Qcow2Format, 'sizeBytes'>>;
}

/** Throws UserError, DiskError; then there is no such file. */
export function createImage(file: string, image: NewImage): void {
  const made = new NewImageFile(file);
  try {
    formatImage(made.file, image);
    made.keep();
  } catch (error) {
    made.drop();
    throw error;
  } finally {
    made.close();
  }
}

/** `file` is empty. */
export function formatImage(file: ImageFile, { format, sizeBytes, qcow2 }: NewImage): void {
  if (sizeBytes === 0) throw new UserError('a disk of 0 bytes cannot be made: give it a size');
  if (sizeBytes % SECTOR_BYTES !== 0)
    throw new UserError(`a disk has whole sectors of ${SECTOR_BYTES} bytes, not ${sizeBytes} bytes`);
  if (format === 'raw') file.truncate(sizeBytes);
  else formatQcow2(file, { ...DEFAULT_FORMAT, ...qcow2, sizeBytes });
}

/**
 * A qcow2 image that has only what differs from `base`. `policy`: which backing files the base itself may
 * name. `sizeBytes`: the base's when absent.
 */
export function createDerived(
  file: string,
  base: { readonly path: string; readonly format: ImageFormat },
  policy: BackingPolicy,
  sizeBytes?: number,
): void {
  const opened = openImage({
    ...base,
    isReadOnly: true,
    cache: 'writeback',
    discards: false,
    backing: policy,
    isSnapshot: false,
  });
  closeOpened(opened);
  createImage(file, {
    format: 'qcow2',
    sizeBytes: sizeBytes ?? opened.sizeBytes,
    qcow2: { backing: { name: backingName(file, base.path), format: base.format } },
  });
}

/** Relative where the base is beside the image or below, so that a folder of both can be moved. */
function backingName(file: string, base: string): string {
  const absolute = path.resolve(base);
  const relative = path.relative(path.dirname(path.resolve(file)), absolute);
  if (relative === '..' || relative.startsWith('../')) return absolute;
  return PROTOCOL.test(relative) ? `./${relative}` : relative;
}
