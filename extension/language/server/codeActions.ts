/** Quick fixes: one for every problem with an obvious solution. */
import { type CodeAction, CodeActionKind, type Diagnostic, type TextEdit } from 'vscode-languageserver/node';
import type { DiskFormat } from '../../../vmm-core/config/configHost.ts';
import { scanScaled } from '../../../vmm-core/config/values.ts';
import type { Problem } from '../../../vmm-core/vmConf/problem.ts';
import type { ProblemCode } from '../../../vmm-core/config/problemCode.ts';
import type { Position } from '../../../vmm-core/vmConf/sourceFile.ts';
import { type ConfigTree, directivesIn } from '../../../vmm-core/vmConf/syntaxTree.ts';
import { suggestion } from './navigation.ts';
import { statementAt } from './occurrences.ts';
import { type Range, rangeOf, uriOf } from './workspace.ts';

export const CREATE_DISK = 'trapframe.vmConf.createDisk';
/** No one reads a longer list; a whole file may be asked about. */
const MAX_PROBLEMS = 100;
const NEW_DISK_SIZE = '10G';

interface Fix {
  readonly title: string;
  readonly edits?: readonly TextEdit[];
  /** Done by the server. */
  readonly createDisk?: readonly [path: string, format: DiskFormat, bytes: number];
}

export function codeActions(
  tree: ConfigTree,
  problems: readonly Problem[],
  diagnostics: readonly Diagnostic[],
): CodeAction[] {
  const byPlace = new Map<string, Diagnostic[]>();
  for (const it of diagnostics) {
    const key = placeKey(it.code, it.range.start);
    const list = byPlace.get(key);
    if (list === undefined) byPlace.set(key, [it]);
    else list.push(it);
  }
  return problems.slice(0, MAX_PROBLEMS).flatMap((problem) =>
    fixes(problem, tree).map(({ title, edits, createDisk }, i): CodeAction => {
      const matching = byPlace.get(placeKey(problem.code, rangeOf(problem).start)) ?? [];
      return {
        title,
        kind: CodeActionKind.QuickFix,
        isPreferred: i === 0,
        diagnostics: matching,
        ...(edits === undefined ? {} : { edit: { changes: { [uriOf(problem.file.path)]: [...edits] } } }),
        ...(createDisk === undefined
          ? {}
          : { command: { title, command: CREATE_DISK, arguments: [...createDisk] } }),
      };
    }),
  );
}

function placeKey(code: Diagnostic['code'], { line, character }: Position): string {
  return `${code ?? ''}:${line}:${character}`;
}

type Maker = (problem: Problem, tree: ConfigTree) => readonly Fix[];

const MAKERS: Partial<Record<ProblemCode, Maker>> = {
  'brace-on-next-line': moveBrace,
  'newline-needed': (problem) => [splitLine(problem)],
  'quotes-needed': (problem) => [quote(problem)],
  'unknown-word': (problem) => replaceWith(problem),
  'disk-format': (problem) => replaceWith(problem),
  'format-needed': (problem) => [addFormat(problem)],
  rounded: (problem) => replaceWith(problem),
  value: (problem) => replaceWith(problem),
  comma: (problem) => [moveComma(problem)],
  'missing-brace': closeBlock,
  'unused-macro': (problem) => [removeLine(problem)],
  crlf: (problem) => [fixLineEnds(problem)],
  'unknown-switch': addSwitch,
  'undefined-macro': defineMacro,
  'disk-missing': (problem) => createDisk(problem),
};

function fixes(problem: Problem, tree: ConfigTree): readonly Fix[] {
  return MAKERS[problem.code]?.(problem, tree) ?? [];
}

/** Where the blanks before a problem begin. */
function blanksBefore({ file, start }: Problem): number {
  return (
    start -
    (/[ \t]*$/.exec(file.text.slice(file.lineStart(file.position(start).line), start))?.[0].length ?? 0)
  );
}

/** Indented as its line is. */
function splitLine(problem: Problem): Fix {
  const { file, start } = problem;
  const lineStart = file.lineStart(file.position(start).line);
  const indent =
    file.text.charAt(start) === '}' ? '' : (/^[ \t]*/.exec(file.text.slice(lineStart, start))?.[0] ?? '');
  const range = rangeOf({ file, start: blanksBefore(problem), end: start });
  return { title: 'Put this on a line of its own', edits: [{ range, newText: `\n${indent}` }] };
}

/** One too many, or one that is missing before this. */
function moveComma(problem: Problem): Fix {
  if (problem.file.text.charAt(problem.start) === ',')
    return { title: 'Remove the comma', edits: [{ range: rangeOf(problem), newText: '' }] };
  return { title: 'Insert a comma', edits: [insert(problem, blanksBefore(problem), ',')] };
}

function insert({ file }: Problem, offset: number, newText: string): TextEdit {
  return { range: rangeOf({ file, start: offset, end: offset }), newText };
}

