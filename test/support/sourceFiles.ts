/** The product's sources and what they import, for test/architecture.test.ts. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

export interface Import {
  /** As written: `koffi`, `node:fs`, `../bus/bus.ts`. */
  readonly specifier: string;
  /** For a relative import: the file it names, relative to the repository. */
  readonly file?: string;
  /** Gone after compilation. */
  readonly typeOnly: boolean;
}

export interface SourceFile {
  /** Relative to the repository. */
  readonly file: string;
  readonly text: string;
  readonly imports: readonly Import[];
  /** Every identifier that the code (not a comment or a string) contains. */
  readonly identifiers: ReadonlySet<string>;
  /**
   * Strings that denote a kind of something: `kind: 'x'`, `it.kind === 'x'`, `case 'x'`, `'x'` as a type.
   */
  readonly kinds: ReadonlySet<string>;
  /** Every text between quotes or back ticks, but not what is imported from. */
  readonly literals: ReadonlySet<string>;
}

/** How a union's tag is called here, and in DAP. */
const TAGS = ['kind', 'reason'];

/** All `.ts` files below the folders except tests and declarations. */
export function sourceFiles(root: string, folders: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((it) => path.posix.join(folder, it))
      .filter((it) => it.endsWith('.ts') && !it.endsWith('.test.ts') && !it.endsWith('.d.ts'))
      .sort()
      .map((file) => parse(file, readFileSync(path.join(root, file), 'utf8'))),
  );
}

export function parse(file: string, text: string): SourceFile {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, false);
  const imports: Import[] = [];
  const identifiers = new Set<string>();
  const kinds = new Set<string>();
  const literals = new Set<string>();
  const add = (specifier: string, typeOnly: boolean): void => {
    const isRelative = specifier.startsWith('.');
    const target = isRelative ? { file: path.posix.join(path.posix.dirname(file), specifier) } : {};
    imports.push({ specifier, typeOnly, ...target });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) identifiers.add(node.text);
    for (const kind of kindsIn(node)) kinds.add(kind);
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node))
      literals.add(node.text);
    if (ts.isImportDeclaration(node)) add(literal(node.moduleSpecifier), isTypeImport(node));
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier)
      add(literal(node.moduleSpecifier), node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(literal(node.argument.literal), true);
    else if (ts.isCallExpression(node) && isModuleLoad(node)) add(literal(node.arguments[0]), false);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  for (const { specifier } of imports) literals.delete(specifier);
  return { file, text, imports, identifiers, kinds, literals };
}

function kindsIn(node: ts.Node): string[] {
  if (ts.isLiteralTypeNode(node)) return strings(node.literal);
  if (ts.isCaseClause(node)) return strings(node.expression);
  if (ts.isPropertyAssignment(node) && isTag(node.name)) return strings(node.initializer);
  if (!ts.isBinaryExpression(node)) return [];
  const sides = [node.left, node.right];
  return sides.some(isTag) ? sides.flatMap(strings) : [];
}

function isTag(node: ts.Node): boolean {
  const name = ts.isPropertyAccessExpression(node) ? node.name : node;
  return ts.isIdentifier(name) && TAGS.includes(name.text);
}

/** The string, or those between which a condition chooses. */
function strings(node: ts.Node): string[] {
  if (ts.isConditionalExpression(node)) return [...strings(node.whenTrue), ...strings(node.whenFalse)];
  return ts.isStringLiteralLike(node) ? [node.text] : [];
}

/**
 * Files that import each other in any way, types included: the strongly connected components of more than
 * one file, by Tarjan's algorithm (Depth-first search and linear graph algorithms, 1972). Each is sorted.
 */
export function importCircles(sources: readonly SourceFile[]): string[][] {
  const byName = new Map(sources.map((it) => [it.file, it]));
  const order = new Map<string, number>();
  const open: string[] = [];
  const circles: string[][] = [];
  /** The earliest file still open that can be reached. */
  const visit = (file: string): number => {
    const own = order.size;
    order.set(file, own);
    open.push(file);
    let earliest = own;
    for (const { file: next } of byName.get(file)?.imports ?? []) {
      if (next === undefined || !byName.has(next)) continue;
      if (!order.has(next)) earliest = Math.min(earliest, visit(next));
      else if (open.includes(next)) earliest = Math.min(earliest, order.get(next) ?? own);
    }
    if (earliest < own) return earliest;
    const circle = open.splice(open.indexOf(file));
    if (circle.length > 1) circles.push(circle.sort());
    return own;
  };
  for (const file of byName.keys()) if (!order.has(file)) visit(file);
  return circles;
}

/** The tokens of a file without comments and layout: what a reformatting keeps. */
export function tokens(text: string): string[] {
  const scanner = ts.createScanner(ts.ScriptTarget.ES2022, true, ts.LanguageVariant.Standard, text);
  const found: string[] = [];
  while (scanner.scan() !== ts.SyntaxKind.EndOfFileToken) found.push(scanner.getTokenText());
  return found;
}

function isTypeImport(node: ts.ImportDeclaration): boolean {
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const names = clause.namedBindings;
  if (clause.name !== undefined || names === undefined || !ts.isNamedImports(names)) return false;
  return names.elements.length > 0 && names.elements.every((it) => it.isTypeOnly);
}

/** `import('x')` or `require('x')`. */
function isModuleLoad(node: ts.CallExpression): boolean {
  const { expression } = node;
  const isLoad =
    expression.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(expression) && expression.text === 'require');
  return isLoad && node.arguments.length > 0;
}

/** A computed specifier becomes one that no rule allows and that is easy to find. */
function literal(node: ts.Node | undefined): string {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : '<computed>';
}
