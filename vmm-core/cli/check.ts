/** `vmm check [--json]`: what this host can do, and for each thing missing the one sentence that fixes it. */
import { standardOutput } from '../client/output.ts';
import { fail, isForUser, parseArguments } from './arguments.ts';
import type { Finding, HostCheck } from '../protocol/hostCheck.ts';
import { inspectHost } from './hostCheck.ts';

const MARKS = { ok: '✓', warning: '!', missing: '✗' } as const;

export async function check(argv: readonly string[]): Promise<number> {
  try {
    const { values } = parseArguments(
      argv,
      { json: { type: 'boolean' }, help: { type: 'boolean' } },
      'check',
    );
    if (values.help === true) {
      standardOutput.write(
        'usage: vmm check [--json]\n\nExit code 0 when guests can run on this host, 1 when not.\n',
      );
      return 0;
    }
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
