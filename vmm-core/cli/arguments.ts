/**
 * Command lines: node's parser with our errors. Every error is one line that says what is wrong and what to
 * do.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { nearest } from '../config/nearest.ts';
import { standardError } from '../client/output.ts';
import { RuntimeDirError } from '../client/runtimeDir.ts';
import { UserError } from '../errors.ts';

export type Options = NonNullable<ParseArgsConfig['options']>;
export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

export interface Arguments {
  readonly values: Values;
  readonly positionals: readonly string[];
}

/** Throws UserError, which points to `vmm COMMAND --help`. */
export function parseArguments(
  argv: readonly string[],
  options: Options,
  command: string,
  maxPositionals = 0,
): Arguments {
  const parsed = parse(argv, options, command);
  const extra = parsed.positionals[maxPositionals];
  if (extra !== undefined) {
    throw new UserError(`"${extra}" is one argument too many; "vmm ${command} --help" shows how to call it`);
  }
  return parsed;
}

function parse(argv: readonly string[], options: Options, command: string): Arguments {
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
  const flag = flagIn(error.message, argv);
  if (error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const near = nearest(flag.replace(/^-+/, ''), Object.keys(options));
    return `${flag} is not an option${near === undefined ? '' : ` (did you mean --${near}?)`}`;
  }
  if (error.code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE' && isText(flag, options)) {
    const next = argv[argv.indexOf(flag) + 1];
    if (next === undefined) return `${flag} needs a value`;
    return `${flag} needs a value; one that begins with a dash is written ${withValue(flag, next)}`;
  }
  return error.message.replace(/\n.*/s, '').replace(/\.$/, '');
}

/** Node quotes an option with its short form, "'-s, --size <value>'", whichever was given. */
function flagIn(message: string, argv: readonly string[]): string {
  const flags = /'(-[^']*)'/.exec(message)?.[1]?.split(/, | /) ?? [];
  return flags.find((it) => argv.includes(it)) ?? flags[0] ?? 'that';
}

/** `flag`: as it was given, `--size` or `-s`. */
function isText(flag: string, options: Options): boolean {
  const name = flag.replace(/^-+/, '');
  const option = options[name] ?? Object.values(options).find(({ short }) => short === name);
  return option?.type === 'string';
}

function withValue(flag: string, value: string): string {
  return flag.startsWith('--') ? `${flag}=${value}` : `${flag}${value}`;
}

export function single(values: Values, key: string): string | undefined {
  const value = values[key];
  return typeof value === 'string' ? value : undefined;
}

/** Errors whose message is all a user needs; anything else is a bug. */
export function isForUser(error: unknown): error is Error {
  return error instanceof UserError || error instanceof RuntimeDirError;
}

/** Prints an error for people as `vmm: …` and gives the exit code of usage and host errors. */
export function fail(message: string): number {
  standardError.write(`vmm: ${message}\n`);
  return 1;
}
