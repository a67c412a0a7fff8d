/**
 * What the fuzz tests of whole programs run: their debug information is broken, and every request of an
 * editor is made.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { QueryError } from '../../debug-adapter/symbols/base/queryError.ts';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { SHT_NOBITS } from '../../vmm-core/elf/elfConstants.ts';
import { parseElf } from '../../vmm-core/elf/elfFile.ts';
import { compile, missingTool, scratchDirectory } from '../symbols/compile.ts';
import type { FuzzTarget, Sections } from './fuzz.ts';
import { openSymbolImage } from '../../debug-adapter/symbols/openSymbolImage.ts';

export interface FuzzProgram {
  readonly compiler: string;
  readonly options: readonly string[];
}

export const FUZZ_PROGRAMS: readonly FuzzProgram[] = [
  { compiler: 'gcc', options: ['-O2', '-g3', '-gdwarf-4'] },
  { compiler: 'gcc', options: ['-O2', '-g3', '-gdwarf-5'] },
  { compiler: 'clang-14', options: ['-O1', '-g', '-gdwarf-5'] },
];

/** Compiles the program; returns a sentence when that compiler is missing. */
export function programTarget({ compiler, options }: FuzzProgram): FuzzTarget | string {
  const missing = missingTool(compiler);
  if (missing !== undefined) return missing;
  const program = compile(compiler, 'values.c', join(scratchDirectory(), 'program'), options);
  return targetOf(Uint8Array.from(readFileSync(program)));
}

/** Its sections are broken in place: the rest of the file stays, and so do their sizes. */
function targetOf(file: Uint8Array): FuzzTarget {
  const sections = parseElf(bytesSource('program', file)).sections.filter(
    ({ name, type, sizeBytes }) =>
      /^\.(?:debug_|eh_frame|symtab|strtab)/.test(name) && type !== SHT_NOBITS && sizeBytes > 0,
  );
  const seed = new Map(
    sections.map(({ name, offset, sizeBytes }) => [name, file.slice(offset, offset + sizeBytes)]),
  );
  const run = async (broken: Sections): Promise<void> => {
    const copy = file.slice();
    for (const { name, offset, sizeBytes } of sections)
      copy.set(broken.get(name)?.subarray(0, sizeBytes) ?? [], offset);
    await ask(openSymbolImage(bytesSource('program', copy)));
  };
  return { name: 'program', seeds: [seed], run, isTyped: () => false };
}

/** What an editor asks at some addresses of each function. */
async function ask(image: SymbolImage): Promise<void> {
  image.files();
  image.addressesOf('values.c', 120);
  image.breakpointLines('values.c', 1, 140);
  image.macro('NULL');
  for (const name of ['struct node', 'struct flags', 'enum colour', 'union number', 'nothing'])
    await allowed(() => image.describeType(name));
  for (const name of ['main', 'insert', 'sum', 'recurse']) {
    const start = image.functionByName(name)[0]?.start;
    for (let offset = 0n; start !== undefined && offset < 150n; offset += 29n)
      await askAt(image, start + offset);
  }
}

async function askAt(image: SymbolImage, address: bigint): Promise<void> {
  image.lineAt(address);
  image.inlineChainAt(address);
  image.statementRange(address);
  image.describeFrame(address);
  image.describeLocals(address);
  const registers = new Map([
    ['rip', address],
    ['rsp', 0x1000n],
    ['rbp', 0x1100n],
    ['rdi', 0x2000n],
    ['rbx', 0x3000n],
  ]);
  const read = async (at: bigint, lengthBytes: number): Promise<Uint8Array | undefined> =>
    at < 0x800_0000n ? new Uint8Array(lengthBytes) : undefined;
  const frame = { registers, memory: { read } };
  await image.unwindFrame(frame);
  for (const { value } of await image.localsAt(frame)) {
    await allowed(() => value.display());
    await allowed(async () => {
      for (const child of await value.children(0, 5)) await child.value.display();
    });
  }
  for (const expression of ['sizeof(struct node)', '*greeting', 'argc', 'list->next', '(struct point *)0x10'])
    await allowed(async () => (await image.evaluate(expression, frame)).display());
}

async function allowed(question: () => unknown): Promise<void> {
  try {
    await question();
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
  }
}
