/**
 * Rust values of a running program, with the oldest and the newest available compiler: what they print is
 * what their programmer wrote, whatever the release's layouts. What we deliberately write differently from
 * gdb 13:
 * - types go by their last name, `Some(9)` for `core::option::Option<u8>::Some(9)`, as derived Debug prints
 *   them;
 * - String, Vec, VecDeque, Rc, Arc and Box are what they hold, not how;
 * - strings in boxes are text, characters are themselves where gdb escapes them.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { PROGRAMS, missingTool, openImage, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { type LiveStop, recordStops } from './live.ts';
import { answer, frameOf, roundTrip } from './stopFrame.ts';
import type { FrameContext } from '../../debug-adapter/symbols/frames/frameContext.ts';

const directory = scratchDirectory();

/** What gdb answers in the same words, except for the paths before names. */
const SAME_AS_GDB = [
  ...[
    'color',
    'meters',
    'meters.0',
    'nothing',
    'dog',
    'dog.age',
    'some',
    'none',
    'grid',
    'grid[1][0]',
    'tuple',
  ],
  ...[
    'tuple.0',
    'tuple.1',
    'unit',
    'big',
    'negative',
    'yes',
    'slice[1]',
    'counter',
    'reference',
    '*reference',
  ],
  ...[
    'function',
    'both.whole',
    'nested',
    'raw',
    '*raw',
    'order',
    'range',
    'range.start',
    'no_text',
    'result',
    'seed',
  ],
  ...[
    'seed as u64 + 1',
    'color as u8',
    '0x1f_u8',
    '1_000',
    '10u8 as i64 * 3',
    '!0u8',
    '-counter',
    'seed > 3 && !yes',
  ],
  ...[
    '&dog',
    '(&dog).age',
    '&mut counter',
    "'a'",
    "b'a'",
    'seed << 3 | 1',
    'sizeof(Dog)',
    'sizeof(u64)',
    'seed % 3',
  ],
  ...[
    '1.5f32 * 2.0',
    '2.5 as i32',
    'raw as usize == &color as usize',
    '*(raw as *const u8)',
    '*boxed',
    'cell',
  ],
];

/** What gdb writes differently or cannot evaluate. */
const OURS: Readonly<Record<string, string>> = {
  shared: 'Rc(5)',
  '*shared': '5',
  text: 'Arc("shared")',
  guarded: 'RefCell {borrow: Cell {value: UnsafeCell {value: 0}}, value: UnsafeCell {value: [1]}}',
  ring: '[1, 2, 3]',
  'ring[1]': '2',
  boxed: 'Box(9)',
  owned: 'Some(Box(3))',
  failed: 'Err("bad")',
  'failed.0': '"bad"',
  'tuple.2.1': '2.5',
  letter: "233 'é'",
  slice: '[[1, 2], [3, 4]]',
  boxed_slice: '[1, 2]',
  boxed_text: '"boxed"',
  'boxed_text == "boxed"': 'true',
  'words[1] != "b"': 'false',
  empty: '[]',
  words: '["a", "b"]',
  'words[1]': '"b"',
  'long[999]': '999',
  'shapes::deep::Color::Green': 'Green',
  'color == Color::Green': 'true',
  '"abc"': '"abc"',
};

