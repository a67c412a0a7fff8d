/**
 * vm.conf's parser: the grammar of vmd's parse.y by recursive descent over directives.ts. It never fails:
 * what it cannot make out it reports, and continues with the next option or statement. What vmd refuses for a
 * value rather than for its form is left to checkStatement.ts.
 */
import type { ConfigHost } from '../config/configHost.ts';
import { IncludeBudget } from './includeBudget.ts';
import { Lexer } from './lexer.ts';
import { StatementParser } from './statementParser.ts';
import type { Problem } from './problem.ts';
import type { SourceFile } from './sourceFile.ts';
import type { ConfigTree, Dialect, Statement } from './syntaxTree.ts';
import type { MacroDefinition } from './token.ts';

export interface ParseOptions {
  readonly host: ConfigHost;
  readonly dialect?: Dialect;
  /** `-D name=value`: definitions in files do not replace these. */
  readonly define?: Readonly<Record<string, string>>;
}

export function parseConfigFile(root: SourceFile, options: ParseOptions): ConfigTree {
  const macros = new Map<string, MacroDefinition>();
  for (const [name, value] of Object.entries(options.define ?? {})) {
    macros.set(name, { name, value, isFixed: true });
  }
  const files = [root];
  const includes = new IncludeBudget();
  const statements = readStatements({
    root,
    offset: 0,
    macros,
    files,
    includes,
    options,
    isEnough: () => false,
  });
  const dialect = options.dialect ?? 'trapframe';
  return { root, dialect, statements, files, macros, isCut: includes.isSpent };
}

export interface ReadRequest {
  readonly root: SourceFile;
  /** Where to begin: between two statements. */
  readonly offset: number;
  /** Defined so far; grows. */
  readonly macros: Map<string, MacroDefinition>;
  /** Grows with every file that is included. */
  readonly files: SourceFile[];
  readonly includes: IncludeBudget;
  readonly options: ParseOptions;
  /** Asked after every statement of the root: stop here? */
  readonly isEnough: (statement: Statement) => boolean;
}

export function readStatements(request: ReadRequest): Statement[] {
  const { root, options } = request;
  const problems: Problem[] = [];
  const lexer = new Lexer(root, request.offset, {
    macros: request.macros,
    report: (problem) => problems.push(problem),
  });
  const parser = new StatementParser({
    lexer,
    problems,
    macros: request.macros,
    files: request.files,
    includes: request.includes,
    host: options.host,
    dialect: options.dialect ?? 'trapframe',
  });
  const statements: Statement[] = [];
  for (;;) {
    const statement = parser.statement();
    statements.push(statement);
    if (parser.isOver || request.isEnough(statement)) return statements;
  }
}

/** All that lexer and parser found, in the order of the text. */
export function syntaxProblems(tree: ConfigTree): Problem[] {
  return tree.statements.flatMap((it) => it.problems);
}
