/** `vmm info`: what an image is. */
import { type ImageInfo, imageInfo } from '../../backends/disk/imageInfo.ts';
import { openImageFile } from '../../backends/disk/openImage.ts';
import { standardOutput } from '../../client/output.ts';
import { formatSize } from '../../config/size.ts';
import { UserError } from '../../errors.ts';
import { type Options, parseArguments } from '../arguments.ts';
import { diskCommand } from './diskCommand.ts';
import { HELP, IMAGE_HELP, imageArgument } from './imageArguments.ts';

const OPTIONS = { json: { type: 'boolean' }, ...HELP } satisfies Options;

const USAGE = `usage: vmm info [--json] IMAGE

${IMAGE_HELP}`;

export function info(argv: readonly string[]): Promise<number> {
  return diskCommand(() => {
    const { values, positionals } = parseArguments(argv, OPTIONS, 'info', 1);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const [name] = positionals;
    if (name === undefined) throw new UserError('info needs an image; "vmm info --help" tells more');
    const { path, format } = imageArgument(name);
    const file = openImageFile(path, format, { isReadOnly: true, isShared: true });
    try {
      const found = imageInfo(file, format);
      standardOutput.write(values.json === true ? `${JSON.stringify(found)}\n` : text(found));
    } finally {
      file.close();
    }
    return 0;
  });
}

function text({ format, sizeBytes, allocatedBytes, qcow2 }: ImageInfo): string {
  const rows: [string, string][] = [
    ['format', qcow2 === undefined ? format : `${format}, version ${qcow2.version}`],
    ['size', `${formatSize(sizeBytes)} (${sizeBytes} bytes)`],
    ['on the host', formatSize(allocatedBytes)],
  ];
  if (qcow2 !== undefined) {
    rows.push(['clusters', formatSize(qcow2.clusterBytes)]);
    rows.push(['refcounts', `${qcow2.refcountBits} bits${qcow2.lazyRefcounts ? ', lazy' : ''}`]);
    rows.push(['compression', qcow2.compression]);
    if (qcow2.snapshots > 0) rows.push(['snapshots', String(qcow2.snapshots)]);
    if (qcow2.backing !== undefined)
      rows.push(['backing file', `${qcow2.backing.name} (${qcow2.backing.format ?? 'format not said'})`]);
    if (qcow2.dirty) rows.push(['state', 'not closed in order: refcounts are rebuilt when it is next used']);
    if (qcow2.corrupt) rows.push(['state', `marked as corrupt: "vmm check" tells why`]);
  }
  return rows.map(([name, value]) => `${`${name}:`.padEnd(14)}${value}\n`).join('');
}
