/** `vmm load -n [--openbsd] [--json] FILE`: checks a vm.conf, every error in one go. */
import { localConfigHost } from '../client/localConfigHost.ts';
import { standardError, standardOutput } from '../client/output.ts';
import { hasErrors } from '../vmConf/checkTree.ts';
import { type LoadedConfig, loadConfigFile } from '../vmConf/loadConfigFile.ts';
import { formatProblem, type Problem } from '../vmConf/problem.ts';
import { UserError } from '../errors.ts';
import { fail, type Options, parseArguments } from './arguments.ts';

const OPTIONS = {
  check: { type: 'boolean', short: 'n' },
  openbsd: { type: 'boolean' },
  define: { type: 'string', short: 'D', multiple: true },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} satisfies Options;

const USAGE = `usage: vmm load -n [--openbsd] [-D NAME=VALUE]... [--json] FILE

  -n               only check the file (the one thing it does so far)
  --openbsd        accept and refuse what OpenBSD's vmd -n does
  -D NAME=VALUE    define a macro; definitions in the file do not replace it
  --json           problems and VMs as one JSON object

Problems go to standard error as FILE:LINE:COLUMN: MESSAGE.
Exit code 0 when there are no errors, 1 when there are.
`;

/** `--json`. Stable: scripts read it. */
interface JsonProblem {
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

export async function load(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArguments(argv, OPTIONS, 'load', 1);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    if (values.check !== true)
      return fail('load needs -n: it can only check a file so far; "vmm run -f FILE NAME" starts a VM');
    const [file] = positionals;
    if (file === undefined) return fail('load needs the path of a vm.conf');
    const loaded = readConfig(file, { isOpenbsd: values.openbsd === true, define: defines(values.define) });
    if (values.json === true) standardOutput.write(`${JSON.stringify(jsonOf(loaded))}\n`);
    else report(loaded.problems);
    return hasErrors(loaded.problems) ? 1 : 0;
  } catch (error) {
    if (error instanceof UserError) return fail(error.message);
    throw error;
  }
}

export interface ReadOptions {
  readonly isOpenbsd?: boolean;
  readonly define?: Readonly<Record<string, string>>;
}

/** Throws UserError when the file cannot be read. */
export function readConfig(file: string, { isOpenbsd = false, define = {} }: ReadOptions = {}): LoadedConfig {
  const host = localConfigHost(isOpenbsd ? process.cwd() : undefined);
  const loaded = loadConfigFile(file, { host, dialect: isOpenbsd ? 'vmd' : 'trapframe', define });
  if (loaded === undefined) {
    const why = host.whyUnreadable(file) ?? 'it changed just now';
    throw new UserError(`cannot read ${file}: ${why}; give the path of a vm.conf`);
  }
  return loaded;
}

function defines(given: unknown): Record<string, string> {
  const result: Record<string, string> = {};
  for (const it of Array.isArray(given) ? given : []) {
    const text = String(it);
    const at = text.lastIndexOf('='); // as vmd splits it
    if (at <= 0) throw new UserError(`-D ${text} is not NAME=VALUE`);
    result[text.slice(0, at)] = text.slice(at + 1);
  }
  return result;
}

function report(problems: readonly Problem[]): void {
  const lines = problems.map((it) => `${formatProblem(it)}\n`).join('');
  standardError.write(hasErrors(problems) ? lines : `${lines}configuration OK\n`);
}

function jsonOf({ problems, vms }: LoadedConfig): unknown {
  return {
    ok: !hasErrors(problems),
    problems: problems.map(jsonProblem),
    vms: vms.map(({ config, isDisabled, instanceOf, owner, unsupported }) => ({
      ...config,
      isDisabled,
      instanceOf,
      owner,
      unsupported,
    })),
  };
}

function jsonProblem({ severity, code, message, file, start }: Problem): JsonProblem {
  const { line, character } = file.position(start);
  return { severity, code, message, file: file.path, line: line + 1, column: character + 1 };
}
