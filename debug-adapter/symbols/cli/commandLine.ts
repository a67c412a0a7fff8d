/**
 * `vmm sym FILE [--json] [QUERY…]`: questions about an ELF file's symbols, from the command line or from
 * standard input.
 */
import { type ByteSource, bytesSource } from '../../../vmm-core/elf/byteSource.ts';
import type { Decompressors } from '../../../vmm-core/elf/compressedSection.ts';
import { ElfError } from '../../../vmm-core/elf/elfError.ts';
import { QueryError } from '../base/queryError.ts';
import { unpacked } from '../files/packedFile.ts';
import { findSeparateDebug } from '../files/separateDebug.ts';
import type { LoadIndex } from '../index/imageIndex.ts';
import { openSymbolImage } from '../openSymbolImage.ts';
import type { SymbolImage } from '../symbolImage.ts';
import { type CliAnswer, answer, looksLikeQuery } from './queries.ts';
import { symbolizeLine } from './symbolizeText.ts';

/** What this code needs from the program around it; tests pass their own. */
export interface CliIo {
  /** Throws when the file cannot be opened; the message is shown. */
  open(path: string): ByteSource;
  readonly decompressors: Decompressors;
  /** Gets the index of a large file: see SymbolImageOptions. */
  readonly loadIndex?: LoadIndex;
  /** Lines of standard input without their ends. Only read when no query is on the command line. */
  lines(): AsyncIterable<string>;
  /** Settles when more can be written: the reader may be slower than us. */
  write(text: string): Promise<void>;
  writeError(text: string): void;
}

const USAGE = `usage: vmm sym FILE [--json] [--bias ADDRESS] [QUERY...]
  0xADDRESS            function, inline chain and line
  FUNCTION             addresses; FILE:FUNCTION, /REGEX/
  FILE:LINE[:COLUMN]   addresses
  type NAME            members and offsets
  locals 0xADDRESS     variables and where they live
  unwind 0xADDRESS     how to find the caller
  expr EXPRESSION      constants, sizes, addresses
  macro NAME [PLACE]   its definition, at 0xADDRESS or FUNCTION
Without a query, lines come from standard input: queries, or any text whose addresses and symbol+0x12/0x34 are explained.`;

interface Arguments {
  readonly file: string;
  readonly json: boolean;
  readonly bias: bigint;
  readonly queries: readonly string[];
}

/**
 * Returns the exit code: 0 when every query had an answer, 1 when one had none or the file cannot be used, 2
 * for wrong usage.
 */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseArguments(argv);
  if (typeof parsed === 'string') {
    io.writeError(`${parsed}\n`);
    return argv.includes('--help') ? 0 : 2;
  }
  let image: SymbolImage;
  try {
    const opened = io.open(parsed.file);
    const bytes = unpacked(opened);
    const source = bytes === undefined ? opened : bytesSource(opened.name, bytes);
    const separate = findSeparateDebug(source, (path) => openIfPresent(path, io));
    if (separate.problem !== undefined) io.writeError(`vmm sym: ${separate.problem}\n`);
    image = openSymbolImage(separate.source ?? source, {
      ...(io.loadIndex !== undefined && { loadIndex: io.loadIndex }),
      loadBias: parsed.bias,
      decompressors: io.decompressors,
      openDwo: (path) => openIfPresent(path, io),
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    io.writeError(`vmm sym: ${error instanceof ElfError ? `${parsed.file}: ` : ''}${message}\n`);
    return 1;
  }
  return parsed.queries.length > 0 ? runQueries(image, parsed, io) : runLines(image, parsed, io);
}

/** A missing .dwo does not fail the command: the image says what it lacks. */
function openIfPresent(path: string, io: CliIo): ByteSource | undefined {
  try {
    return io.open(path);
  } catch {
    return undefined;
  }
}

async function runQueries(image: SymbolImage, { queries, json }: Arguments, io: CliIo): Promise<number> {
  let failures = 0;
  const problems = new Problems(image, io);
  for (const query of queries) {
    const result = await answer(image, query);
    problems.tell();
    await print(result, json, io);
    if ('error' in result.json) failures++;
  }
  return failures > 0 ? 1 : 0;
}

/** With --json every line is a query; without it, a line that is not a query is text to explain. */
async function runLines(image: SymbolImage, { json }: Arguments, io: CliIo): Promise<number> {
  const problems = new Problems(image, io);
  try {
    for await (const line of io.lines()) {
      const isQuery = json ? line.trim() !== '' : looksLikeQuery(line);
      const result = isQuery ? await answer(image, line) : undefined;
      const text = isQuery || json ? '' : `${symbolizeLine(image, line)}\n`;
      problems.tell();
      if (result !== undefined) await print(result, json, io);
      else if (!json) await io.write(text);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    io.writeError(`vmm sym: ${error.message}\n`);
    return 1;
  }
}

async function print(result: CliAnswer, json: boolean, io: CliIo): Promise<void> {
  if (json) await io.write(`${JSON.stringify(result.json)}\n`);
  else if ('error' in result.json) io.writeError(`vmm sym: ${result.text}\n`);
  else await io.write(`${result.text}\n`);
}

/**
 * What turned out broken or missing in the file, each reported once, before the answer that it may explain.
 */
class Problems {
  readonly #image: SymbolImage;
  readonly #io: CliIo;
  #told = 0;

  constructor(image: SymbolImage, io: CliIo) {
    this.#image = image;
    this.#io = io;
  }

  tell(): void {
    const all = this.#image.problems();
    for (const problem of all.slice(this.#told))
      this.#io.writeError(`vmm sym: ${this.#image.path}: ${problem}\n`);
    this.#told = all.length;
  }
}

/** The usage text when the arguments make no sense. */
function parseArguments(argv: readonly string[]): Arguments | string {
  const rest: string[] = [];
  let json = false;
  let bias = 0n;
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] as string;
    if (argument === '--json') json = true;
    else if (argument === '--bias') {
      const value = argv[++at];
      if (value === undefined || !/^-?(?:0x[0-9a-fA-F]+|\d+)$/.test(value))
        return `--bias needs an address\n${USAGE}`;
      bias = value.startsWith('-') ? -BigInt(value.slice(1)) : BigInt(value);
    } else if (argument.startsWith('--'))
      return argument === '--help' ? USAGE : `unknown option ${argument}\n${USAGE}`;
    else rest.push(argument);
  }
  const [file, ...words] = rest;
  return file === undefined ? USAGE : { file, json, bias, queries: joinCommands(words) };
}

/** `type struct node` may come as one argument or as several. */
function joinCommands(words: readonly string[]): string[] {
  return words.length > 1 && /^(?:type|locals|unwind|expr|macro)$/.test(words[0] as string)
    ? [words.join(' ')]
    : [...words];
}
