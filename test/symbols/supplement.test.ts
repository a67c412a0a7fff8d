/**
 * What dwz moves to a supplementary file (DWARF 5 §7.3.6) is found there as gdb finds it, by name and by id;
 * another build's is refused.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { seededRandom } from '../support/bytes.ts';
import { Groups, compareAnswers } from './compareAnswers.ts';
import { missingTool, openImage, run, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { askQuestions } from './gdbQuestions.ts';
import { answer } from './stopFrame.ts';
import { generateC, generateCpp } from './generateProgram.ts';
import { codeSections, drawAddresses } from './sampleQuestions.ts';

const directory = scratchDirectory();

interface Packed {
  readonly folder: string;
  readonly program: string;
  /** As the compiler left it. */
  readonly plain: string;
  readonly supplement: string;
}

/** Two programs of one header: dwz shares what both have. */
function pack(
  name: string,
  language: 'c' | 'cc',
  options: readonly string[],
  dwz: readonly string[],
  common = language === 'c' ? generateC(seededRandom(5)) : generateCpp(seededRandom(5)),
): Packed {
  const folder = join(directory, name);
  mkdirSync(folder);
  const header = join(folder, 'common.h');
  writeFileSync(header, common);
  const programs = ['first', 'second'].map((own) => {
    const source = join(folder, `${own}.${language}`);
    writeFileSync(source, `#include "common.h"\nint of_${own} = 1;\n`);
    const program = join(folder, own);
    const compiler = language === 'c' ? 'gcc' : 'g++';
    execFileSync(compiler, ['-w', ...options, '-Wl,--build-id', '-o', program, source], { timeout: 100_000 });
    return program;
  });
  const [program = '', other = ''] = programs;
  const plain = join(folder, 'plain');
  copyFileSync(program, plain);
  const supplement = join(folder, 'supplement');
  execFileSync('dwz', [...dwz, '-m', supplement, program, other], { cwd: folder, timeout: 100_000 });
  return { folder, program, plain, supplement };
}

const VARIANTS = [
  { language: 'c', options: ['-O2', '-g', '-gdwarf-4'], dwz: [], section: '.gnu_debugaltlink' },
  { language: 'c', options: ['-O1', '-g', '-gdwarf-5'], dwz: [], section: '.gnu_debugaltlink' },
  { language: 'c', options: ['-O2', '-g', '-gdwarf-5'], dwz: ['--dwarf-5'], section: '.debug_sup' },
  { language: 'cc', options: ['-O1', '-g', '-gdwarf-4'], dwz: [], section: '.gnu_debugaltlink' },
  { language: 'cc', options: ['-O2', '-g', '-gdwarf-5'], dwz: ['--dwarf-5'], section: '.debug_sup' },
] as const;

for (const [number, { language, options, dwz, section }] of VARIANTS.entries()) {
  const title = `.${language}, ${options.join(' ')}, dwz ${[...dwz, '-m'].join(' ')}`;
  test(`${title}: all questions are answered as gdb answers them`, async (t) => {
    const reason = gdbUnavailable() ?? missingTool('dwz', language === 'c' ? 'gcc' : 'g++', 'readelf');
    if (reason !== undefined) return t.skip(reason);
    const { program, plain } = pack(`gdb${number}`, language, options, dwz);
    assert.ok(run('readelf', ['-SW', program]).includes(` ${section} `), 'really packed');
    // Where gdb does not know .debug_sup, it is asked of the program before dwz, whose entries have other
    // offsets: their texts differ.
    const isKnown = gdbReads(program);
    const addresses = drawAddresses(codeSections(program), seededRandom(number), {
      count: 120,
      scopeEvery: isKnown ? 2 : Infinity,
      typesEvery: 2,
      breakpointEvery: 3,
    });
    const functions = language === 'c' ? ['main', 'f2', 'f3', 'f5'] : ['main', 'shapes::Shape0::area'];
    const { answers } = await askQuestions(isKnown ? program : plain, directory, {
      addresses,
      headers: true,
      functions,
    });
    const image = openImage(program);
    const groups = new Groups();
    await compareAnswers(image, answers, groups);
    for (const group of groups.all) group.check(group === groups.scopes && !isKnown ? 0 : 2);
    assert.deepEqual(image.problems(), []);
  });
}

function gdbReads(program: string): boolean {
  try {
    return /^Line \d+ of /m.test(run('gdb', ['-nx', '-batch', '-ex', 'info line main', program]));
  } catch {
    return false; // gdb ends with its last command's failure
  }
}

