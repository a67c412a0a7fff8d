/** Images and sizes on the command lines of commands for disks. */
import { quoted } from '../../client/regularFile.ts';
import { cureOf } from '../../backends/disk/imageSignature.ts';
import { type ImageFormat, looksOf } from '../../backends/disk/openImage.ts';
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

const PREFIX = /^(raw|qcow2):(.*)$/s;
/** Formats of qemu-img that are not ours. */
const OTHER_PREFIX = /^(vmdk|vdi|vhdx?|vpc|qed|qcow):/;

/** One that is to be made. Throws UserError. */
export function newImageArgument(text: string): NamedImage {
  const [, format, path] = PREFIX.exec(text) ?? [];
  if (path === '' || text === '') throw new UserError(`${quoted(text)} names no file: write ${text}FILE`);
  if (format !== undefined && path !== undefined) return { path, format: format === 'raw' ? 'raw' : 'qcow2' };
  if (OTHER_PREFIX.test(text))
    throw new UserError(`${quoted(text)}: images are raw or qcow2; a file of that name is raw:${text}`);
  return { path: text, format: text.toLowerCase().endsWith('.qcow2') ? 'qcow2' : 'raw' };
}

/** One that exists. A name that hides what the file looks like is refused: its format is not guessed. */
export function imageArgument(text: string): NamedImage {
  const image = newImageArgument(text);
  const looks = image.format === 'raw' && !PREFIX.test(text) ? looksOf(image.path) : undefined;
  if (looks === undefined) return image;
  const cure = looks === 'qcow2' ? `write qcow2:${image.path}` : cureOf(looks);
  throw new UserError(
    `${quoted(image.path)} looks like ${looks}, which its name does not tell: ${cure}, or write raw:${image.path}`,
  );
}
