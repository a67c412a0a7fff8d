/** Parameters that gcc removed from a function: their values are found at the call, as gdb finds them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile, missingTool, openImage, run, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { recordStops, recordedMemory } from './live.ts';

for (const version of [4, 5]) {
  test(`DWARF ${version}: a removed parameter has the value that the call passed`, async (t) => {
    const reason = gdbUnavailable() ?? missingTool('gcc', 'readelf');
    if (reason !== undefined) return t.skip(reason);
    const directory = scratchDirectory();
    const options = ['-no-pie', '-O2', '-g', `-gdwarf-${version}`];
    const program = compile('gcc', 'removed.c', join(directory, 'removed'), options);
    if (!run('readelf', ['--debug-dump=loc', program]).includes('DW_OP_GNU_parameter_ref'))
      return t.skip('this gcc does not remove the parameter');
    const image = openImage(program);
    const [work] = image.functionsMatching(/^work\b/);
    const start = image.symbolByName(work ?? '')?.address ?? assert.fail('no work');
    const end = image.functionAt(start)?.end ?? start;
    const lines = new Set<bigint>();
    for (let address = start; address < end; address++)
      lines.add(image.lineAt(address)?.range.start ?? start);
    const stops = recordStops(
      program,
      directory,
      [...lines].filter((address) => address >= start),
    );
    if (stops.length === 0) return t.skip('gdb cannot run programs here');
    for (const stop of stops) {
      const [frame] = stop.frames;
      assert.ok(frame);
      const registers = new Map(
        Object.entries(frame.registers).map(([name, value]) => [name, BigInt(value)]),
      );
      const locals = await image.localsAt({ registers, memory: recordedMemory(stop) });
      const unused = await locals.find(({ name }) => name === 'unused')?.value.display();
      assert.equal(frame.variables['unused'], '99', `gdb at ${frame.pc}`);
      assert.equal(unused, '99', `at ${frame.pc}`);
    }
    assert.deepEqual(image.problems(), []);
  });
}
