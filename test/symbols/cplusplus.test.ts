/**
 * C++ values and expressions of a running program, compared with gdb. What we deliberately write differently
 * from gdb 13:
 * - functions are named without their parameters, `this` is not one of them, and pointers to member functions
 *   have no type in front;
 * - static members are not repeated in every object (they are rows of their own when it is unfolded);
 * - a reference shows what it refers to, without its address;
 * - floating point numbers have the digits that tell them from their neighbours, no more;
 * - text ends at its first zero, as C has it;
 * - an object of which nothing is left says so once, not for each member;
 * - a function that the optimiser left no code of still has its type.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { PROGRAMS, compile, missingTool, openImage, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { recordStops } from './live.ts';
import { answer, frameOf, roundTrip } from './stopFrame.ts';
import type { FrameContext } from '../../debug-adapter/symbols/frames/frameContext.ts';
import type { NamedValue } from '../../debug-adapter/symbols/values/value.ts';

const directory = scratchDirectory();

/** Of globals and of names alone: they mean the same at every stop. */
const EXPRESSIONS = [
  ...[
    'outer::depth',
    'outer::inner::origin',
    'outer::inner::origin.x',
    '::outer::depth',
    'hidden',
    'secret.inside',
  ],
  ...[
    'pointed_again->x',
    '*pointed_again',
    'same_numbers[1]',
    'sizeof(same_numbers)',
    '&same_numbers[2] - numbers',
    'outer::v1::versioned',
    'outer::v1::current',
    'sizeof(outer::v1::Versioned)',
    '(outer::v1::word_t)70000',
    'outer::Shape::count',
    'outer::Shape::limit',
    'outer::Shape::FLAT',
    'outer::inner::scaled',
    'outer::Shape::number',
  ],
  ...[
    'mixed',
    'mixed.as_float',
    'mixed.low',
    'mixed.level',
    'mixed.ready',
    '&mixed.as_int',
    'Mixed::operator+',
  ],
  ...[
    'box',
    'box.items[1]',
    'Box<int, 3>::size',
    'Box<int,3>::size',
    'sizeof(Box<int, 3>)',
    '*(Box<int, 3>*)&box',
  ],
  ...['nested', 'deep', 'deep.b.items[0]', 'largest<int>', 'largest<double>'],
  ...[
    'level',
    'odd',
    'plain',
    'bits',
    'extra',
    'none',
    'mode',
    'shade',
    'kind',
    'part',
    'part.kind',
    'level == Level::High',
  ],
  ...[
    'Level::High',
    'outer::Shade::Dark',
    'outer::ON',
    'SECOND',
    '(Level)200',
    '(outer::Shade)0',
    'bits | BIT_B',
  ],
  ...[
    'vars.wide16',
    'vars.wide32',
    'vars.wide',
    'vars.text16',
    'vars.text32',
    'vars.text',
    'vars.small',
    'vars.byte',
  ],
  ...[
    'vars.yes',
    'vars.extended',
    'vars.huge',
    'vars.vast',
    'vars.fixed',
    'vars.pointer',
    'vars.table',
    '*vars.pointer',
  ],
  ...['data_member', 'no_member', 'function_member', 'virtual_member', '&outer::inner::Point::y'],
  ...['outer::inner::origin.*data_member', '(&outer::inner::origin)->*data_member'],
  ...['&reference', 'reference + 1', 'same.radius', '&same.radius', 'same.inner.tag'],
  ...[
    'circle',
    'circle.inner',
    'circle.name',
    'circle.radius',
    'circle.id',
    'circle.inner.kind',
    'circle.count',
  ],
  ...['shape', '*shape', 'shape->id', 'shape->inner.tag', '(outer::Shape)circle', '(outer::Named*)&circle'],
  ...['*(outer::Named*)&circle', '*(outer::Circle*)shape', '((outer::Circle*)shape)->radius'],
  ...['static_cast<int>(circle.radius)', 'reinterpret_cast<long>(shape)', '((outer::Circle&)*shape).radius'],
  ...[
    'diamond',
    'diamond.root',
    'diamond.left',
    'diamond.right',
    'diamond.bottom',
    'left_half->root',
    '*left_half',
  ],
  ...[
    'sizeof(outer::Circle)',
    'sizeof(circle)',
    'sizeof(outer::Shape::Inner)',
    '*(outer::Shape::Inner*)&part',
  ],
  ...[
    'true && false',
    "u'a'",
    "L'x'",
    "'a'",
    '1.5f',
    '10 == 10',
    '!true',
    'alignof(int)',
    '*vars.text@3',
    'box.items[0]@2',
  ],
  ...['-7 / 2', '1u - 2', '(unsigned char)300', '2.5 * 2', '~0', '1 < 2 ? mixed.kind : 0', 'combine::calls'],
];

