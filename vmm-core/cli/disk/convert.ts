/** `vmm convert`: copies an image into another format. */
import { standardOutput } from '../../client/output.ts';
import { UserError } from '../../errors.ts';
import { type Options, parseArguments, single } from '../arguments.ts';
import { parseSize } from '../../config/size.ts';
import { convertImage } from './convertImage.ts';
import { diskCommand } from './diskCommand.ts';
import { HELP, IMAGE_HELP, imageArgument, newImageArgument } from './imageArguments.ts';

const OPTIONS = {
  compress: { type: 'boolean', short: 'c' },
  'cluster-size': { type: 'string' },
  ...HELP,
} satisfies Options;

const USAGE = `usage: vmm convert [-c] [--cluster-size SIZE] IMAGE NEW-IMAGE

  -c                     compress (qcow2)
  --cluster-size SIZE    of a qcow2 image, 512 bytes (0.5K) to 2M; 64K by default

${IMAGE_HELP}`;

export function convert(argv: readonly string[]): Promise<number> {
  return diskCommand(async () => {
    const { values, positionals } = parseArguments(argv, OPTIONS, 'convert', 2);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const [from, to] = positionals;
    if (from === undefined || to === undefined)
      throw new UserError(
        'convert needs an image and the name of the new one; "vmm convert --help" tells more',
      );
    const clusterBytes = parseSize(single(values, 'cluster-size') ?? '64K');
    if (clusterBytes === undefined) throw new UserError('--cluster-size is a size: 64K');
    await convertImage(imageArgument(from), newImageArgument(to), {
      compresses: values.compress === true,
      qcow2: { clusterBytes },
    });
    return 0;
  });
}
