/**
 * What is wrong with a vm.conf, and where: diagnostics in an editor, `file:line:col: message` on a terminal.
 */
import type { ProblemCode } from '../config/problemCode.ts';
import type { SourceFile } from './sourceFile.ts';

export type Severity = 'error' | 'warning';

/** Offsets move when the text before them changes (reparse.ts), hence not readonly. */
export interface Problem {
  readonly severity: Severity;
  readonly code: ProblemCode;
  /** One sentence, without a final period: what is wrong and what to do. */
  readonly message: string;
  file: SourceFile;
  start: number;
  end: number;
  /** What a quick fix works on: a name, or the replacement text. */
  readonly subject?: string;
}

/** `file:line:col: message`, counted from one as compilers do; warnings say so. */
export function formatProblem(problem: Problem): string {
  const { line, character } = problem.file.position(problem.start);
  const kind = problem.severity === 'warning' ? 'warning: ' : '';
  return `${problem.file.path}:${line + 1}:${character + 1}: ${kind}${problem.message}`;
}

/** In the order of the text. */
export function byPlace(a: Problem, b: Problem): number {
  return a.start - b.start || a.end - b.end;
}

/** Without repetitions: wrong line ends are reported once per file. */
export function distinct(problems: readonly Problem[]): Problem[] {
  const files = new Set<SourceFile>();
  return problems.filter(({ code, file }) => {
    const isAgain = code === 'crlf' && files.has(file);
    if (code === 'crlf') files.add(file);
    return !isAgain;
  });
}
