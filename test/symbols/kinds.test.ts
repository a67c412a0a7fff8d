/**
 * Every kind of C value, and every format, beside gdb. What we deliberately write differently from gdb 13:
 * - floating point numbers have the digits that tell them from their neighbours, no more, and exponents as
 *   JavaScript writes them; their arithmetic is that of double, also for wider ones;
 * - text ends at its first zero; zeros at the end of other bytes are left out; bytes that are not UTF-8 are
 *   written one by one;
 * - a flexible array of characters is its text, and `,s` of a pointer the text alone;
 * - an array of variable length has its length in its type.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { QueryError } from '../../debug-adapter/symbols/base/queryError.ts';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { parseElf } from '../../vmm-core/elf/elfFile.ts';
import { seededRandom } from '../support/bytes.ts';
import { PROGRAMS, compile, missingTool, openImage, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { recordStops } from './live.ts';
import { answer, frameOf, roundTrip } from './stopFrame.ts';
import type { FrameContext } from '../../debug-adapter/symbols/frames/frameContext.ts';
import type { NamedValue } from '../../debug-adapter/symbols/values/value.ts';
import { openSymbolImage } from '../../debug-adapter/symbols/openSymbolImage.ts';

const directory = scratchDirectory();

const GLOBALS = [
  ...[
    'one_and_half',
    'huge',
    'tiny',
    'not_a_number',
    'infinite',
    'tenth',
    'single',
    'smallest',
    'extended',
    'extended_huge',
  ],
  ...[
    'complex_double',
    'complex_single',
    'quad',
    'decimal',
    'small_decimal',
    'wide_negative',
    'wide_positive',
  ],
  ...[
    'sparse',
    'zeros',
    'text',
    'full',
    'escapes',
    'small',
    'utf',
    'wide_text',
    'wide_pointer',
    'text16',
    'letter32',
  ],
  ...[
    'access_both',
    'access_odd',
    'access_none',
    'mixed_sum',
    'minus',
    'vector',
    'float_vector',
    'bits',
    'bits.small',
  ],
  ...[
    'bits.wide',
    'bits.access',
    'bits.far',
    'bits.tiny',
    'nested',
    'nested.named.b',
    'nested.d',
    'nested.other.f',
  ],
  ...['nested.table', 'nested.grid', 'nested.grid[0][1]', 'nested.rings', 'first', '*first.next->next'],
  ...[
    'first.next->next->next->value',
    'yes',
    'function',
    '*function',
    'anything',
    'shared',
    'shared.bytes',
    'atomic',
  ],
  ...[
    'fixed',
    'byte',
    'sparse[49]@3',
    '*sparse@3',
    '&sparse',
    '&sparse[50] - sparse',
    '(char)byte',
    '(signed char)byte',
  ],
  ...[
    '-bits.small',
    'bits.far >> 40',
    'function == twice',
    '&nested.grid[0][1]',
    '*nested.grid',
    '**nested.grid[0]',
  ],
  ...[
    '(struct ring *)anything',
    '((struct ring *)&first)->next->value',
    '(int (*)(int))function',
    'sizeof(struct nested)',
  ],
  ...['sizeof(struct bits)', 'access_both & READ', 'READ | EXEC', 'minus < 0', '0x7fffffff + 1', '5 % 3 - 7'],
  ...[
    '(short)70000',
    '1 ? utf : 0',
    '!utf',
    '~fixed',
    '&lengths',
    'lengths',
    'first.next == &second',
    '"abc"',
  ],
  ...['sizeof("abc")', "'\\n'", '1.0 / 3', '_Alignof(struct ring)', 'sizeof(vector)', 'vector[2]'],
];

const FORMATS = [
  ...[
    '/x one_and_half',
    '/x extended',
    '/d sparse[0]',
    '/c 65',
    '/x small',
    '/o 8',
    '/x text',
    '/d text',
    '/x yes',
  ],
  ...[
    '/x access_both',
    '/x vector',
    '/c text',
    '/u small',
    '/d fixed',
    '/x &sparse',
    '/a &sparse[1]',
    '/x utf',
  ],
  ...[
    '/z byte',
    '/f 1065353216',
    '/x raw',
    '/x nested.grid',
    '/x bits.wide',
    '/x wide_positive',
    '/x first',
    '/d wide_text',
  ],
];

const LOCALS = [
  ...[
    'vla',
    'grid',
    'grid[1]',
    'name',
    '*pointer',
    'sizeof(vla)',
    'sizeof(grid)',
    'sizeof(*pointer)',
    'vla[1] + vla[2]',
  ],
  ...['*numbers', 'numbers->values', 'numbers->values[0]@2', 'flexible->count', '&flexible->text[1]', 'n'],
];

const VARIANTS: readonly (readonly [compiler: string, ...options: string[]])[] = [
  ['gcc', '-O0', '-gdwarf-4'],
  ['gcc', '-O0', '-gdwarf-5'],
  ['gcc', '-O2', '-gdwarf-5'],
  ['clang-14', '-O0', '-gdwarf-4'],
  ['clang-14', '-O0', '-gdwarf-5'],
  ['clang-14', '-O2', '-gdwarf-5'],
];

for (const [compiler, ...options] of VARIANTS) {
  const title = `${compiler} ${options.join(' ')}`;
  test(`${title}: every kind of C value is written as gdb writes it`, async (t) => {
    const reason = gdbUnavailable() ?? missingTool(compiler);
    if (reason !== undefined) return t.skip(reason);
    const output = join(directory, title.replaceAll(' ', ''));
    const program = compile(compiler, 'kinds.c', output, ['-no-pie', '-g', ...options]);
    const image = openImage(program);
    const address = image.addressesOf('kinds.c', lineOf('lengths'))[0]?.address;
    assert.ok(address !== undefined);
    const isPlain = options.includes('-O0');
    const asked = [...GLOBALS, ...FORMATS, ...(isPlain ? LOCALS : [])].filter(
      // clang has no such numbers here, and does not say how long what `pointer` points to is.
      (it) => compiler === 'gcc' || !/quad|decimal|\*pointer/.test(it),
    );
    const [stop] = recordStops(program, directory, [address], asked, 1 << 16);
    if (stop === undefined) return t.skip('gdb cannot run programs here');
    const frame = frameOf(stop);
    const wrong: string[] = [];
    for (const expression of asked) {
      const theirs = stop.expressions[expression] ?? '';
      const ours = await answer(image, expression, frame);
      if (!agrees(ours, theirs)) wrong.push(`${expression}: ${ours}, gdb ${theirs}`);
    }
    if (isPlain) {
      assert.equal(await answer(image, '*flexible', frame), '{count = 3, text = "hello"}');
      assert.equal(await answer(image, '/3 vla', frame), '{0, 1, 4}');
      assert.match(
        await answer(image, '/2x numbers', frame),
        /^\{\{count = 0x3, values = 0x[0-9a-f]+ <storage\+4>\}, \{count = 0x/,
      );
    }
    // gdb loses the byte before one that is not UTF-8.
    assert.equal(await answer(image, 'raw', frame), '"\\001\\002\\310"');
    assert.equal(await answer(image, 'text == "ab" && text != "abc"', frame), '1');
    assert.equal(await answer(image, 'container_of(&first.next, struct ring, next)->value', frame), '1');
    assert.equal(
      await answer(image, 'offsetof(struct nested, grid[1][0])', frame),
      await answer(image, '(unsigned long)&((struct nested *)0)->grid[1][0]', frame),
    );
    const rows = await roundTrip(await globalRows(image, frame), {
      image,
      frame,
      depth: 4,
      children: 6,
      wrong,
    });
    assert.deepEqual(wrong.slice(0, 20), []);
    assert.ok(rows > 80, `${rows} rows`);
    assert.deepEqual(image.problems(), []);
  });
}

test('whatever the debug information says, values end or say what is wrong', async (t) => {
  const reason = gdbUnavailable() ?? missingTool('gcc');
  if (reason !== undefined) return t.skip(reason);
  const program = compile('gcc', 'kinds.c', join(directory, 'broken'), ['-no-pie', '-g', '-O0']);
  const address = openImage(program).addressesOf('kinds.c', lineOf('lengths'))[0]?.address;
  assert.ok(address !== undefined);
  const [stop] = recordStops(program, directory, [address], [], 1 << 16);
  if (stop === undefined) return t.skip('gdb cannot run programs here');
  const frame = frameOf(stop);
  const seed = Uint8Array.from(readFileSync(program));
  const info = parseElf(bytesSource('kinds', seed)).sections.find(({ name }) => name === '.debug_info');
  assert.ok(info !== undefined);
  const random = seededRandom(11);
  let refused = 0;
  for (let round = 0; round < 200; round++) {
    const bytes = seed.slice();
    for (let change = Math.floor(random() * 30); change >= 0; change--)
      bytes[Number(info.offset) + Math.floor(random() * Number(info.sizeBytes))] = Math.floor(random() * 256);
    const image = openSymbolImage(bytesSource('broken', bytes));
    await walk(await image.localsAt(frame), 0);
    for (const expression of [
      'nested',
      'first',
      'bits',
      'shared',
      'sparse[50]',
      '(struct ring *)anything',
      '&grid',
    ]) {
      try {
        await walk([{ name: '', expression, value: await image.evaluate(expression, frame) }], 0);
      } catch (error) {
        assert.ok(error instanceof QueryError, `round ${round}, ${expression}: ${String(error)}`);
        refused++;
      }
    }
    await image.describeType('struct nested');
  }
  assert.ok(refused > 100, `${refused} refused`);
});

async function walk(rows: readonly NamedValue[], depth: number): Promise<void> {
  for (const { value } of rows) {
    await value.display();
    await value.childCounts();
    if (depth < 3) await walk(await value.children(0, 10), depth + 1);
  }
}

/** Both without the deliberate differences; a line cut short has to begin alike. */
function agrees(ours: string, theirs: string): boolean {
  const cut = ours.indexOf('...');
  if (cut >= 0) return plain(theirs).startsWith(plain(ours.slice(0, cut)).replace(/[, {]+$/, ''));
  return plain(ours) === plain(theirs);
}

function plain(text: string): string {
  return text
    .replace('.constprop.0>', '>') // gdb has the name from the source here, we that of the code
    .replace(/(?:\\000)+(?=")/g, '')
    .replace(/^("ab)\\000cd/, '$1')
    .replace(/[-+]?\d+\.\d+(?:e[+-]?\d+)?|\d+[eE][+-]?\d+/g, (number) => String(Math.fround(Number(number))));
}

async function globalRows(image: SymbolImage, frame: FrameContext): Promise<NamedValue[]> {
  const names = ['nested', 'first', 'bits', 'shared', 'text', 'vector', 'anything', 'function', 'utf'];
  return Promise.all(
    names.map(async (name) => ({ name, expression: name, value: await image.evaluate(name, frame) })),
  );
}

function lineOf(marker: string): number {
  const lines = readFileSync(join(PROGRAMS, 'kinds.c'), 'utf8').split('\n');
  return lines.findIndex((line) => line.endsWith(`/* marker: ${marker} */`)) + 1;
}
