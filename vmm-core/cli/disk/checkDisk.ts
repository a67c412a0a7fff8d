/** `vmm check IMAGE`: what is wrong with an image. Exit codes are those of `qemu-img check`. */
import { CHECK_EXIT, checkExitCode, checkQcow2, type CheckReport } from '../../backends/disk/checkImage.ts';
import { openImageFile } from '../../backends/disk/openImage.ts';
import { quoted } from '../../client/regularFile.ts';
import { standardOutput } from '../../client/output.ts';
import { UserError } from '../../errors.ts';
import { diskCommand } from './diskCommand.ts';
import { imageArgument } from './imageArguments.ts';

export interface CheckDiskOptions {
  readonly isJson: boolean;
  /** What `--repair` says. */
  readonly repair: string | undefined;
}

export function checkDisk(name: string, { isJson, repair }: CheckDiskOptions): Promise<number> {
  return diskCommand(() => {
    const { path, format } = imageArgument(name);
    if (repair !== undefined && repair !== 'leaks') throw new UserError('--repair can only be "leaks"');
    if (format !== 'qcow2')
      throw new UserError(`${quoted(path)} is raw, and a raw image has nothing that could be wrong`);
    const repairsLeaks = repair === 'leaks';
    const file = openImageFile(path, format, { isReadOnly: !repairsLeaks });
    try {
      const report = checkQcow2(file, { repairsLeaks });
      standardOutput.write(isJson ? `${JSON.stringify(report)}\n` : text(report));
      return checkExitCode(report);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      standardOutput.write(`${error.message}\n`);
      return CHECK_EXIT.failed;
    } finally {
      file.close();
    }
  });
}

function text(report: CheckReport): string {
  const { problems, errors, leaks, leaksRepaired, statistics, totalClusters } = report;
  const lines = [...problems];
  if (report.isDirty)
    lines.push(
      'it was not closed in order: its refcounts, which may be wrong, are rebuilt when it is next used',
    );
  if (report.isMarkedCorrupt)
    lines.push(`it is marked as corrupt${errors === 0 ? ': "--repair leaks" takes the mark away' : ''}`);
  if (leaksRepaired > 0) lines.push(`${leaksRepaired} leaked clusters were given back`);
  if (errors > 0 && report.isDirty) lines.push(`${errors} errors: use it once, and check it again`);
  else if (errors > 0)
    lines.push(`${errors} errors: copy what can be read ("vmm convert") before it is written to`);
  if (leaks > 0)
    lines.push(`${leaks} leaked clusters, which lose space and no data: "--repair leaks" gives them back`);
  if (errors === 0 && leaks === 0) lines.push('no errors');
  const percent = totalClusters === 0 ? 0 : Math.round((statistics.allocated / totalClusters) * 100);
  lines.push(`${statistics.allocated} of ${totalClusters} clusters (${percent} %) have a place`);
  return `${lines.join('\n')}\n`;
}
