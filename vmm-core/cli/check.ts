/**
 * `vmm check [--json]`: what this host can do, and for each thing missing the one sentence that fixes it.
 * With an image: what is wrong with that.
 */
import { standardOutput } from '../client/output.ts';
import { fail, isForUser, type Options, parseArguments, single } from './arguments.ts';
import { checkDisk } from './disk/checkDisk.ts';
import { UserError } from '../errors.ts';
import type { Finding, HostCheck } from '../protocol/hostCheck.ts';
import { inspectHost } from './hostCheck.ts';

const OPTIONS = {
  json: { type: 'boolean' },
  repair: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} satisfies Options;

const USAGE = `usage: vmm check [--json]
       vmm check [--json] [--repair leaks] IMAGE

The first says what this host can do: exit code 0 when guests can run on it, 1 when not.
The second looks for errors in a qcow2 image that nobody uses: exit code 0 when there are none, 1 when it cannot
be checked, 2 for errors, 3 for leaks, which lose space only. "--repair leaks" gives that space back, and takes
the mark as corrupt from an image without errors.
`;

const MARKS = { ok: '✓', warning: '!', missing: '✗' } as const;

export async function check(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArguments(argv, OPTIONS, 'check', 1);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const [image] = positionals;
    if (image !== undefined)
      return await checkDisk(image, { isJson: values.json === true, repair: single(values, 'repair') });
    if (values['repair'] !== undefined) throw new UserError('--repair needs an image');
    const result = await inspectHost();
    standardOutput.write(values.json === true ? `${JSON.stringify(result)}\n` : render(result));
    return result.usable ? 0 : 1;
  } catch (error) {
    if (isForUser(error)) return fail(error.message);
    throw error;
  }
}

function render(result: HostCheck): string {
  const lines = result.findings.flatMap(renderFinding);
  const verdict = result.usable ? 'Guests can run on this host.' : 'Guests cannot run on this host yet.';
  return `${lines.join('\n')}\n\n${verdict}\n`;
}

function renderFinding(finding: Finding): string[] {
  const head = `${MARKS[finding.status]} ${finding.title}: ${finding.detail}`;
  return finding.cure === undefined ? [head] : [head, `    → ${finding.cure}`];
}
