/**
 * Debug information as this machine's tools pack it, compressed by objcopy or split and packaged by dwp: the
 * answers stay the same.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { openFileSource } from '../../vmm-core/client/fileSource.ts';
import { PROGRAMS, compile, missingTool, openImage, run, scratchDirectory } from './compile.ts';
import { openSymbolImage } from '../../debug-adapter/symbols/openSymbolImage.ts';

const directory = scratchDirectory();

test('a .dwo file that becomes unreadable at any time counts as missing', (t) => {
  const reason = missingTool('gcc');
  if (reason !== undefined) return t.skip(reason);
  const program = compile('gcc', 'values.c', join(directory, 'split'), ['-O1', '-g', '-gsplit-dwarf']);
  let withProblems = 0;
  for (let reads = 0; reads < 24; reads++) {
    let left = reads;
    const image = openSymbolImage(openFileSource(program), {
      openDwo: (path) => {
        if (!existsSync(path)) return undefined;
        const source = openFileSource(path);
        const readInto = (offset: number, target: Uint8Array): void => {
          if (left-- <= 0) throw new RangeError('rebuilt');
          source.readInto(offset, target);
        };
        return { name: path, sizeBytes: source.sizeBytes, readInto };
      },
    });
    const main = mainOf(image);
    assert.equal(image.lineAt(main)?.file.endsWith('values.c'), true);
    image.describeLocals(main + 8n);
    image.inlineChainAt(main + 8n);
    if (image.problems().some((problem) => problem.includes('can no longer be read'))) withProblems++;
  }
  assert.ok(withProblems >= 8, `${withProblems} noticed`);
});

for (const method of ['zlib', 'zlib-gnu', 'zstd']) {
  test(`sections compressed with ${method} give the same answers`, (t) => {
    const reason = missingTool('gcc', 'objcopy') ?? methodUnknown(method);
    if (reason !== undefined) return t.skip(reason);
    const plain = compile('gcc', 'values.c', join(directory, `plain-${method}`), ['-O2', '-g']);
    const packed = join(directory, `packed-${method}`);
    copyFileSync(plain, packed);
    run('objcopy', [`--compress-debug-sections=${method}`, packed]);
    const headers = run('readelf', ['-SW', packed]);
    assert.match(
      headers,
      method === 'zlib-gnu' ? /\.zdebug_info/ : /\.debug_info .* C /,
      'really compressed',
    );
    assert.deepEqual(answersOf(openImage(packed)), answersOf(openImage(plain)));
  });
}

/**
 * Which tool packages what: the dwp of binutils 2.40 knows version 4 only and crashes on 5; llvm-dwp 14 never
 * ends on gcc's version 5 (it takes .debug_line.dwo for an endless table).
 */
const PACKAGERS = [
  { tool: 'dwp', compilers: ['gcc', 'clang-14'], versions: [4] },
  { tool: 'llvm-dwp-14', compilers: ['gcc'], versions: [4] },
  { tool: 'llvm-dwp-14', compilers: ['clang-14'], versions: [4, 5] },
];

for (const { tool, compilers, versions } of PACKAGERS) {
  for (const compiler of compilers) {
    for (const version of versions) {
      for (const types of [[], ['-fdebug-types-section']]) {
        const options = ['-O2', '-g', `-gdwarf-${version}`, '-gsplit-dwarf', ...types];
        test(`${compiler} ${options.join(' ')}: a package made by ${tool} answers as the .dwo files did`, async (t) => {
          const reason = missingTool(compiler, tool);
          if (reason !== undefined) return t.skip(reason);
          const folder = join(directory, `${tool}-${compiler}-${version}-${types.length}`);
          mkdirSync(folder);
          // Two units, so that pieces do not begin at 0.
          const sources = [...options, join(PROGRAMS, 'package.c')];
          const program = compile(compiler, 'values.c', join(folder, 'program'), sources);
          execFileSync(tool, ['-e', program, '-o', `${program}.dwp`], { cwd: folder, timeout: 20_000 });
          assert.match(run('readelf', ['-SW', `${program}.dwp`]), /\.debug_cu_index/);
          const files = answersOf(openImage(program));
          const known = await typesOf(openImage(program));
          for (const file of readdirSync(folder)) if (file.endsWith('.dwo')) rmSync(join(folder, file));
          assert.deepEqual(answersOf(openImage(program)), files);
          assert.deepEqual(await typesOf(openImage(program)), known);
        });
      }
    }
  }
}

