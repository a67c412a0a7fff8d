/**
 * Programs in languages that count from 1 and whose records have variants, compared with gdb. Expressions
 * have the syntax of C.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile, missingTool, openImage, PROGRAMS, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { recordStops } from './live.ts';
import { answer, frameOf, roundTrip } from './stopFrame.ts';

const directory = scratchDirectory();

/** Of programs/ada/packs.ads. */
const PACKED = {
  packs__p: '{true, false, false, true, false, false, false, false, false, true}',
  packs__c: '{packs__red, packs__green, packs__blue, packs__blue, packs__green, packs__red, packs__blue}',
  packs__s: '{-8, 7, -1, 0, 1, 2, -3}',
  packs__o: '{1, 4095, 2048, 5, 5, 5, 5, 77}',
  packs__g: '{{1, -2, 3, 4}, {-4, 5, -6, 7}}',
  packs__f: '{c = packs__blue, n = 4095, s = -8}',
  packs__r:
    '{a = {false, true, false, false, false, false, false, false, false, false}, b = {-5, -5, -5, -5, -5, -5, -5}}',
  'packs__p[3]': 'true',
  'packs__s[-1]': '-8',
  'packs__o[1] + 1': '4096',
  'packs__g[2][3]': '-6',
  'packs__f.n - 4096': '-1',
  'packs__f.c == 2': '1',
  'sizeof(packs__o)': '12',
};

test('Ada: arrays begin where they say, records have the members of their variant', async (t) => {
  const reason = gdbUnavailable() ?? missingTool('gnatmake');
  if (reason !== undefined) return t.skip(reason);
  const program = join(directory, 'top');
  const source = join(PROGRAMS, 'ada', 'top.adb');
  execFileSync('gnatmake', ['-q', '-g', '-O0', '-o', program, source, '-largs', '-no-pie'], {
    cwd: directory,
  });
  const image = openImage(program);
  const [kmain] = image.functionByName('kmain');
  assert.ok(kmain !== undefined);
  const asked = ['shapes.ng(-3)', 'shapes.m(1, 5)', 'shapes.s2.small', 'shapes.g(line)'];
  const [stop] = recordStops(program, directory, [kmain.address], asked, 1 << 16);
  if (stop === undefined) return t.skip('gdb cannot run programs here');
  const frame = frameOf(stop);
  const ask = (expression: string): Promise<string> => answer(image, expression, frame);
  assert.equal(await ask('shapes__g'), '{10, 20, 30, 40}');
  assert.equal(await ask('shapes__g[1]'), stop.expressions['shapes.g(line)']);
  assert.equal(await ask('shapes__ng[-3]'), stop.expressions['shapes.ng(-3)']);
  assert.equal(await ask('shapes__ng[3]'), '7');
  assert.equal(await ask('shapes__m[1][5]'), stop.expressions['shapes.m(1, 5)']);
  assert.equal(await ask('shapes__m[2][7]'), '6');
  assert.equal(await ask('sizeof(shapes__m)'), '24');
  assert.equal(await ask('shapes__s1'), '{k = shapes__line, n = 4, id = 1, a = 11, b = 12}');
  assert.equal(await ask('shapes__s2'), '{k = shapes__circle, n = 9, id = 2, r = 21, small = 22}');
  assert.equal(await ask('shapes__s3'), '{k = shapes__box, n = 6, id = 3, r = 31, big = 32}');
  assert.equal(await ask('shapes__s4'), '{k = shapes__point, n = 6, id = 4}');
  assert.match(await ask('shapes__f1'), /^\{d = (?:1|true|TRUE), x = 8\}$/i);
  assert.match(await ask('shapes__f2'), /^\{d = (?:0|false), y = 1.5\}$/i);
  assert.equal(await ask('shapes__s2.small'), stop.expressions['shapes.s2.small']);
  assert.match(await ask('shapes__s2.big'), /has no member named big/);
  const names = [
    'shapes__g',
    'shapes__ng',
    'shapes__m',
    'shapes__s1',
    'shapes__s2',
    'shapes__s3',
    'shapes__f2',
  ];
  const rows = await Promise.all(
    names.map(async (name) => ({ name, expression: name, value: await image.evaluate(name, frame) })),
  );
  assert.deepEqual(
    (await rows[1]?.value.children())?.map(({ name }) => name),
    ['[-3]', '[-2]', '[-1]', '[0]', '[1]', '[2]', '[3]'],
  );
  const wrong: string[] = [];
  assert.ok((await roundTrip(rows, { image, frame, depth: 3, children: 10, wrong })) > 30);
  assert.deepEqual(wrong, []);
  assert.match(
    (await image.describeType('shapes__shape')) ?? '',
    /integer small; \/\* when n = 1 \.\. 5, 9 \*\/\n.* long_integer big; \/\* otherwise \*\//,
  );
  assert.deepEqual(image.problems(), []);
});

