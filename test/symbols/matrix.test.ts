/**
 * Generated C and C++ programs and a Rust one, through gcc, clang and rustc at every level of optimization,
 * in DWARF 4 and 5, split and with type units: the same questions as for the kernel, compared with gdb and
 * readelf.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededRandom } from '../support/bytes.ts';
import { Agreement } from './agreement.ts';
import { Groups, compareAnswers } from './compareAnswers.ts';
import { compareFrames } from './compareFrames.ts';
import {
  PROGRAMS,
  assertSameCode,
  missingTool,
  openImage,
  run,
  scratchDirectory,
  twinOptions,
} from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { askQuestions } from './gdbQuestions.ts';
import { generateC, generateCpp } from './generateProgram.ts';
import { ReadelfFrames } from './readelfFrames.ts';
import { type Sampling, codeOfFunctions, codeSections, drawAddresses } from './sampleQuestions.ts';

interface Variant {
  readonly compiler: string;
  readonly options: readonly string[];
  /** File extension: what is compiled. */
  readonly language: 'c' | 'cc' | 'rs';
}

const LEVELS = ['-O0', '-O1', '-O2', '-O3'];
const VERSIONS = ['-gdwarf-4', '-gdwarf-5'];
const COMPILERS: readonly Omit<Variant, 'options'>[] = [
  { compiler: 'gcc', language: 'c' },
  { compiler: 'clang-14', language: 'c' },
  { compiler: 'g++', language: 'cc' },
  { compiler: 'clang++-14', language: 'cc' },
];

const VARIANTS: readonly Variant[] = [
  ...COMPILERS.flatMap((compiler) =>
    VERSIONS.flatMap((version) => [
      ...LEVELS.map((level) => ({ ...compiler, options: [level, version] })),
      { ...compiler, options: ['-O2', version, '-gsplit-dwarf'] },
      { ...compiler, options: ['-O1', version, '-fdebug-types-section'] },
    ]),
  ),
  ...['0', '1', '2'].map((level) => ({
    compiler: 'rustc',
    options: ['-C', `opt-level=${level}`],
    language: 'rs' as const,
  })),
];

const SAMPLING: Sampling = { count: 110, scopeEvery: 2, typesEvery: 2, breakpointEvery: 3 };
/** Rust's types are shown in its own syntax, which gdb's listing does not use: see rust.test.ts. */
const RUST_SAMPLING: Sampling = { ...SAMPLING, typesEvery: Infinity };
/** Of a Rust program only its own code: what its library was built with depends on where rustc is from. */
const RUST_FUNCTIONS = /^_ZN6values/;
const FRAMES = 40;
/** Names given to `break`: with and without namespaces, template arguments and parameters. */
const FUNCTIONS: Readonly<Record<Variant['language'], readonly string[]>> = {
  c: ['main', 'f2', 'f3', 'f5', 'f20'],
  cc: [
    'main',
    'shapes::Shape0::area',
    'Shape1::area',
    'shapes::Shape2::step(long, int)',
    'shapes::Shape2::step(int)',
    'shapes::detail::Box<int, 3>::sum',
  ],
  rs: ['values::main', 'values::total'],
};

const groups = new Groups();
const frames = new Agreement('unwound frames');
const directory = scratchDirectory();

for (const [number, variant] of VARIANTS.entries()) {
  const { compiler, options, language } = variant;
  test(`${compiler} ${options.join(' ')}, .${language}: all questions agree with gdb and readelf`, async (t) => {
    const reason = gdbUnavailable() ?? missingTool(compiler, 'readelf');
    if (reason !== undefined) return t.skip(reason);
    const program = build(variant, number, 'program');
    const twin = twinOptions(options);
    const asked = twin === undefined ? program : build({ ...variant, options: twin }, number, 'twin');
    if (asked !== program) assertSameCode(program, asked);
    const sampling = language === 'rs' ? RUST_SAMPLING : SAMPLING;
    const code = language === 'rs' ? codeOfFunctions(program, RUST_FUNCTIONS) : codeSections(program);
    const addresses = drawAddresses(code, seededRandom(number), sampling);
    const { answers } = await askQuestions(asked, directory, {
      addresses,
      headers: language !== 'rs',
      functions: FUNCTIONS[language],
    });
    const image = openImage(program);
    await compareAnswers(image, answers, groups, {
      hasOtherTypes: language === 'rs',
      isTwin: asked !== program,
    });
    const tables = new ReadelfFrames(run('readelf', ['--debug-dump=frames-interp', program]));
    await compareFrames(image, tables, { random: seededRandom(number), count: FRAMES, from: 0n }, frames);
    assert.deepEqual(image.problems(), []);
  });
}

for (const [group, atLeast] of [
  [groups.addresses, 4000],
  [groups.scopes, 1500],
  [groups.types, 400],
  [groups.breakpoints, 1000],
  [groups.functions, 200],
  [frames, 1000],
] as const) {
  test(`${group.name}: at least ${atLeast}, and what differs is explained`, (t) => {
    if (group.compared === 0) return t.skip(gdbUnavailable() ?? 'no compiler was found');
    t.diagnostic(group.summary);
    group.check(atLeast);
  });
}

function build({ compiler, options, language }: Variant, number: number, name: string): string {
  const program = join(directory, `${name}${number}`);
  // clang leaves .dwo files in the working directory.
  const execute = (args: readonly string[]): void =>
    void execFileSync(compiler, args, { cwd: directory, stdio: 'ignore', timeout: 100_000 });
  if (language === 'rs') {
    execute(['-g', ...options, '-o', program, join(PROGRAMS, 'values.rs')]);
    return program;
  }
  const source = join(directory, `source${number}.${language}`);
  const random = seededRandom(1000 + number);
  writeFileSync(source, language === 'c' ? generateC(random) : generateCpp(random));
  execute(['-w', '-g', ...options, '-o', program, source]);
  return program;
}
