/** `vmm resize`: changes the size of a disk that nobody uses. */
import { standardOutput } from '../../client/output.ts';
import { UserError } from '../../errors.ts';
import { type Options, parseArguments } from '../arguments.ts';
import { diskCommand } from './diskCommand.ts';
import { HELP, IMAGE_HELP, imageArgument } from './imageArguments.ts';
import { openToChange } from './openToRead.ts';
import { sizeArgument } from './sizeArgument.ts';

const OPTIONS = { shrink: { type: 'boolean' }, ...HELP } satisfies Options;

const USAGE = `usage: vmm resize [--shrink] IMAGE [+]SIZE

  +SIZE       so much more than now
  --shrink    what is behind the new end may be lost

A size without a unit is in MiB.

${IMAGE_HELP}`;

export function resize(argv: readonly string[]): Promise<number> {
  return diskCommand(() => {
    const { values, positionals } = parseArguments(argv, OPTIONS, 'resize', 2);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const [name, size] = positionals;
    if (name === undefined || size === undefined)
      throw new UserError('resize needs an image and a size; "vmm resize --help" tells more');
    const image = openToChange(imageArgument(name));
    try {
      const given = sizeArgument(size.replace(/^\+/, ''));
      const sizeBytes = size.startsWith('+') ? image.sizeBytes + given : given;
      if (sizeBytes < image.sizeBytes && values.shrink !== true)
        throw new UserError(
          `the disk has ${image.sizeBytes} bytes: --shrink lets go of what is behind ${sizeBytes}`,
        );
      image.resize(sizeBytes);
    } finally {
      image.close();
    }
    return 0;
  });
}