for (const compiler of compilers()) {
  test(`${compiler}: values and expressions are what their programmer wrote`, async (t) => {
    const { image, stops } = recordedProgram(t, compiler, ['total', 'main'], []);
    const [inTotal, inMain] = stops.map(frameOf);
    if (image === undefined || inTotal === undefined || inMain === undefined) return;
    const total = await shown(image, inTotal);
    assert.equal(total.get('sum'), 'u64 = 6');
    assert.equal(total.get('pair'), '(u64, usize) = (6, 5)');
    assert.equal(total.get('text'), '&str = "hello"');
    assert.equal(total.get('numbers'), '&[u16] = [1, 2, 3]');

    const main = await shown(image, inMain);
    assert.equal(main.get('shapes'), '[values::Shape; 3] = [Circle(1.5), Rect {w: 2, h: 3}, Unit]');
    assert.equal(
      main.get('holder'),
      'values::Holder<u32> = Holder {items: [1, 2, 3], name: "abc", maybe: None, tag: Some(9), wide: (-1, 120 \'x\')}',
    );
    const evaluated = await image.evaluate('holder.wide', inMain);
    assert.match(await evaluated.display(), /^\(-1, 120 'x'\)$/);
    const items = await (await image.evaluate('holder.items', inMain)).children(1, 5);
    assert.deepEqual(await Promise.all(items.map(async ({ name, value }) => [name, await value.display()])), [
      ['[1]', '2'],
      ['[2]', '3'],
    ]);
    assert.equal(await answer(image, 'shapes[1].w + shapes[1].h', inMain), '5');
    assert.deepEqual(image.problems(), []);
  });

  test(`${compiler}: every kind of value, beside gdb, and every row evaluates to itself`, async (t) => {
    const { image, stops } = recordedProgram(t, compiler, ['kinds', 'speak'], SAME_AS_GDB);
    const [stop, inMethod] = stops;
    if (image === undefined || stop === undefined || inMethod === undefined) return;
    const frame = frameOf(stop);
    const wrong: string[] = [];
    for (const [expression, theirs] of Object.entries(stop.expressions)) {
      const ours = await answer(image, expression, frame);
      if (ours !== plain(theirs)) wrong.push(`${expression}: ${ours}, gdb ${theirs}`);
    }
    for (const [expression, wanted] of Object.entries(OURS)) {
      const ours = await answer(image, expression, frame);
      if (ours !== wanted) wrong.push(`${expression}: ${ours}, not ${wanted}`);
    }
    assert.equal(await answer(image, 'self.age', frameOf(inMethod)), '5');
    const counts = await (await image.evaluate('long', frame)).childCounts();
    assert.deepEqual(counts, { named: 0, indexed: 1000 });
    const rows = await roundTrip(await image.localsAt(frame), {
      image,
      frame,
      depth: 4,
      children: 10,
      wrong,
    });
    assert.deepEqual(wrong.slice(0, 20), []);
    assert.ok(rows > 120, `${rows} rows`);
    assert.deepEqual(image.problems(), []);
  });
}

/** That on the path, and Debian's when it is another. */
function compilers(): string[] {
  const found = ['rustc', '/usr/bin/rustc'].filter((compiler) => missingTool(compiler) === undefined);
  const versions = found.map((compiler) => execFileSync(compiler, ['--version'], { encoding: 'utf8' }));
  const different = found.filter((_, index) => versions.indexOf(versions[index] as string) === index);
  return different.length > 0 ? different : ['rustc'];
}

function recordedProgram(
  t: TestContext,
  compiler: string,
  markers: readonly string[],
  expressions: readonly string[],
): { readonly image?: SymbolImage; readonly stops: readonly LiveStop[] } {
  const reason = gdbUnavailable() ?? missingTool(compiler);
  if (reason !== undefined) {
    t.skip(reason);
    return { stops: [] };
  }
  const program = join(directory, compiler.replaceAll('/', '_'));
  const options = ['-g', '-C', 'relocation-model=static', '-C', 'link-arg=-no-pie'];
  execFileSync(compiler, [...options, '-o', program, join(PROGRAMS, 'values.rs')], {
    stdio: 'ignore',
    timeout: 100_000,
  });
  const image = openImage(program);
  const addresses = markers.map((marker) => image.addressesOf('values.rs', lineOf(marker))[0]?.address);
  assert.ok(addresses.every((address) => address !== undefined));
  // gdb stops in the order the program gets there.
  const stops = recordStops(program, directory, addresses, expressions, 1 << 17);
  if (stops.length === 0) t.skip('gdb cannot run programs here');
  const at = (address: bigint): LiveStop[] =>
    stops.filter(({ frames }) => BigInt(frames[0]?.pc ?? 0) === address).slice(0, 1);
  return { image, stops: addresses.flatMap(at) };
}

/** gdb's answer with types by their last names. */
function plain(text: string): string {
  return text
    .replace(/core::option::Option<(?:[^<>]|<[^<>]*>)*>::/g, '')
    .replace(/\b(?!<)(?:\w+::)+(?=[A-Z])/g, (path, at: number) => (text[at - 1] === '<' ? path : ''))
    .replace(/(\w)<\w+> ?(?=[({])/g, '$1 ')
    .replace(/(\w) \(/g, '$1(');
}

async function shown(image: SymbolImage, frame: FrameContext): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { name, value } of await image.localsAt(frame)) {
    if (!found.has(name)) found.set(name, `${value.typeName} = ${await value.display()}`);
  }
  return found;
}

function lineOf(marker: string): number {
  const lines = readFileSync(join(PROGRAMS, 'values.rs'), 'utf8').split('\n');
  return lines.findIndex((line) => line.endsWith(`// marker: ${marker}`)) + 1;
}
