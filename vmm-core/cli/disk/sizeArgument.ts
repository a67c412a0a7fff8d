/** Sizes of disks on the command line. */
import { parseSize } from '../../config/size.ts';
import { quoted } from '../../client/regularFile.ts';
import { UserError } from '../../errors.ts';

const SECTOR_BYTES = 512;

/** Whole sectors. Throws UserError. */
export function sizeArgument(text: string): number {
  const sizeBytes = parseSize(text);
  if (sizeBytes === undefined) throw new UserError(`${quoted(text)} is not a size: write 512M, 20G or 1.5T`);
  const whole = Math.floor(sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
  if (whole === 0) throw new UserError(`a size of ${text} is too small: a sector has ${SECTOR_BYTES} bytes`);
  if (!Number.isSafeInteger(whole))
    throw new UserError(`a size of ${text} is too large: no file can have it`);
  return whole;
}
