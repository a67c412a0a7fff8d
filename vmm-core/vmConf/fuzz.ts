/**
 * Seeded mutations of configurations, and what must hold for every one of them. For tests: see fuzz.test.ts
 * and test/fuzz/.
 */
import { checkTree, hasErrors } from './checkTree.ts';
import { hostOfTexts } from '../config/configHost.ts';
import { formatConfigFile } from './formatConfigFile.ts';
import { parseConfigFile, syntaxProblems } from './parseConfigFile.ts';
import { formatProblem } from './problem.ts';
import { reparse } from './reparse.ts';
import { type Edit, SourceFile } from './sourceFile.ts';
import { EXAMPLES, meaning, randomNumbers } from './testSupport.ts';
import { describedVms } from './describedVms.ts';

const HOST = hostOfTexts({
  'a.conf': 'm = "1G"\n',
  'b.conf': 'vm open {\n memory 1G\n',
  'c.conf': 'include "vm.conf"\n',
  'd.conf': '# only\nn = "2G" # x\nvm "in d" { memory $m\n}',
});
const OPTIONS = { host: HOST };

/** What is inserted: every mark, and words that matter. */
const SNIPPETS = [
  ...'{}(),=#$"\'\\\n\t -.:/\r\0\u0001\u0002\u00e4',
  ...[
    'vm ',
    'switch ',
    'interface ',
    'include "a.conf"\n',
    'include "b.conf"\n',
    'include "c.conf"\n',
    '$m',
    '$kernel',
    'm = "1G"\n',
  ],
  ...[
    'm="{ memory"\n',
    "m='\"'\n",
    'm="#"\n',
    'm="a\\\\"\n',
    '\\\n',
    '5{',
    '512',
    '1G',
    ' }\n',
    '{\n',
    'allow instance ',
    'debug ',
  ],
];

/** One edit: usually nothing or a few characters become something that matters. */
export function randomEdit(text: string, random: (below: number) => number): Edit {
  const start = random(text.length + 1);
  const end = Math.min(text.length, start + (random(2) === 0 ? 0 : random(12)));
  return { start, end, text: random(4) === 0 ? '' : (SNIPPETS[random(SNIPPETS.length)] ?? '') };
}

export function randomExample(random: (below: number) => number): string {
  const texts = Object.values(EXAMPLES);
  return texts[random(texts.length)] ?? '';
}

/** Undefined when all is well, otherwise what is wrong. */
export function checkMutation(seed: number): string | undefined {
  const random = randomNumbers(seed);
  let text = randomExample(random);
  const edits = 1 + random(4);
  let tree = parseConfigFile(new SourceFile('vm.conf', text), OPTIONS);
  for (let i = 0; i < edits; i++) {
    const edit = randomEdit(text, random);
    text = text.slice(0, edit.start) + edit.text + text.slice(edit.end);
    ({ tree } = reparse(tree, edit, OPTIONS));
  }
  return disagreement(tree, text) ?? layoutFault(text);
}

const NAMES = ['m', 'n', 'k'];
const VALUES = ['1G', '2G', 'x', '', '{', '#', "'"];

/** Statements that depend on each other: macros of macros, includes that use and define them. */
function randomStatement(random: (below: number) => number): string {
  const pick = (list: readonly string[]): string => list[random(list.length)] ?? '';
  const forms = [
    `${pick(NAMES)} = "${pick(VALUES)}"\n`,
    `${pick(NAMES)} = $${pick(NAMES)}\n`,
    `vm v${random(4)} {\n\tmemory $${pick(NAMES)}\n\tcdrom $${pick(NAMES)}/x\n}\n`,
    'vm w { disable\n}\n',
    `include "${pick(['a', 'b', 'd'])}.conf"\n`,
    `include $${pick(NAMES)}\n`,
    '# $m\n',
  ];
  return pick(forms);
}

/** The same for edits to what others depend on. */
export function checkDependencies(seed: number): string | undefined {
  const random = randomNumbers(seed);
  let text = Array.from({ length: 3 + random(8) }, () => randomStatement(random)).join('');
  let tree = parseConfigFile(new SourceFile('vm.conf', text), OPTIONS);
  for (let i = 0; i < 4; i++) {
    const values = [...text.matchAll(/= "/g)].map((it) => it.index + 3);
    const start = values[random(values.length + 1)] ?? random(text.length + 1);
    const end = Math.min(text.length, start + random(3));
    const edit = { start, end, text: ['', '1', '5G', '"', '\n', '{', '$m', ' '][random(8)] ?? '' };
    text = text.slice(0, start) + edit.text + text.slice(end);
    ({ tree } = reparse(tree, edit, OPTIONS));
    const wrong = disagreement(tree, text);
    if (wrong !== undefined) return `${JSON.stringify(text)}\n${wrong}`;
  }
  return undefined;
}

type Tree = ReturnType<typeof parseConfigFile>;

/**
 * Editing must give the same result as reading the whole text, and every problem must have a position.
 */
function disagreement(edited: Tree, text: string): string | undefined {
  const fresh = parseConfigFile(new SourceFile('vm.conf', text), OPTIONS);
  const [a, b] = [edited, fresh].map((tree) => checkTree(tree, HOST).map(formatProblem).join('\n'));
  if (a !== b) return `edited:\n${a}\nread anew:\n${b}`;
  if (meaning(edited) !== meaning(fresh)) return 'an edited tree differs from one read anew';
  const problems = checkTree(fresh, HOST);
  const lost = problems.find(
    (it) => !(it.start >= 0 && it.start <= it.end && it.end <= it.file.text.length + 1),
  );
  if (lost !== undefined) return `a problem without a place: ${lost.message} ${lost.start} ${lost.end}`;
  if (!hasErrors(problems)) describedVms(fresh, HOST);
  return undefined;
}

function layoutFault(text: string): string | undefined {
  const once = formatConfigFile('vm.conf', text, HOST).text;
  if (once === undefined) return undefined;
  const again = formatConfigFile('vm.conf', once, HOST).text;
  if (again !== once) return `fmt is not idempotent:\n${JSON.stringify(once)}\n${JSON.stringify(again)}`;
  // vmd drops the rest of a line after an undefined macro, so there the two need not mean the same.
  const trees = [text, once].map((it) => parseConfigFile(new SourceFile('vm.conf', it), OPTIONS));
  if (trees.some((it) => syntaxProblems(it).some(({ code }) => code === 'undefined-macro'))) return undefined;
  const [before, after] = trees.map(meaning);
  return before === after
    ? undefined
    : `fmt changes the meaning:\n${JSON.stringify(text)}\n${JSON.stringify(once)}`;
}
