/** Type names as written in casts and sizeof: C's and C++'s with abstract declarators, Rust's after `as`. */
import { QueryError } from '../base/queryError.ts';
import type { TypeLayer, TypeSyntax } from './syntaxTree.ts';
import type { TokenReader } from './tokenReader.ts';

const TAG_WORDS = new Set(['struct', 'union', 'enum', 'class']);
const BASE_WORDS = new Set([
  ...['void', 'char', 'short', 'int', 'long', 'float', 'double', 'signed', 'unsigned', '_Bool', 'bool'],
  ...['__int128', '_Complex'],
]);
const QUALIFIERS = new Set(['const', 'volatile', 'restrict', '__restrict', '_Atomic', 'typename']);
const MAX_DEPTH = 32;

/** Whether a word can only begin a type. */
export function isTypeWord(word: string): boolean {
  return TAG_WORDS.has(word) || BASE_WORDS.has(word) || QUALIFIERS.has(word);
}

/** `const struct node *(*)[4]`. Throws QueryError. */
export function parseType(reader: TokenReader, depth = 0): TypeSyntax {
  if (depth > MAX_DEPTH) throw reader.nestedTooDeeply(MAX_DEPTH);
  const { column } = reader.peek;
  const base = specifiers(reader);
  return { base, layers: declarator(reader, depth), column };
}

/** `*const u8`, `&[u16]`, `[T; 4]`, or a name. */
export function parseRustType(reader: TokenReader, depth = 0): TypeSyntax {
  if (depth > MAX_DEPTH) throw reader.nestedTooDeeply(MAX_DEPTH);
  const { column } = reader.peek;
  if (reader.take('*') || reader.take('&')) {
    if (reader.peek.kind === 'name' && ['const', 'mut'].includes(reader.peek.text)) reader.next();
    const target = parseRustType(reader, depth + 1);
    return { ...target, layers: [...target.layers, { kind: 'pointer', sigil: '*' }], column };
  }
  // No declarator: a star after a type is a product.
  if (!reader.take('[')) return { base: specifiers(reader), layers: [], column };
  const element = parseRustType(reader, depth + 1);
  if (reader.take(']')) return element;
  reader.expect(';');
  const count = arrayCount(reader);
  reader.expect(']');
  return { ...element, layers: [...element.layers, { kind: 'array', count }], column };
}

/** The words before the declarator, without qualifiers. */
function specifiers(reader: TokenReader): string {
  const words: string[] = [];
  for (;;) {
    const { kind, text } = reader.peek;
    if (kind === 'symbol' && text === '::' && words.length === 0) reader.next();
    else if (kind !== 'name') break;
    else if (QUALIFIERS.has(text)) reader.next();
    else if (TAG_WORDS.has(text) && words.length === 0) {
      reader.next();
      const name = reader.qualifiedName();
      words.push(text, name);
      reader.names.isType(`${text} ${name}`); // a type for certain, but it may have to be fetched first
    } else if (BASE_WORDS.has(text) && words.every((word) => BASE_WORDS.has(word))) {
      words.push(text);
      reader.next();
    } else if (words.length === 0) words.push(reader.qualifiedName());
    else break;
  }
  if (words.length === 0) throw reader.unexpected('a type');
  return words.join(' ');
}

/**
 * What is derived from the base: stars first, then what follows in brackets, then what the parentheses around
 * a star say (C11 §6.7.7).
 */
function declarator(reader: TokenReader, depth: number): TypeLayer[] {
  if (depth > MAX_DEPTH) throw reader.nestedTooDeeply(MAX_DEPTH);
  const layers: TypeLayer[] = pointers(reader);
  let inner: TypeLayer[] = [];
  if (reader.peek.text === '(' && startsDeclarator(reader)) {
    reader.next();
    inner = declarator(reader, depth + 1);
    reader.expect(')');
  }
  const suffixes: TypeLayer[] = [];
  for (;;) {
    if (suffixes.length > MAX_DEPTH) throw reader.nestedTooDeeply(MAX_DEPTH);
    if (reader.take('[')) {
      suffixes.push({ kind: 'array', count: arrayCount(reader) });
      reader.expect(']');
    } else if (inner.length > 0 && reader.take('(')) suffixes.push(parameters(reader, depth));
    else break;
  }
  return [...layers, ...suffixes.reverse(), ...inner];
}

function pointers(reader: TokenReader): TypeLayer[] {
  const layers: TypeLayer[] = [];
  for (;;) {
    if (layers.length > MAX_DEPTH) throw reader.nestedTooDeeply(MAX_DEPTH);
    const { kind, text } = reader.peek;
    if (kind === 'name' && QUALIFIERS.has(text)) reader.next();
    else if (reader.take('*')) layers.push({ kind: 'pointer', sigil: '*' });
    else if (reader.take('&')) layers.push({ kind: 'pointer', sigil: '&' });
    else if (reader.take('&&')) layers.push({ kind: 'pointer', sigil: '&&' });
    else {
      const owner = reader.memberPointerOwner();
      if (owner === undefined) return layers;
      layers.push({ kind: 'memberPointer', owner });
    }
  }
}

/** `(*` and `(Class::*` open a declarator; another parenthesis here would be a call. */
function startsDeclarator(reader: TokenReader): boolean {
  const after = reader.peekAt(1);
  if (after.kind === 'symbol') return after.text === '*' || after.text === '&';
  return after.kind === 'name' && reader.peekAt(2).text === '::';
}

function parameters(reader: TokenReader, depth: number): TypeLayer {
  const list: TypeSyntax[] = [];
  if (reader.take(')')) return { kind: 'function', parameters: list, variadic: false };
  do {
    if (reader.take('.')) {
      reader.expect('.');
      reader.expect('.');
      reader.expect(')');
      return { kind: 'function', parameters: list, variadic: true };
    }
    list.push(parseType(reader, depth + 1));
  } while (reader.take(','));
  reader.expect(')');
  const isVoid = list.length === 1 && list[0]?.base === 'void' && list[0].layers.length === 0;
  return { kind: 'function', parameters: isVoid ? [] : list, variadic: false };
}

function arrayCount(reader: TokenReader): number {
  const token = reader.next();
  if (token.kind !== 'integer')
    throw new QueryError('an array type needs a number of elements', token.column);
  return Number(token.value);
}
