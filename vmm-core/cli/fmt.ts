/** `vmm fmt [--check] FILE...`: the one layout of vm.conf, written back. */
import { readFileSync, writeFileSync } from 'node:fs';
import { localConfigHost } from '../client/localConfigHost.ts';
import { standardError, standardOutput } from '../client/output.ts';
import { formatConfig } from '../config/formatConfig.ts';
import { formatProblem } from '../config/problem.ts';
import { UserError } from '../errors.ts';
import { fail, parseArguments } from './arguments.ts';

const USAGE = `usage: vmm fmt [--check] FILE...

Lays out vm.conf files in place. FILE "-" is standard input, laid out to standard output.

  --check    change nothing; name the files that would change and exit with 1
`;

const STDIN = 0;

export async function fmt(argv: readonly string[]): Promise<number> {
  try {
    const options = { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;
    const { values, positionals } = parseArguments(argv, options, 'fmt', Infinity);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    if (positionals.length === 0) return fail('fmt needs the path of a vm.conf, or - for standard input');
    return Math.max(...positionals.map((file) => formatFile(file, values.check === true)));
  } catch (error) {
    if (error instanceof UserError) return fail(error.message);
    throw error;
  }
}

function formatFile(file: string, isCheck: boolean): number {
  const isStdin = file === '-';
  const text = readText(file, isStdin);
  const { text: result, problems } = formatConfig(isStdin ? 'stdin' : file, text, localConfigHost());
  if (result === undefined) {
    standardError.write(problems.map((it) => `${formatProblem(it)}\n`).join(''));
    return 1;
  }
  if (isCheck) {
    if (result !== text) standardOutput.write(`${file}\n`);
    return result === text ? 0 : 1;
  }
  if (isStdin) standardOutput.write(result);
  else if (result !== text) writeFileSync(file, result);
  return 0;
}

function readText(file: string, isStdin: boolean): string {
  try {
    return readFileSync(isStdin ? STDIN : file, 'utf8');
  } catch (cause) {
    throw new UserError(`cannot read ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
