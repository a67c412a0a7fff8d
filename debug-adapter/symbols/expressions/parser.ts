/**
 * Expressions as trees: C's grammar and precedence with C++'s and Rust's additions. Names are resolved later,
 * but casts and template arguments need to know what is a type.
 */
import { QueryError } from '../base/queryError.ts';
import { MAX_DEPTH, type Node, type TypeSyntax, depthOf } from './syntaxTree.ts';
import { type KnownNames, TokenReader } from './tokenReader.ts';
import { isTypeWord, parseRustType, parseType } from './typeParser.ts';

/** C++ §7.6 (and C11 §6.5.5 to §6.5.14); `@` is gdb's: `*p@3`, as many elements from there. */
const PRECEDENCE: Readonly<Record<string, number>> = {
  '||': 1,
  '&&': 2,
  '|': 3,
  '^': 4,
  '&': 5,
  '==': 6,
  '!=': 6,
  '<': 7,
  '>': 7,
  '<=': 7,
  '>=': 7,
  '<<': 8,
  '>>': 8,
  '@': 9,
  '+': 10,
  '-': 10,
  '*': 11,
  '/': 11,
  '%': 11,
  '.*': 12,
  '->*': 12,
};

const ASSIGNMENT = /^(?:[-+*/%&|^]|<<|>>)?=$/;
const CPP_CASTS = new Set(['static_cast', 'reinterpret_cast', 'const_cast', 'dynamic_cast']);
const SIZEOF_WORDS: Readonly<Record<string, 'sizeof' | 'alignof'>> = {
  sizeof: 'sizeof',
  alignof: 'alignof',
  _Alignof: 'alignof',
  __alignof__: 'alignof',
};
const NO_NAMES: KnownNames = { isType: () => true, isTemplate: () => true };

/** Throws QueryError with the column of the mistake. */
export function parseExpression(text: string, names: KnownNames): Node {
  const parser = new Parser(new TokenReader(text, names));
  return parser.whole();
}

/** `struct node *`: a type alone. */
export function parseTypeName(text: string): TypeSyntax {
  const reader = new TokenReader(text, NO_NAMES);
  const type = parseType(reader);
  reader.expectEnd();
  return type;
}

class Parser {
  readonly #reader: TokenReader;

  constructor(reader: TokenReader) {
    this.#reader = reader;
  }

  whole(): Node {
    const node = this.#assignment(0);
    this.#reader.expectEnd();
    // Chains such as `a.b.c` nest without recursion here, but not where they are evaluated.
    if (depthOf(node) > MAX_DEPTH) throw this.#reader.nestedTooDeeply(MAX_DEPTH);
    return node;
  }

  #assignment(depth: number): Node {
    const reader = this.#reader;
    const place = this.#conditional(depth);
    const { kind, column, text } = reader.peek;
    if (kind !== 'symbol' || !ASSIGNMENT.test(text)) return place;
    reader.next();
    return assign(place, text.slice(0, -1), this.#assignment(depth + 1), column);
  }

  #conditional(depth: number): Node {
    const reader = this.#reader;
    const test = this.#binary(1, depth);
    const { column } = reader.peek;
    if (!reader.take('?')) return test;
    const yes = this.#assignment(depth + 1);
    reader.expect(':');
    return { kind: 'conditional', test, yes, no: this.#conditional(depth + 1), column };
  }

  /** Precedence climbing: operators of at least `minimum`, all of them left associative. */
  #binary(minimum: number, depth: number): Node {
    const reader = this.#reader;
    let left = this.#converted(depth + 1);
    for (;;) {
      const { kind, text: operator, column } = reader.peek;
      const precedence = kind === 'symbol' ? (PRECEDENCE[operator] ?? 0) : 0;
      if (precedence < minimum) return left;
      reader.next();
      left = { kind: 'binary', operator, left, right: this.#binary(precedence + 1, depth + 1), column };
    }
  }

