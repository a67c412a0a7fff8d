import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mutate, seededRandom } from '../../../test/support/bytes.ts';
import { QueryError } from '../base/queryError.ts';
import type { Language } from '../values/literals.ts';
import { parseExpression, parseTypeName } from './parser.ts';
import { type Node, type TypeSyntax, depthOf } from './syntaxTree.ts';

const TYPES = new Set(['word_t', 'ns::Type', 'Box<int, 3>', 'struct node', 'u64']);
const NAMES = {
  isType: (name: string) => TYPES.has(name),
  isTemplate: (name: string) => TYPES.has(name) || name === 'largest<int>',
};

/** The tree with every operator in parentheses. */
function tree(text: string, language: Language = 'c'): string {
  return shown(parseExpression(text, { ...NAMES, language }));
}

function shown(node: Node): string {
  switch (node.kind) {
    case 'integer':
    case 'float':
      return node.text;
    case 'string':
      return JSON.stringify(node.value);
    case 'name':
      return node.file === undefined ? node.name : `'${node.file}'::${node.name}`;
    case 'register':
      return `$${node.name}`;
    case 'unary':
      return `(${node.operator}${shown(node.operand)})`;
    case 'binary':
      return `(${shown(node.left)} ${node.operator} ${shown(node.right)})`;
    case 'conditional':
      return `(${shown(node.test)} ? ${shown(node.yes)} : ${shown(node.no)})`;
    case 'cast':
      return `(${shown(node.operand)} as ${shownType(node.type)})`;
    case 'member':
      return `${shown(node.owner)}.${node.name}`;
    case 'index':
      return `${shown(node.array)}[${shown(node.index)}]`;
    case 'sizeofType':
    case 'alignofType':
      return `${node.kind}(${shownType(node.type)})`;
    case 'sizeof':
    case 'alignof':
      return `${node.kind}(${shown(node.operand)})`;
    case 'assign':
      return `${shown(node.place)} = ${shown(node.value)}`;
  }
}

function shownType({ base, layers }: TypeSyntax): string {
  return [
    base,
    ...layers.map((layer) => {
      switch (layer.kind) {
        case 'pointer':
          return layer.sigil;
        case 'array':
          return `[${layer.count}]`;
        case 'memberPointer':
          return `${layer.owner}::*`;
        case 'function':
          return `(${layer.parameters.map(shownType).join(', ')}${layer.variadic ? '...' : ''})`;
      }
    }),
  ].join(' ');
}

test("operators bind as in C, and gdb's @ between sums and shifts", () => {
  assert.equal(tree('a + b * c << 1 < d && !e | f'), '((((a + (b * c)) << 1) < d) && ((!e) | f))');
  assert.equal(tree('*p@3 + 1'), '((*p) @ (3 + 1))');
  assert.equal(tree('a ? b : c ? d : e'), '(a ? b : (c ? d : e))');
  assert.equal(tree('x->*f.*g'), '((x ->* f) .* g)');
  assert.equal(tree('-x[1].y->z'), '(-x[1].y.z)');
});

test('a parenthesis with a type in it begins a cast', () => {
  assert.equal(tree('(word_t)-1'), '((-1) as word_t)');
  assert.equal(tree('(value)-1'), '(value - 1)');
  assert.equal(tree('(struct node *)p + 1'), '((p as struct node *) + 1)');
  assert.equal(tree('(unsigned long long)x'), '(x as unsigned long long)');
  assert.equal(tree('sizeof(struct node[2])'), 'sizeofType(struct node [2])');
  assert.equal(tree('sizeof (value)'), 'sizeof(value)');
  assert.equal(tree('static_cast<const ns::Type &>(x).y'), '(x as ns::Type &).y');
});

test('type names have C declarators, inside out', () => {
  assert.equal(shownType(parseTypeName('int (*)[4]')), 'int [4] *');
  assert.equal(shownType(parseTypeName('int *[4]')), 'int * [4]');
  assert.equal(shownType(parseTypeName('int [2][3]')), 'int [3] [2]');
  assert.equal(shownType(parseTypeName('void (*)(int, char *, ...)')), 'void (int, char *...) *');
  assert.equal(shownType(parseTypeName('const char *const *')), 'char * *');
  assert.equal(shownType(parseTypeName('int ns::Type::*')), 'int ns::Type::*');
});

test('Rust writes casts, fields, borrows and numbers its own way', () => {
  assert.equal(tree('x as u64 * 3'), '((x as u64) * 3)');
  assert.equal(tree('p as *const u64'), '(p as u64 *)');
  assert.equal(tree('p as &[u64; 4]'), '(p as u64 [4] *)');
  assert.equal(tree('pair.0.1 + 0.5'), '(pair.0.1 + 0.5)');
  assert.equal(tree('&mut x'), '(&x)');
  assert.equal(tree('0x1f_u8 + 1_000i64', 'rust'), '(0x1f_u8 + 1_000i64)');
  assert.equal(tree("b'a' == '\\u{e9}'", 'rust'), "(b'a' == '\\u{e9}')");
});

test('names have scopes, files, template arguments and operators', () => {
  assert.equal(tree('fs/read_write.c::count'), "'fs/read_write.c'::count");
  assert.equal(tree("'my file.c'::count"), "'my file.c'::count");
  assert.equal(tree('Box<int, 3>::size'), 'Box<int, 3>::size');
  assert.equal(tree('largest<int>'), 'largest<int>');
  assert.equal(tree('a < b > (c)'), '((a < b) > c)');
  assert.equal(tree('X::operator+ + X::operator()'), '(X::operator+ + X::operator())');
  assert.equal(tree('Shape::~Shape'), 'Shape::~Shape');
  assert.equal(tree('(anonymous namespace)::hidden'), 'hidden');
  assert.equal(tree('object._vptr.Shape'), 'object._vptr.Shape');
});