test('Ada: elements of packed arrays and fields of a few bits are what the program put there', async (t) => {
  const reason = gdbUnavailable() ?? missingTool('gnatmake');
  if (reason !== undefined) return t.skip(reason);
  const program = join(directory, 'packing');
  writeFileSync(
    join(directory, 'packing.adb'),
    'with Packs; procedure Packing is begin Packs.Run; end Packing;',
  );
  const sources = ['-q', '-g', '-O0', `-I${join(PROGRAMS, 'ada')}`, 'packing.adb'];
  execFileSync('gnatmake', [...sources, '-o', program, '-largs', '-no-pie'], { cwd: directory });
  const image = openImage(program);
  const [run] = image.functionByName('packs__run');
  assert.ok(run !== undefined);
  const [stop] = recordStops(program, directory, [run.address], [], 1 << 16);
  if (stop === undefined) return t.skip('gdb cannot run programs here');
  const frame = frameOf(stop);
  for (const [expression, value] of Object.entries(PACKED))
    assert.equal(await answer(image, expression, frame), value, expression);
  // Elements beside the one that is set stay unchanged: 2048 and 5 share a byte.
  const assignment = await (await image.compile('packs__o[3] = 4094', frame)).assignment(frame);
  assert.deepEqual(assignment.kind === 'memory' && [...assignment.bytes], [0xe8, 0xff]);
  assert.deepEqual(image.problems(), []);
});

test('Fortran: arrays begin at 1 or where they say, the first index runs fastest', async (t) => {
  const reason = gdbUnavailable() ?? missingTool('gfortran');
  if (reason !== undefined) return t.skip(reason);
  const program = compile('gfortran', 'arrays.f90', join(directory, 'arrays'), ['-g', '-O0', '-no-pie']);
  const image = openImage(program);
  const line = image.addressesOf('arrays.f90', 17)[0]?.address;
  assert.ok(line !== undefined);
  const [stop] = recordStops(
    program,
    directory,
    [line],
    ['five(1)', 'grid(2,3)', 'around(-1)', 'local(4)'],
    1 << 16,
  );
  if (stop === undefined) return t.skip('gdb cannot run programs here');
  const frame = frameOf(stop);
  const ask = (expression: string): Promise<string> => answer(image, expression, frame);
  assert.equal(await ask('five[1]'), stop.expressions['five(1)']);
  // The last index is the outermost in memory, and C writes that first.
  assert.equal(await ask('grid[3][2]'), stop.expressions['grid(2,3)']);
  assert.equal(await ask('around[-1]'), stop.expressions['around(-1)']);
  assert.equal(await ask('local[4]'), stop.expressions['local(4)']);
  assert.equal(await ask('local'), '{4, 4, 4, 4, 4}');
  assert.equal(await ask('sizeof(five)'), '20');
  assert.equal(await ask('grid'), '{{11, 21}, {12, 22}, {13, 23}}');
  assert.equal(await ask('*around'), '1.5');
  assert.equal(await ask('greeting'), '"hello"');
  assert.deepEqual(image.problems(), []);
});