  /** Rust's `as`, which binds tighter than every binary operator. */
  #converted(depth: number): Node {
    const reader = this.#reader;
    let node = this.#unary(depth);
    for (;;) {
      const { column } = reader.peek;
      if (!reader.takeWord('as')) return node;
      node = { kind: 'cast', type: parseRustType(reader), operand: node, column };
    }
  }

  #unary(depth: number): Node {
    const reader = this.#reader;
    if (depth > MAX_DEPTH) throw reader.nestedTooDeeply(MAX_DEPTH);
    const { kind, text, column } = reader.peek;
    if (kind === 'symbol' && (text === '++' || text === '--')) {
      reader.next();
      return step(this.#unary(depth + 1), text, column);
    }
    if (kind === 'symbol' && text === '&&') {
      // Two address operators in a row: Rust's `&&x`.
      reader.next();
      const inner: Node = {
        kind: 'unary',
        operator: '&',
        operand: this.#unary(depth + 1),
        column: column + 1,
      };
      return { kind: 'unary', operator: '&', operand: inner, column };
    }
    if (kind === 'symbol' && text.length === 1 && '+-!~*&'.includes(text)) {
      reader.next();
      if (text === '&' && reader.peekAt(1).kind === 'name') reader.takeWord('mut');
      return { kind: 'unary', operator: text, operand: this.#unary(depth + 1), column };
    }
    const measure = kind === 'name' ? SIZEOF_WORDS[text] : undefined;
    if (measure !== undefined) return this.#measured(measure, depth);
    if (this.#startsCast()) {
      reader.next();
      const type = parseType(reader);
      reader.expect(')');
      return { kind: 'cast', type, operand: this.#unary(depth + 1), column };
    }
    return this.#postfix(this.#primary(depth), depth);
  }

  #measured(what: 'sizeof' | 'alignof', depth: number): Node {
    const reader = this.#reader;
    const { column } = reader.next();
    if (!this.#startsCast()) return { kind: what, operand: this.#unary(depth + 1), column };
    reader.next();
    const type = parseType(reader);
    reader.expect(')');
    return { kind: what === 'sizeof' ? 'sizeofType' : 'alignofType', type, column };
  }

  #postfix(first: Node, depth: number): Node {
    const reader = this.#reader;
    let node = first;
    for (;;) {
      const { column, text, kind } = reader.peek;
      if (reader.take('[')) {
        const index = this.#assignment(depth + 1);
        reader.expect(']');
        node = { kind: 'index', array: node, index, column };
      } else if (reader.take('.') || reader.take('->')) {
        node = { kind: 'member', owner: node, name: reader.qualifiedName(), column };
      } else if (kind === 'symbol' && text === '(') {
        throw new QueryError('functions of the program cannot be called', column);
      } else if (kind === 'symbol' && (text === '++' || text === '--')) {
        reader.next();
        node = step(node, text, column);
      } else return node;
    }
  }

  #primary(depth: number): Node {
    const reader = this.#reader;
    const token = reader.peek;
    const { column, text } = token;
    switch (token.kind) {
      case 'integer':
      case 'float':
      case 'string':
        reader.next();
        return token;
      case 'register':
        reader.next();
        return { kind: 'register', name: text, column };
      case 'file':
        reader.next();
        reader.expect('::');
        return { kind: 'name', name: reader.qualifiedName(), file: text, column };
      case 'name':
        return this.#named(depth);
      case 'symbol':
        if (reader.take('::')) return { kind: 'name', name: reader.qualifiedName(), file: undefined, column };
        if (!reader.take('(')) break;
        return this.#parenthesized(depth);
      case 'end':
        break;
    }
    throw reader.unexpected('a value');
  }

  #parenthesized(depth: number): Node {
    const inner = this.#assignment(depth + 1);
    this.#reader.expect(')');
    return inner;
  }

  #named(depth: number): Node {
    const reader = this.#reader;
    const { text, column } = reader.peek;
    const after = reader.peekAt(1).text;
    if (CPP_CASTS.has(text) && after === '<') return this.#cppCast(depth);
    if (after === '(' && /^(?:__builtin_)?offsetof$/.test(text)) return this.#offsetOf(depth);
    if (after === '(' && text === 'container_of') return this.#containerOf(depth);
    return { kind: 'name', name: reader.qualifiedName(), file: undefined, column };
  }

  #cppCast(depth: number): Node {
    const reader = this.#reader;
    const { column } = reader.next();
    reader.next();
    const type = parseType(reader);
    reader.expect('>');
    reader.expect('(');
    return { kind: 'cast', type, operand: this.#parenthesized(depth), column };
  }

  /** `offsetof(struct node, at.x)`: the address of that member of an object at zero, as a number. */
  #offsetOf(depth: number): Node {
    const reader = this.#reader;
    const { column } = reader.next();
    reader.next();
    const type = parseType(reader);
    reader.expect(',');
    return this.#offsetFrom(type, column, depth);
  }

  #offsetFrom(type: TypeSyntax, column: number, depth: number): Node {
    const reader = this.#reader;
    const pointer: TypeSyntax = { ...type, layers: [...type.layers, { kind: 'pointer', sigil: '*' }] };
    const zero: Node = { kind: 'integer', value: 0n, text: '0', column };
    let member: Node = { kind: 'cast', type: pointer, operand: zero, column };
    do {
      member = { kind: 'member', owner: member, name: reader.qualifiedName(), column: reader.peek.column };
      while (reader.take('[')) {
        const index = this.#assignment(depth + 1);
        reader.expect(']');
        member = { kind: 'index', array: member, index, column };
      }
    } while (reader.take('.'));
    reader.expect(')');
    const address: Node = { kind: 'unary', operator: '&', operand: member, column };
    return { kind: 'cast', type: { base: 'unsigned long', layers: [], column }, operand: address, column };
  }

  /** `container_of(pointer, struct node, list)`: Linux's way from a member to its structure. */
  #containerOf(depth: number): Node {
    const reader = this.#reader;
    const { column } = reader.next();
    reader.next();
    const member = this.#assignment(depth + 1);
    reader.expect(',');
    const type = parseType(reader);
    reader.expect(',');
    const offset = this.#offsetFrom(type, column, depth);
    const bytes: TypeSyntax = { base: 'char', layers: [{ kind: 'pointer', sigil: '*' }], column };
    const start: Node = {
      kind: 'binary',
      operator: '-',
      left: { kind: 'cast', type: bytes, operand: member, column },
      right: offset,
      column,
    };
    const pointer: TypeSyntax = { ...type, layers: [...type.layers, { kind: 'pointer', sigil: '*' }] };
    return { kind: 'cast', type: pointer, operand: start, column };
  }

  /** Whether a parenthesis with a type in it, and nothing else, is next. */
  #startsCast(): boolean {
    const reader = this.#reader;
    const after = reader.peekAt(1);
    if (reader.peek.kind !== 'symbol' || reader.peek.text !== '(') return false;
    if (after.kind === 'name' && isTypeWord(after.text)) return true;
    if (after.kind !== 'name' && after.text !== '::') return false;
    const found = reader.tryOut(() => {
      reader.next();
      reader.take('::');
      const name = reader.qualifiedName();
      return reader.names.isType(name) || isPointerTo(reader);
    });
    return found === true;
  }
}

function assign(place: Node, operator: string, right: Node, column: number): Node {
  const value: Node = operator === '' ? right : { kind: 'binary', operator, left: place, right, column };
  return { kind: 'assign', place, value, column };
}

/** `x++` and `++x`: as a statement they are the same. */
function step(place: Node, operator: string, column: number): Node {
  return assign(place, operator.slice(0, 1), { kind: 'integer', value: 1n, text: '1', column }, column);
}

/** Stars and a closing parenthesis: whatever the name before is, it is meant to be a type. */
function isPointerTo(reader: TokenReader): boolean {
  const isPointer = reader.take('*');
  while (reader.take('*'));
  return isPointer && reader.take(')');
}