test('assignments, compound ones too, say what is written', () => {
  assert.equal(tree('a = b = 1'), 'a = b = 1');
  assert.equal(tree('a <<= 2'), 'a = (a << 2)');
  assert.equal(tree('a++'), 'a = (a + 1)');
  assert.equal(tree('--a.b'), 'a.b = (a.b - 1)');
});

test('container_of and offsetof are addresses and offsets', () => {
  assert.equal(tree('offsetof(struct node, at.x)'), '((&(0 as struct node *).at.x) as unsigned long)');
  assert.equal(
    tree('container_of(p, struct node, list)'),
    '(((p as char *) - ((&(0 as struct node *).list) as unsigned long)) as struct node *)',
  );
});

test('mistakes name their column', () => {
  const mistake = (text: string): string => {
    try {
      tree(text);
    } catch (error) {
      assert.ok(error instanceof QueryError);
      return `${error.column}: ${error.message}`;
    }
    return 'none';
  };
  assert.equal(mistake('main(1)'), '5: functions of the program cannot be called');
  assert.equal(mistake('a +'), '4: the expression ends, a value is missing');
  assert.equal(mistake('a["x'), '3: a quote that does not end');
  assert.equal(mistake('12abc'), '1: invalid number: 12abc');
  assert.equal(mistake('1 + 09'), '5: invalid octal number 09: a leading 0 means base 8');
  assert.equal(mistake("'ab'"), "1: not one character: 'ab'");
  assert.equal(mistake('(int [n])x'), '7: an array type needs a number of elements');
  assert.equal(mistake('a b'), '3: unexpected b');
});

test('whatever is typed ends in a tree or in a mistake with a column', () => {
  const random = seededRandom(7);
  const seeds = [
    'container_of(p, struct node, list)->next[3].x + (word_t)1 * Box<int, 3>::size',
    '(int (*)(char, ...))f == 0x1f_u8 && x as *const u64 ? \'a\' : "text" @ 3',
    'fs/a.c::b->*c.*d = ++e[--f] << ~g::~h % sizeof(struct node [2]) - alignof x',
  ];
  for (let round = 0; round < 3000; round++) {
    const seed = seeds[round % seeds.length] ?? '';
    const text = Buffer.from(mutate(Uint8Array.from(Buffer.from(seed)), random)).toString('latin1');
    try {
      tree(text);
    } catch (error) {
      assert.ok(error instanceof QueryError, `${text}: ${String(error)}`);
      assert.ok((error.column ?? 0) >= 1 && (error.column ?? 0) <= text.length + 1, text);
    }
  }
});

test('rows of operators may be long; nesting is at most 256 levels deep', () => {
  const sum = parseExpression(`1${'+1'.repeat(20_000)}`, NAMES);
  assert.equal(depthOf(sum), 1);
  const deep = [
    `${'('.repeat(5000)}1${')'.repeat(5000)}`,
    `${'- '.repeat(10_000)}1`,
    `a${'.b'.repeat(10_000)}`,
    `a${'[0]'.repeat(10_000)}`,
    `${'1?'.repeat(10_000)}1${':1'.repeat(10_000)}`,
    `${'a='.repeat(10_000)}1`,
    `${'(int)'.repeat(10_000)}1`,
    `1${' as u64'.repeat(10_000)}`,
    `${'offsetof(struct node, x['.repeat(3000)}1${'])'.repeat(3000)}`,
    `${'('.repeat(200)}a${'.b'.repeat(200)}${')'.repeat(200)}`,
    // Each has its place twice: looking at every path would not end.
    `${'a['.repeat(300)}1${']++'.repeat(300)}`,
  ];
  for (const text of deep)
    assert.throws(
      () => parseExpression(text, NAMES),
      /^QueryError: expression too deeply nested: 256 levels$/,
    );
  const inside = `${'a['.repeat(60)}1${']++'.repeat(60)}`;
  assert.ok(depthOf(parseExpression(inside, NAMES)) > 100);
  assert.throws(
    () => parseExpression('1'.repeat(100_001), NAMES),
    /^QueryError: expression too long: 100001 characters, at most 100000$/,
  );
});

/** Processor time: how busy the machine is does not count. */
function cpuMsToParse(text: string): number {
  const start = process.cpuUsage();
  try {
    parseExpression(text, NAMES);
  } catch (error) {
    assert.ok(error instanceof QueryError);
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

test('the time to parse grows with the length, not with its square', () => {
  const repeated: readonly ((count: number) => string)[] = [
    (count) => `x${'+1'.repeat(count)}`,
    (count) => `a/b.c::x${'+1'.repeat(count)}`,
    (count) => `x${'<y'.repeat(count)}`,
    (count) => `a${'::b'.repeat(count)}`,
    (count) => ' '.repeat(2 * count),
  ];
  for (const text of repeated) {
    cpuMsToParse(text(2000)); // compiled from here on
    const [short, long] = [cpuMsToParse(text(2000)), cpuMsToParse(text(20_000))];
    // Ten times the length: a square would take a hundred times as long.
    assert.ok(long < 40 * short + 200, `${text(2)}: ${short} ms, ${long} ms`);
  }
});
