/** Positions: every token knows where it was written, through macros, joined lines and includes. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Lexer } from './lexer.ts';
import type { Problem } from './problem.ts';
import { SourceFile } from './sourceFile.ts';
import type { MacroDefinition, Token } from './token.ts';

function tokens(
  text: string,
  values: Readonly<Record<string, string>> = {},
): { seen: Token[]; problems: Problem[]; lexer: Lexer } {
  const macros = new Map(
    Object.entries(values).map(([name, value]): [string, MacroDefinition] => [
      name,
      { name, value, isFixed: false },
    ]),
  );
  const problems: Problem[] = [];
  const lexer = new Lexer(new SourceFile('f', text), 0, { macros, report: (it) => problems.push(it) });
  const seen: Token[] = [];
  for (let token = lexer.next(); token.kind !== 'end'; token = lexer.next()) seen.push(token);
  return { seen, problems, lexer };
}

const places = (text: string, values = {}): unknown[] =>
  tokens(text, values).seen.map(({ kind, text: value, start, end }) => [kind, value, start, end]);

it('words, numbers, strings, keywords and marks', () => {
  assert.deepEqual(places('vm a-b 12 "c d" {'), [
    ['keyword', 'vm', 0, 2],
    ['word', 'a-b', 3, 6],
    ['number', '12', 7, 9],
    ['string', 'c d', 10, 15],
    ['mark', '{', 16, 17],
    ['newline', '\n', 17, 17],
  ]);
});

it('a token from a macro is placed where the macro is used, with what is glued to it', () => {
  assert.deepEqual(places('$d/a.img $two', { d: '/x', two: 'switch up2' }), [
    ['word', '/x/a.img', 0, 8],
    ['keyword', 'switch', 9, 13],
    ['word', 'up2', 9, 13],
    ['newline', '\n', 13, 13],
  ]);
});

it('joined lines belong to the word they are in', () => {
  assert.deepEqual(places('ab\\\ncd \\\n ef'), [
    ['word', 'abcd', 0, 6],
    ['word', 'ef', 10, 12],
    ['newline', '\n', 12, 12],
  ]);
});

it('digits are a number only before a blank, an end or one of ) , / } =', () => {
  const kinds = (text: string): string =>
    tokens(text)
      .seen.map((it) => `${it.kind}:${it.text}`)
      .join(' ');
  assert.equal(kinds('10/8'), 'number:10 word:/8 newline:\n');
  assert.equal(kinds('10.0/8'), 'word:10.0/8 newline:\n');
  assert.equal(kinds('5{'), 'word:5 mark:{ newline:\n');
  assert.equal(kinds('-5 -x -'), 'number:-5 mark:- word:x mark:- newline:\n');
  assert.equal(kinds('5'), 'number:5 newline:\n');
});

it('digits out of a macro and glued to the file are one word', () => {
  assert.deepEqual(places('$n M', { n: '512' }).slice(0, 1), [['number', '512', 0, 2]]);
  assert.deepEqual(places('$n.5', { n: '512' }).slice(0, 1), [['word', '512.5', 0, 4]]);
});

it('keeps comments with their positions, and continues them over a backslash', () => {
  const { lexer, seen } = tokens('a # x \\\n y\n# z');
  assert.deepEqual(
    lexer.comments.map(({ start, end }) => [start, end]),
    [
      [2, 10],
      [11, 14],
    ],
  );
  assert.deepEqual(
    seen.map((it) => it.kind),
    ['word', 'newline', 'newline'],
  );
});

it('a macro cannot use a macro: the dollar stays', () => {
  assert.deepEqual(
    tokens('$a', { a: '$b', b: 'x' }).seen.map((it) => it.text),
    ['$', 'b', '\n'],
  );
});

it('an undefined macro skips the rest of its line, and says where it is', () => {
  const { seen, problems } = tokens('x $no y z\nw');
  assert.deepEqual(
    seen.map((it) => it.kind),
    ['word', 'error', 'newline', 'word', 'newline'],
  );
  assert.deepEqual(
    problems.map((it) => [it.code, it.start, it.end, it.subject]),
    [['undefined-macro', 2, 5, 'no']],
  );
});

it('quotes drop newlines and keep all backslashes except before the quote, blanks and newlines', () => {
  const text = '"a\nb" "\\"" "\\n" "\\ " \'\\"\'';
  assert.deepEqual(
    tokens(text).seen.map((it) => it.text),
    ['ab', '"', '\\n', ' ', '\\"', '\n'],
  );
});

it('refuses to expand without end', () => {
  const value = 'x'.repeat(8000);
  const { problems } = tokens('$a '.repeat(3000), { a: value });
  assert.deepEqual(
    problems.map((it) => it.code),
    ['too-long'],
  );
});
