/** `vmm fmt [--check] FILE...`: the one layout of vm.conf, written back. */
import { isUtf8 } from 'node:buffer';
import { fstatSync } from 'node:fs';
import { localConfigHost } from '../client/localConfigHost.ts';
import { standardError, standardOutput } from '../client/output.ts';
import { fileErrorText, readRegularFile } from '../client/regularFile.ts';
import { formatConfigFile } from '../vmConf/formatConfigFile.ts';
import { MAX_FILE_BYTES } from '../config/limits.ts';
import { formatProblem } from '../vmConf/problem.ts';
import { UserError } from '../errors.ts';
import { fail, parseArguments } from './arguments.ts';
import { replaceFile } from './replaceFile.ts';

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
    let exitCode = 0;
    for (const file of positionals) exitCode = Math.max(exitCode, await tryFile(file, values.check === true));
    return exitCode;
  } catch (error) {
    if (error instanceof UserError) return fail(error.message);
    throw error;
  }
}

/** One that cannot be laid out does not stop the others. */
async function tryFile(file: string, isCheck: boolean): Promise<number> {
  try {
    return await formatFile(file, isCheck);
  } catch (error) {
    if (error instanceof UserError) return fail(error.message);
    throw error;
  }
}

async function formatFile(file: string, isCheck: boolean): Promise<number> {
  const isStdin = file === '-';
  const bytes = isStdin ? await readStdin() : readFile(file);
  // A comment in Latin-1 keeps its bytes: the layout does not care.
  const encoding = isUtf8(bytes) ? 'utf8' : 'latin1';
  const text = bytes.toString(encoding);
  const { text: result, problems } = formatConfigFile(isStdin ? 'stdin' : file, text, localConfigHost());
  if (result === undefined) {
    standardError.write(problems.map((it) => `${formatProblem(it)}\n`).join(''));
    return 1;
  }
  if (isCheck) {
    if (result !== text) standardOutput.write(`${file}\n`);
    return result === text ? 0 : 1;
  }
  if (isStdin) standardOutput.write(Buffer.from(result, encoding));
  else if (result !== text) writeBack(file, Buffer.from(result, encoding));
  return 0;
}

function readFile(file: string): Buffer {
  try {
    return readRegularFile(file, { maxBytes: MAX_FILE_BYTES });
  } catch (cause) {
    throw new UserError(`cannot read ${file}: ${fileErrorText(cause)}`, { cause });
  }
}

function writeBack(file: string, content: Buffer): void {
  try {
    replaceFile(file, content);
  } catch (cause) {
    throw new UserError(`cannot write ${file}, it stays as it was: ${fileErrorText(cause)}`, { cause });
  }
}

/**
 * Not through its descriptor: a read from a terminal or pipe that others made non-blocking fails when there
 * is nothing yet.
 */
async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  try {
    // To node's stream a directory is an empty file.
    if (fstatSync(STDIN).isDirectory()) throw new UserError('standard input is a directory, not a file');
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      total += chunk.length;
      if (total > MAX_FILE_BYTES) throw new UserError('standard input is larger than a vm.conf may be');
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`cannot read standard input: ${fileErrorText(cause)}`, { cause });
  }
  return Buffer.concat(chunks);
}