test('types in units of their own are found by name in DWARF 4 too', async (t) => {
  const reason = missingTool('gcc');
  if (reason !== undefined) return t.skip(reason);
  const options = ['-g', '-gdwarf-4', '-fdebug-types-section', join(PROGRAMS, 'package.c')];
  await typesOf(openImage(compile('gcc', 'values.c', join(directory, 'types4'), options)));
});

test('an object with a section for each of its types describes them as the linked program does', async (t) => {
  const reason = missingTool('gcc');
  if (reason !== undefined) return t.skip(reason);
  const options = ['-g', '-gdwarf-5', '-fdebug-types-section'];
  const object = openImage(compile('gcc', 'values.c', join(directory, 'types.o'), [...options, '-c']));
  const program = openImage(compile('gcc', 'values.c', join(directory, 'types'), options));
  for (const name of ['struct node', 'struct point', 'struct flags', 'enum colour']) {
    const described = await object.describeType(name);
    assert.match(described ?? '', new RegExp(`^${name} \\{`));
    assert.equal(described, await program.describeType(name));
  }
  assert.deepEqual(object.problems(), []);
});

test('a program whose .dwo files moved along with it still has its variables', (t) => {
  const reason = missingTool('gcc');
  if (reason !== undefined) return t.skip(reason);
  const [built, moved] = [join(directory, 'built'), join(directory, 'moved')];
  mkdirSync(built);
  mkdirSync(moved);
  const program = compile('gcc', 'values.c', join(built, 'program'), ['-O1', '-g', '-gsplit-dwarf']);
  for (const file of readdirSync(built)) copyFileSync(join(built, file), join(moved, file));
  const before = openImage(program).describeLocals(mainOf(openImage(program)));
  rmSync(built, { recursive: true });
  const image = openImage(join(moved, 'program'));
  assert.deepEqual(image.describeLocals(mainOf(image)), before);
  assert.ok(before.length > 0);
});

/**
 * Lines, inline chains and variables with their types' names, of every address of a function of each unit.
 */
function answersOf(image: SymbolImage): unknown[] {
  const answers: unknown[] = [];
  let variables = 0;
  for (const name of ['main', 'weigh']) {
    const start = image.symbolByName(name)?.address ?? 0n;
    const end = image.functionAt(start)?.end ?? start;
    for (let address = start; address < end; address++) {
      const locals = image.describeLocals(address);
      variables += locals.length;
      answers.push(image.lineAt(address), image.inlineChainAt(address), locals);
    }
  }
  assert.ok(variables > 100, `${variables} variables`);
  assert.match(
    JSON.stringify(answers, (_, it: unknown) => (typeof it === 'bigint' ? String(it) : it)),
    /"struct node \*"/,
  );
  assert.deepEqual(image.problems(), []);
  return answers;
}

/** Types of both units by name: no index of the program has them. */
async function typesOf(image: SymbolImage): Promise<(string | undefined)[]> {
  const types = [await image.describeType('struct node'), await image.describeType('struct parcel')];
  assert.match(types[0] ?? '', /^struct node \{/);
  assert.match(types[1] ?? '', /^struct parcel \{/);
  assert.deepEqual(image.problems(), []);
  return types;
}

function mainOf(image: SymbolImage): bigint {
  return image.symbolByName('main')?.address ?? assert.fail('no main');
}

/** binutils may have been built without zstd. */
function methodUnknown(method: string): string | undefined {
  return run('objcopy', ['--help']).includes(method) ? undefined : `this objcopy does not know ${method}`;
}
