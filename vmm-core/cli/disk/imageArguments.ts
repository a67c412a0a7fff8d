/** Images and sizes on the command lines of commands for disks. */
import { parseSize } from '../../config/size.ts';
import { quoted } from '../../client/regularFile.ts';
import { openImageFile } from '../../backends/disk/openImage.ts';
import { imageSignature } from '../../backends/disk/imageSignature.ts';
import type { ImageFormat } from '../../backends/disk/openImage.ts';
import { UserError } from '../../errors.ts';
import type { Options } from '../arguments.ts';

export interface NamedImage {
  readonly path: string;
  readonly format: ImageFormat;
}

export const HELP = { help: { type: 'boolean', short: 'h' } } satisfies Options;

/** What the usage of each of them says of an image. */
export const IMAGE_HELP = `An image is written as raw:FILE or qcow2:FILE; without that it is qcow2 when its name ends in .qcow2, else raw.
`;

const SECTOR_BYTES = 512;
const PREFIX = /^(raw|qcow2):(.+)$/s;

/** One that is to be made. */
export function newImageArgument(text: string): NamedImage {
  const [, format, path] = PREFIX.exec(text) ?? [];
  if (format !== undefined && path !== undefined) return { path, format: format === 'raw' ? 'raw' : 'qcow2' };
  return { path: text, format: text.toLowerCase().endsWith('.qcow2') ? 'qcow2' : 'raw' };
}

/** One that exists. A name that hides what the file looks like is refused: its format is not guessed. */
export function imageArgument(text: string): NamedImage {
  const image = newImageArgument(text);
  if (image.format === 'raw' && !PREFIX.test(text) && looksLikeQcow2(image.path))
    throw new UserError(
      `${quoted(image.path)} looks like a qcow2 image, and its name does not say so: write qcow2:${image.path}, or raw:${image.path}`,
    );
  return image;
}

/** Whole sectors. */
export function sizeArgument(text: string): number {
  const sizeBytes = parseSize(text);
  if (sizeBytes === undefined) throw new UserError(`${quoted(text)} is not a size: write 512M, 20G or 1.5T`);
  const whole = Math.floor(sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
  if (whole === 0) throw new UserError(`a disk of ${text} is too small`);
  return whole;
}

function looksLikeQcow2(path: string): boolean {
  const file = openImageFile(path, 'raw', true);
  try {
    return imageSignature(file) === 'qcow2';
  } finally {
    file.close();
  }
}
