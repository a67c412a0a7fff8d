/** `vmm commit`: moves what a derived image has of its own into its base. */
import { commitImage } from '../../backends/disk/commitImage.ts';
import { attachLayers, openImage } from '../../backends/disk/openImage.ts';
import { Qcow2Image } from '../../backends/disk/qcow2/qcow2Image.ts';
import { quoted } from '../../client/regularFile.ts';
import { standardOutput } from '../../client/output.ts';
import { UserError } from '../../errors.ts';
import { parseArguments } from '../arguments.ts';
import { diskCommand, withProgress } from './diskCommand.ts';
import { HELP, IMAGE_HELP, imageArgument, type NamedImage } from './imageArguments.ts';

const USAGE = `usage: vmm commit IMAGE

Other images over the same base are worthless afterwards.

${IMAGE_HELP}`;

export function commit(argv: readonly string[]): Promise<number> {
  return diskCommand(async () => {
    const { values, positionals } = parseArguments(argv, HELP, 'commit', 1);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const [name] = positionals;
    if (name === undefined) throw new UserError('commit needs an image; "vmm commit --help" tells more');
    await commitFile(imageArgument(name));
    return 0;
  });
}

async function commitFile(image: NamedImage): Promise<void> {
  const opened = openImage({
    ...image,
    isReadOnly: false,
    cache: 'writeback',
    discards: true,
    backing: 'anywhere',
    isSnapshot: false,
    writesBacking: true,
  });
  const [top, base] = attachLayers(opened);
  try {
    if (!(top instanceof Qcow2Image) || base === undefined)
      throw new UserError(`${quoted(image.path)} has no base to commit to`);
    await withProgress(top.sizeBytes, (work) => commitImage(top, base, work));
  } finally {
    top?.close();
  }
}