/** Of frames that stop inside the functions, where their own names count. */
const LOCAL_EXPRESSIONS: Readonly<Record<string, readonly string[]>> = {
  size: [
    'radius',
    'this->radius',
    'id',
    'name',
    'inner.tag',
    '*this',
    'count',
    'limit',
    'Shape::count',
    'sizeof(Inner)',
    'FLAT',
    'depth',
  ],
  combine: [
    'object.id',
    'moved + 1',
    'local',
    'local.here',
    'calls',
    'doubled',
    '(Local*)&local',
    'joined->bottom',
    'joined->root',
    'joined->left',
    '*joined',
  ],
  largest: ['a', 'b', 'sizeof(a)', 'a > b'],
};

const MARKERS = ['main print', 'size', 'combine', 'largest'];

const VARIANTS: readonly (readonly [compiler: string, ...options: string[]])[] = [
  ['g++', '-O0', '-gdwarf-4'],
  ['g++', '-O0', '-gdwarf-5'],
  ['g++', '-O2', '-gdwarf-4'],
  ['g++', '-O2', '-gdwarf-5'],
  ['g++', '-O0', '-gdwarf-5', '-fdebug-types-section'],
  ['g++', '-O0', '-gdwarf-5', '-gsplit-dwarf'],
  ['clang++-14', '-O0', '-gdwarf-4'],
  ['clang++-14', '-O0', '-gdwarf-5'],
  ['clang++-14', '-O2', '-gdwarf-5'],
];

for (const [compiler, ...options] of VARIANTS) {
  const title = `${compiler} ${options.join(' ')}`;
  test(`${title}: C++ values and expressions agree with gdb`, async (t) => {
    const reason = gdbUnavailable() ?? missingTool(compiler);
    if (reason !== undefined) return t.skip(reason);
    const output = join(directory, title.replaceAll(' ', ''));
    const program = compile(compiler, 'values.cc', output, ['-no-pie', '-std=c++17', '-g', ...options]);
    const image = openImage(program);
    const compared = { expressions: 0, evaluateNames: 0, wrong: [] as string[] };
    const places = MARKERS.map((marker) => image.addressesOf('values.cc', lineOf(marker))[0]?.address);
    const addresses = places.filter((address) => address !== undefined);
    const all = [...EXPRESSIONS, ...new Set(Object.values(LOCAL_EXPRESSIONS).flat())];
    const stops = recordStops(program, directory, addresses, all, 1 << 16);
    for (const [index, marker] of MARKERS.entries()) {
      const stop = stops.find(({ frames }) => BigInt(frames[0]?.pc ?? 0) === places[index]);
      if (stop === undefined) continue; // an optimised copy that this run does not reach
      const frame = frameOf(stop);
      for (const expression of [...EXPRESSIONS, ...(LOCAL_EXPRESSIONS[marker] ?? [])]) {
        const theirs = stop.expressions[expression] ?? '';
        const ours = await answer(image, expression, frame);
        compared.expressions++;
        if (!agrees(ours, theirs) && !isLostFunction(expression, ours, theirs))
          compared.wrong.push(`${marker}: ${expression}: ${ours}, gdb ${theirs}`);
      }
      // gdb 13 does not look into inline namespaces from outside.
      assert.equal(await answer(image, 'outer::versioned + 1', frame), '9');
      // A type unit does not say that the namespace is inline.
      if (!options.includes('-fdebug-types-section'))
        assert.equal(await answer(image, 'sizeof(outer::Versioned)', frame), '4');
      assert.equal((await image.evaluate('outer::versioned', frame)).typeName, 'outer::v1::word_t');
      // gdb 13 parses neither of these.
      if (marker === 'size' && options.includes('-O0')) {
        assert.equal(await answer(image, 'this->Shape::id', frame), '42');
        assert.equal(await answer(image, 'inner::origin.y', frame), '5');
        const rows = await (await image.evaluate('circle', frame)).children();
        assert.deepEqual(
          rows.map(({ name, role }) => `${role ?? ''} ${name}`),
          ['base outer::Shape', 'base outer::Named', ' radius'],
        );
        const inherited = await (await image.evaluate('(outer::Shape)circle', frame)).children();
        assert.ok(inherited.some(({ name, role }) => name === 'count' && role === 'static'));
      }
      compared.evaluateNames += await allRowsRoundTrip(image, frame, compared.wrong);
    }
    assert.deepEqual(compared.wrong.slice(0, 20), []);
    assert.ok(compared.expressions > 120, `${compared.expressions} expressions`);
    assert.ok(options.includes('-O2') || compared.evaluateNames > 20, `${compared.evaluateNames} children`);
    assert.deepEqual(image.problems(), []);
  });
}

