/** Command lines: node's parser with our errors. Every error is one line that says what is wrong and what to do. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { nearest } from '../config/parseConfig.ts';
import { UserError } from '../errors.ts';

export type Options = NonNullable<ParseArgsConfig['options']>;
export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

export interface Arguments {
  readonly values: Values;
  readonly positionals: readonly string[];
}

/** Throws UserError. `usage` is named as the way out. */
export function parseArguments(argv: readonly string[], options: Options, command: string): Arguments {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options,
      allowPositionals: true,
      strict: true,
    });
    return { values, positionals };
  } catch (cause) {
    throw new UserError(
      `${explain(cause as NodeJS.ErrnoException, argv, options)}; "vmm ${command} --help" lists them`,
      { cause },
    );
  }
}

function explain(error: NodeJS.ErrnoException, argv: readonly string[], options: Options): string {
  if (error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const unknown = argv.find(
      (arg) => arg.startsWith('-') && !(arg.replace(/^--?/, '').split('=')[0] ?? '' in options),
    );
    const flag = /'(-[^']*)'/.exec(error.message)?.[1] ?? unknown ?? 'that';
    const near = nearest(flag.replace(/^-+/, ''), Object.keys(options));
    return `${flag} is not an option${near === undefined ? '' : ` (did you mean --${near}?)`}`;
  }
  return error.message.replace(/\.$/, '').replace(/\n.*/s, '');
}

export function single(values: Values, key: string): string | undefined {
  const value = values[key];
  return typeof value === 'string' ? value : undefined;
}

/** Prints an error for people as `vmm: …` and gives the exit code of usage and host errors. */
export function fail(message: string): number {
  process.stderr.write(`vmm: ${message}\n`);
  return 1;
}
