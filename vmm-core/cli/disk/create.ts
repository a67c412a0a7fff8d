/** `vmm create`, as vmctl's: a new image, empty, copied from another, or over another. */
import { createDerived, createImage } from '../../backends/disk/createImage.ts';
import { standardError, standardOutput } from '../../client/output.ts';
import { UserError } from '../../errors.ts';
import { type Options, parseArguments, single } from '../arguments.ts';
import { convertImage } from './convertImage.ts';
import { diskCommand } from './diskCommand.ts';
import { HELP, IMAGE_HELP, imageArgument, type NamedImage, newImageArgument } from './imageArguments.ts';
import { openToRead } from './openToRead.ts';
import { sizeArgument } from './sizeArgument.ts';

const OPTIONS = {
  size: { type: 'string', short: 's' },
  input: { type: 'string', short: 'i' },
  base: { type: 'string', short: 'b' },
  ...HELP,
} satisfies Options;

const USAGE = `usage: vmm create [-s SIZE] [-i IMAGE | -b BASE] IMAGE

  -s SIZE     of the disk (512M, 20G); by default that of the image it is made of
  -i IMAGE    copy this one
  -b BASE     the new image, qcow2, has only what differs from this one

A size without a unit is in MiB.

${IMAGE_HELP}`;

const MIB = 2 ** 20;

export function create(argv: readonly string[]): Promise<number> {
  return diskCommand(async () => {
    const { values, positionals } = parseArguments(argv, OPTIONS, 'create', 1);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const [name] = positionals;
    if (name === undefined)
      throw new UserError('create needs the name of the new image; "vmm create --help" tells more');
    await make(
      newImageArgument(name),
      single(values, 'size'),
      single(values, 'input'),
      single(values, 'base'),
    );
    return 0;
  });
}

async function make(image: NamedImage, size?: string, input?: string, base?: string): Promise<void> {
  if (input !== undefined && base !== undefined)
    throw new UserError('a new image is a copy (-i) or has a base (-b), not both');
  const sizeBytes = size === undefined ? undefined : sizeArgument(size);
  if (base !== undefined) return derive(image, imageArgument(base), sizeBytes);
  if (input !== undefined) return convertImage(imageArgument(input), image, { sizeBytes });
  if (sizeBytes === undefined) throw new UserError('an empty image needs a size: -s 20G');
  createImage(image.path, { format: image.format, sizeBytes: wholeMib(sizeBytes) });
}

function derive(image: NamedImage, base: NamedImage, sizeBytes: number | undefined): void {
  if (image.format !== 'qcow2')
    throw new UserError(`only a qcow2 image can have a base: write qcow2:${image.path}`);
  const opened = openToRead(base);
  const baseBytes = opened.sizeBytes;
  opened.close();
  if (sizeBytes !== undefined && sizeBytes < baseBytes)
    throw new UserError(`the base has ${baseBytes} bytes, more than -s says: leave -s out, or give more`);
  createDerived(image.path, base, 'anywhere', sizeBytes);
}

/** As vmctl does it. */
function wholeMib(sizeBytes: number): number {
  if (sizeBytes < MIB) throw new UserError('a disk has at least 1M');
  const whole = Math.floor(sizeBytes / MIB) * MIB;
  if (whole !== sizeBytes) standardError.write(`vmm: the size is rounded down to ${whole / MIB}M\n`);
  return whole;
}