/** Both without the deliberate differences; a line cut short has to begin alike; both may refuse. */
function agrees(ours: string, theirs: string): boolean {
  if (ours === '<optimized out>' && /^\{(?:\w+ = <optimized out>(?:, )?)+\}$/.test(theirs)) return true;
  const cut = ours.indexOf('...');
  const [a, b] = [plain(ours), plain(theirs)];
  if (cut >= 0) return b.startsWith(plain(ours.slice(0, cut)));
  return a === b || (ours.startsWith('error: ') && theirs.startsWith('error: '));
}

const FUNCTIONS = [
  'outer::inner::scaled',
  'outer::Shape::number',
  'Mixed::operator+',
  'largest<int>',
  'largest<double>',
];

function isLostFunction(expression: string, ours: string, theirs: string): boolean {
  return FUNCTIONS.includes(expression) && /^\w+ \(.*\)$/.test(ours) && theirs.startsWith('error: ');
}

function plain(text: string): string {
  return text
    .replace(/\{([^{}()]+) \([^{}]*\)\} (0x)/g, '{$1} $2') // function types: parameters
    .replace(/\((?:[^()]|\([^()]*\))*::\*\)\([^()]*\)\) (?=0x)/g, '') // the type before a pointer to a member function
    .replace(/^\(\S+ (?=0x)/, '')
    .replace(/<([^<>]*(?:<[^<>]*>)?[^<>]*)\([^()]*\)(?: const)?(\+\d+)?>/g, '<$1$2>') // functions: parameters
    .replace(/(&virtual [\w:]+)\(\)(?: const)?/g, '$1')
    .replace(/(?:, )?static \w+ = [^,{}]+/g, '')
    .replace(/\{, /g, '{')
    .replace(/^@0x[0-9a-f]+: /, '')
    .replace(/\\000(?=[^"]*")/g, '')
    .replace(/-?\d+\.\d+(?:e[+-]?\d+)?|-?\d+e[+-]?\d+/g, (number) => String(Math.fround(Number(number))));
}

/** Every row of the variables, and of their children, has an expression that evaluates to the same value. */
async function allRowsRoundTrip(image: SymbolImage, frame: FrameContext, wrong: string[]): Promise<number> {
  const globals: NamedValue[] = [];
  for (const name of ['circle', 'diamond', 'mixed', 'nested', 'vars', 'shape', 'left_half'])
    globals.push({ name, expression: name, value: await image.evaluate(name, frame) });
  const rows = [...(await image.localsAt(frame)), ...globals];
  // What is nowhere in memory has no address to be asked by.
  const excused = /^<|^error: .*(?:optimized out|not in memory)/;
  return roundTrip(rows, { image, frame, depth: 3, children: 20, excused, wrong });
}

function lineOf(marker: string): number {
  const lines = readFileSync(join(PROGRAMS, 'values.cc'), 'utf8').split('\n');
  return lines.findIndex((line) => line.endsWith(`// marker: ${marker}`)) + 1;
}