/** Declarations that both programs have, and definitions that stay. */
const COMMON = `namespace ns { extern int count; int twice(int); struct Part { static int made; int v; }; inline namespace v1 { extern short level; } }
struct Base { static int made; unsigned narrow : 3; };
int ns::count = 5; int ns::twice(int x) { return 2 * x; } int ns::Part::made = 6; short ns::v1::level = 7; int Base::made = 8;
ns::Part part; Base base;
int main() { return ns::twice(ns::count) + ns::Part::made + ns::level + base.narrow + Base::made + part.v; }
`;
const DEFINED = ['ns::count', 'ns::twice', 'ns::Part::made', 'ns::v1::level', 'Base::made'];

for (const version of ['-gdwarf-4', '-gdwarf-5']) {
  test(`g++ ${version}: definitions keep the namespaces and classes of declarations that were moved away`, async (t) => {
    const reason = missingTool('dwz', 'g++');
    if (reason !== undefined) return t.skip(reason);
    const { program, plain } = pack(`scopes${version}`, 'cc', ['-O0', '-g', version], [], COMMON);
    const [packed, before] = [openImage(program), openImage(plain)];
    for (const name of DEFINED) {
      const ours = await addressOf(packed, name);
      assert.equal(ours, await addressOf(before, name));
      assert.match(ours, /^0x[0-9a-f]+/, name);
    }
    assert.deepEqual(packed.problems(), []);
  });
}

async function addressOf(image: SymbolImage, name: string): Promise<string> {
  const frame = { registers: new Map([['rip', 0n]]), memory: { read: async () => undefined } };
  return answer(image, `&${name}`, frame);
}

test('macros, names and types are those of the program before dwz', async (t) => {
  const reason = missingTool('dwz', 'gcc');
  if (reason !== undefined) return t.skip(reason);
  for (const version of ['-gdwarf-4', '-gdwarf-5']) {
    const { program, plain } = pack(`macros${version}`, 'c', ['-O1', '-g3', version], []);
    const [packed, unpacked] = [openImage(program), openImage(plain)];
    for (const macro of ['__INT_MAX__', '__STDC_VERSION__', '__BYTE_ORDER__']) {
      assert.equal(packed.macro(macro)?.body, unpacked.macro(macro)?.body, macro);
      assert.notEqual(packed.macro(macro), undefined, macro);
    }
    for (const type of ['unsigned int', 'struct inner', 'long']) {
      assert.equal(await packed.describeType(type), await unpacked.describeType(type), type);
    }
  }
});

test('an index of gdb lists what units import', async (t) => {
  const reason = missingTool('dwz', 'gcc', 'gdb');
  if (reason !== undefined) return t.skip(reason);
  const { program, plain, folder } = pack('indexed', 'c', ['-O1', '-g'], []);
  const all = openImage(plain).functionsMatching(/^f\d+$/);
  execFileSync('gdb-add-index', [program], { cwd: folder, stdio: 'ignore', timeout: 60_000 });
  const image = openImage(program);
  for (const name of all) assert.notEqual(image.functionByName(name).length, 0, name);
  assert.match((await image.describeType('unsigned int')) ?? '', /unsigned int/);
});

test('a supplementary file is found by a relative name, through a link, and reported when missing or from another build', async (t) => {
  const reason = missingTool('dwz', 'gcc', 'readelf');
  if (reason !== undefined) return t.skip(reason);
  const { program, supplement, folder } = pack('moved', 'c', ['-O1', '-g'], ['-M', 'below/common']);
  mkdirSync(join(folder, 'below'));
  const type = async (path: string): Promise<[string | undefined, readonly string[]]> => {
    const image = openImage(path);
    const text = await image.describeType('unsigned int');
    assert.notEqual(image.functionByName('main').length, 0, 'what the program has itself is there');
    return [text, image.problems()];
  };

  const [, missing] = await type(program);
  assert.deepEqual(missing, [
    'below/common is missing; types, names and inlined functions in it are unknown',
  ]);

  renameSync(supplement, join(folder, 'below/common'));
  const [found, none] = await type(program);
  assert.match(found ?? '', /unsigned int/);
  assert.deepEqual(none, []);
  const elsewhere = join(directory, 'link');
  symlinkSync(program, elsewhere);
  assert.deepEqual(await type(elsewhere), [found, []]);

  const other = pack('other', 'c', ['-O2', '-g'], []);
  copyFileSync(other.supplement, join(folder, 'below/common'));
  const ids = [other.supplement, program].map(
    (path) => /(?:Build ID|ID du build): ([0-9a-f]+)/.exec(run('readelf', ['-nW', path]))?.[1],
  );
  const [, refused] = await type(program);
  assert.equal(refused.length, 1);
  const [problem = ''] = refused;
  assert.ok(
    problem.includes(`below/common is from another build: its id is ${ids[0] ?? '?'}, wanted `),
    problem,
  );
  rmSync(elsewhere);
});
