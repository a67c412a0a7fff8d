/** What gcc removed from a program but left recoverable: values as gdb finds them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { compile, missingTool, openImage, run, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { recordStops } from './live.ts';
import { frameOf } from './stopFrame.ts';

const directory = scratchDirectory();

for (const version of [4, 5]) {
  test(`DWARF ${version}: a removed parameter has the value that the call passed`, async (t) => {
    const built = build('removed.c', version, 'DW_OP_GNU_parameter_ref');
    if (typeof built === 'string') return t.skip(built);
    const { image, program } = built;
    const [work] = image.functionsMatching(/^work\b/);
    const stops = recordStops(program, directory, lineStarts(image, work ?? ''));
    if (stops.length === 0) return t.skip('gdb cannot run programs here');
    for (const stop of stops) {
      const locals = await image.localsAt(frameOf(stop));
      const unused = await locals.find(({ name }) => name === 'unused')?.value.display();
      assert.equal(stop.frames[0]?.variables['unused'], '99', `gdb at ${stop.frames[0]?.pc}`);
      assert.equal(unused, '99', `at ${stop.frames[0]?.pc}`);
    }
    assert.deepEqual(image.problems(), []);
  });

  test(`DWARF ${version}: a removed pointer still leads to what it pointed at (§2.6.1.1.4)`, async (t) => {
    const built = build('synthetic.c', version, /DW_OP_(?:GNU_)?implicit_pointer/);
    if (typeof built === 'string') return t.skip(built);
    const { image, program } = built;
    const expressions = ['place->first', 'place->second', '*other'];
    const stops = recordStops(program, directory, lineStarts(image, 'work'), expressions);
    if (stops.length === 0) return t.skip('gdb cannot run programs here');
    let compared = 0;
    for (const stop of stops) {
      const frame = frameOf(stop);
      const place = (await image.localsAt(frame)).find(({ name }) => name === 'place');
      if ((await place?.value.display()) !== '<synthetic pointer>') continue;
      for (const expression of expressions) {
        const theirs = stop.expressions[expression] ?? '';
        if (!/^-?\d+$/.test(theirs)) continue; // gdb does not know what it points at there
        assert.equal(await (await image.evaluate(expression, frame)).display(), theirs, expression);
        compared++;
      }
      const children = (await place?.value.children()) ?? [];
      assert.deepEqual(
        children.map(({ expression }) => expression),
        ['place->first', 'place->second'],
      );
    }
    assert.ok(compared >= 4, `${compared} compared`);
    assert.deepEqual(image.problems(), []);
  });
}

/** A sentence when it cannot be built here or this gcc does not use the operator. */
function build(
  source: string,
  version: number,
  operator: string | RegExp,
): { program: string; image: SymbolImage } | string {
  const reason = gdbUnavailable() ?? missingTool('gcc', 'readelf');
  if (reason !== undefined) return reason;
  const options = ['-no-pie', '-O2', '-g', `-gdwarf-${version}`];
  const program = compile('gcc', source, join(directory, `${source}-${version}`), options);
  if (run('readelf', ['--debug-dump=loc', program]).search(operator) < 0)
    return `this gcc does not use ${operator}`;
  return { program, image: openImage(program) };
}

/** Where the lines of a function begin. */
function lineStarts(image: SymbolImage, name: string): bigint[] {
  const start = image.symbolByName(name)?.address ?? assert.fail(`no ${name}`);
  const end = image.functionAt(start)?.end ?? start;
  const starts = new Set<bigint>();
  for (let address = start; address < end; address++) starts.add(image.lineAt(address)?.range.start ?? start);
  return [...starts].filter((address) => address >= start);
}
