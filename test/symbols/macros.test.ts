/** Macros of programs compiled here, at the lines of programs/macros.c, as gdb's `info macro` lists them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { compile, missingTool, openImage, run, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { gdbMacros, ownMacros, plain } from './gdbMacros.ts';
import type { FrameContext } from '../../debug-adapter/symbols/frames/frameContext.ts';

const directory = scratchDirectory();
const FORMS = [
  { compiler: 'gcc', options: ['-g3', '-gdwarf-5'], section: '.debug_macro' },
  { compiler: 'gcc', options: ['-g3', '-gdwarf-4'], section: '.debug_macro' }, // the GNU form
  { compiler: 'gcc', options: ['-g3', '-gdwarf-4', '-gstrict-dwarf'], section: '.debug_macinfo' },
  { compiler: 'gcc', options: ['-g3', '-gdwarf-5', '-gsplit-dwarf'], section: undefined },
  { compiler: 'clang-14', options: ['-g', '-fdebug-macro', '-gdwarf-5'], section: '.debug_macro' },
  { compiler: 'clang-14', options: ['-g', '-fdebug-macro', '-gdwarf-4'], section: '.debug_macinfo' },
];

for (const [index, { compiler, options, section }] of FORMS.entries()) {
  const build = (): string =>
    compile(compiler, 'macros.c', join(directory, `macros${index}`), [...options, '-O1', '-DFROM_COMMAND=7']);

  test(`${compiler} ${options.join(' ')}: a macro is what it is at the line`, async (t) => {
    const reason = missingTool(compiler, 'readelf');
    if (reason !== undefined) return t.skip(reason);
    const program = build();
    if (section !== undefined) assert.ok(run('readelf', ['-SW', program]).includes(`${section} `));
    const image = openImage(program);
    const at = (name: string, place: string): unknown => {
      const macro = image.macro(name, start(image, place));
      return (
        macro &&
        `${macro.parameters ?? ''} ${macro.body} ${macro.file?.split('/').at(-1) ?? '-'}:${macro.line ?? 0}`
      );
    };
    assert.equal(at('LIMIT', 'before'), ' 10 macros.c:3');
    assert.equal(at('LIMIT', 'after'), ' 20 macros.c:15');
    assert.equal(at('LIMIT', 'main'), undefined, 'undefined by then');
    assert.equal(at('total_twice', 'before'), undefined, 'not defined yet');
    assert.equal(at('SQUARE', 'before'), '(x) ((x) * (x)) macros.c:4');
    assert.equal(at('LIMI', 'before'), undefined);
    // gcc leaves imports of .dwo files unresolved: what headers and the command line define is missing.
    const hasImports = !options.includes('-gsplit-dwarf');
    assert.equal(at('FROM_COMMAND', 'main'), hasImports ? ' 7 -:0' : undefined);
    assert.equal(at('IN_HEADER', 'main'), hasImports ? ' "header" macros.h:2' : undefined);
    assert.equal(image.macro('ADD')?.parameters, hasImports ? '(a,b)' : undefined, 'without a place');
    if (hasImports) assert.equal(await evaluated(image, 'before', 'MASK'), '266', 'macros in macros');
    assert.equal(await evaluated(image, 'before', 'LIMIT + 1'), '11');
    assert.equal(await evaluated(image, 'after', 'total_twice'), '2468', 'macros of variables');
    assert.equal(await evaluated(image, 'after', 'SELF'), '3', 'a macro that names itself is that name');
    await assert.rejects(evaluated(image, 'before', 'SQUARE'), /SQUARE/);
    assert.deepEqual(image.problems(), []);
  });

  test(`${compiler} ${options.join(' ')}: gdb knows the same macros at the same lines`, (t) => {
    const reason = missingTool(compiler) ?? gdbUnavailable();
    if (reason !== undefined) return t.skip(reason);
    const program = build();
    const image = openImage(program);
    for (const place of ['before', 'after', 'main']) {
      const all = gdbMacros(run('gdb', ['-nx', '-batch', '-ex', `info macros ${place}`, program]));
      const theirs = options.includes('-gsplit-dwarf') ? ownMacros(all) : all;
      if (theirs === undefined) return t.skip('this gdb finds no macros of .dwo files');
      // clang's program has no macros of the compiler's own in version 5, and gcc's are imported.
      const isWhole = compiler === 'gcc' && theirs === all;
      assert.ok(theirs.size > (isWhole ? 100 : 3), `${theirs.size} macros`);
      const address = image.functionByName(place)[0]?.address;
      const ours = new Map<string, string>();
      for (const name of [...theirs.keys(), 'LIMIT', 'total_twice']) {
        const macro = image.macro(name, address);
        if (macro !== undefined) ours.set(name, plain(`${macro.parameters ?? ''} ${macro.body}`));
      }
      const names = new Set([...ours.keys(), ...theirs.keys()]);
      const different = [...names].filter((name) => ours.get(name) !== theirs.get(name));
      assert.deepEqual(
        different.map((name) => `${name}: ${ours.get(name)}, gdb ${theirs.get(name)}`),
        [],
        place,
      );
    }
  });
}

function start(image: SymbolImage, name: string): bigint {
  return image.functionByName(name)[0]?.start ?? assert.fail(`no ${name}`);
}

async function evaluated(image: SymbolImage, place: string, expression: string): Promise<string> {
  const total = image.symbolByName('total')?.address;
  const frame: FrameContext = {
    registers: new Map([['rip', start(image, place)]]),
    memory: {
      read: async (address, lengthBytes) =>
        Uint8Array.from(
          { length: lengthBytes },
          (_, at) => (address === total ? [0xd2, 4, 0, 0][at] : [3][at]) ?? 0,
        ),
    },
  };
  return (await image.evaluate(expression, frame)).display();
}