/** To the end of the header, before a comment there: what is between stays below it. */
function moveBrace({ file, start, end }: Problem, tree: ConfigTree): readonly Fix[] {
  const tokens = statementAt(tree, file, end - 1)?.tokens;
  const header = tokens?.findLast((it) => it.file === file && it.kind !== 'newline' && it.end <= start);
  if (header === undefined) return [];
  const place = (from: number, to: number): Range => rangeOf({ file, start: from, end: to });
  const edits = [
    { range: place(header.end, header.end), newText: ' {' },
    { range: place(end - 1, end), newText: '' },
  ];
  return [{ title: 'Move { to the line above', edits }];
}

function quote(problem: Problem): Fix {
  const { file, start, end } = problem;
  const written = file.text.slice(start, end);
  // A value that begins with a mark goes on to the next blank.
  const rest =
    /^\w/.test(written) || problem.subject !== undefined
      ? ''
      : (/^[^\s{}#,]*/.exec(file.text.slice(end))?.[0] ?? '');
  const range = rangeOf({ file, start, end: end + rest.length });
  return { title: 'Quote the value', edits: [{ range, newText: `"${problem.subject ?? written + rest}"` }] };
}

function replaceWith(problem: Problem): readonly Fix[] {
  const { subject } = problem;
  return subject === undefined
    ? []
    : [{ title: `Change to ${subject}`, edits: [{ range: rangeOf(problem), newText: subject }] }];
}

function addFormat(problem: Problem): Fix {
  const format = `format ${problem.subject ?? ''}`;
  return { title: `Add ${format}`, edits: [insert(problem, problem.end, ` ${format}`)] };
}

function removeLine(problem: Problem): Fix {
  const { file, start } = problem;
  const { line } = file.position(start);
  const range: Range = rangeOf({
    file,
    start: file.lineStart(line),
    end: Math.min(file.lineEnd(line) + 1, file.text.length),
  });
  return { title: `Remove macro ${problem.subject ?? ''}`, edits: [{ range, newText: '' }] };
}

function fixLineEnds(problem: Problem): Fix {
  const edits: TextEdit[] = [];
  const { file } = problem;
  for (let at = file.text.indexOf('\r\n'); at >= 0; at = file.text.indexOf('\r\n', at + 1)) {
    edits.push({ range: rangeOf({ file, start: at, end: at + 1 }), newText: '' });
  }
  return { title: 'Use LF line ends', edits };
}

function addSwitch(problem: Problem, tree: ConfigTree): readonly Fix[] {
  const name = problem.subject ?? '';
  const near = suggestion(name, tree);
  const found: Fix[] =
    near === undefined
      ? []
      : [{ title: `Change to "${near}"`, edits: [{ range: rangeOf(problem), newText: `"${near}"` }] }];
  const statement = tree.statements.find((it) => it.node?.id === 'vm' && it.node.first.file === problem.file);
  const at = statement?.node?.first.start ?? 0;
  found.push({
    title: `Add switch "${name}"`,
    edits: [insert(problem, at, `switch "${name}" {\n\tinterface bridge0\n}\n\n`)],
  });
  return found;
}

function defineMacro(problem: Problem): readonly Fix[] {
  const { subject = '' } = problem;
  if (subject === '') return []; // a lone $
  return [{ title: `Define macro ${subject}`, edits: [insert(problem, 0, `${subject} = ""\n`)] }];
}

/** After the last line that was taken to belong to it. */
function closeBlock({ file, start }: Problem, tree: ConfigTree): readonly Fix[] {
  const node = statementAt(tree, file, start)?.node;
  for (const it of node === undefined ? [] : directivesIn(node)) {
    if (it.open?.file !== file || it.open.start !== start || it.last.file !== file) continue;
    const at = it.last.end;
    const newText = file.text.charAt(at - 1) === '\n' ? '}\n' : '\n}\n';
    return [{ title: 'Close the block', edits: [{ range: rangeOf({ file, start: at, end: at }), newText }] }];
  }
  return [];
}

/** In the format that the line or the name asks for. */
function createDisk(problem: Problem): readonly Fix[] {
  const path = problem.subject ?? '';
  const line = problem.file.text.slice(
    problem.end,
    problem.file.lineEnd(problem.file.position(problem.end).line),
  );
  const written = /\bformat\s+["']?(raw|qcow2)\b/i.exec(line)?.[1]?.toLowerCase();
  const isQcow2 = written === undefined ? /\.qcow2$/i.test(path) : written === 'qcow2';
  const format = isQcow2 ? 'qcow2' : 'raw';
  const bytes = Number(scanScaled(NEW_DISK_SIZE) ?? 0n);
  return [{ title: `Create a ${format} disk of ${NEW_DISK_SIZE}`, createDisk: [path, format, bytes] }];
}
