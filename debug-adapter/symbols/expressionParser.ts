/** Expressions as trees. C's grammar and precedence; names are resolved later, except that a cast needs to know what is a type. */
import { type Token, tokenize } from './expressionLexer.ts';
import { QueryError } from './queryError.ts';

/** `unsigned long *`, `struct node [4]`: resolved against the image when evaluated. */
export interface TypeSyntax {
  /** `struct node`, `unsigned long`, `word_t`, without qualifiers. */
  readonly base: string;
  readonly pointers: number;
  readonly counts: readonly number[];
  readonly column: number;
}

export type Node =
  | { readonly kind: 'integer'; readonly value: bigint; readonly text: string; readonly column: number }
  | { readonly kind: 'float'; readonly value: number; readonly column: number }
  | {
      readonly kind: 'name';
      readonly name: string;
      readonly file: string | undefined;
      readonly column: number;
    }
  | { readonly kind: 'register'; readonly name: string; readonly column: number }
  | { readonly kind: 'unary'; readonly operator: string; readonly operand: Node; readonly column: number }
  | {
      readonly kind: 'binary';
      readonly operator: string;
      readonly left: Node;
      readonly right: Node;
      readonly column: number;
    }
  | {
      readonly kind: 'conditional';
      readonly test: Node;
      readonly yes: Node;
      readonly no: Node;
      readonly column: number;
    }
  | { readonly kind: 'cast'; readonly type: TypeSyntax; readonly operand: Node; readonly column: number }
  | {
      readonly kind: 'member';
      readonly owner: Node;
      readonly name: string;
      readonly arrow: boolean;
      readonly column: number;
    }
  | { readonly kind: 'index'; readonly array: Node; readonly index: Node; readonly column: number }
  | { readonly kind: 'sizeofType'; readonly type: TypeSyntax; readonly column: number }
  | { readonly kind: 'sizeof'; readonly operand: Node; readonly column: number }
  | { readonly kind: 'assign'; readonly place: Node; readonly value: Node; readonly column: number };

const MAX_DEPTH = 200;

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
  '+': 9,
  '-': 9,
  '*': 10,
  '/': 10,
  '%': 10,
};

const TAG_WORDS = new Set(['struct', 'union', 'enum', 'class']);
const BASE_WORDS = new Set([
  'void',
  'char',
  'short',
  'int',
  'long',
  'float',
  'double',
  'signed',
  'unsigned',
  '_Bool',
  'bool',
]);
const QUALIFIERS = new Set(['const', 'volatile', 'restrict', '__restrict', '_Atomic']);

/** `isType` decides whether `(name)` begins a cast. Throws QueryError with the column of the mistake. */
export function parseExpression(text: string, isType: (name: string) => boolean): Node {
  const parser = new Parser(tokenize(text), isType);
  const node = parser.assignment(0);
  parser.expectEnd();
  return node;
}

/** `struct node *`: a type alone. */
export function parseTypeName(text: string): TypeSyntax {
  const parser = new Parser(tokenize(text), () => true);
  const type = parser.typeName();
  parser.expectEnd();
  return type;
}

class Parser {
  private readonly tokens: readonly Token[];
  private readonly isType: (name: string) => boolean;
  private at = 0;

  constructor(tokens: readonly Token[], isType: (name: string) => boolean) {
    this.tokens = tokens;
    this.isType = isType;
  }

  expectEnd(): void {
    if (this.peek.kind !== 'end') throw this.unexpected();
  }

  assignment(depth: number): Node {
    const place = this.conditional(depth);
    const { column, text } = this.peek;
    if (this.peek.kind !== 'symbol' || !/^(?:[-+*/%&|^]|<<|>>)?=$/.test(text)) return place;
    this.at++;
    const right = this.assignment(depth + 1);
    const operator = text.slice(0, -1);
    const value: Node = operator === '' ? right : { kind: 'binary', operator, left: place, right, column };
    return { kind: 'assign', place, value, column };
  }

  typeName(): TypeSyntax {
    const { column } = this.peek;
    const words: string[] = [];
    for (;;) {
      const { kind, text } = this.peek;
      if (kind !== 'name') break;
      if (QUALIFIERS.has(text)) this.at++;
      else if (TAG_WORDS.has(text) && words.length === 0) {
        this.at++;
        words.push(text, this.qualifiedName());
      } else if (BASE_WORDS.has(text) && (words.length === 0 || BASE_WORDS.has(words[0] as string))) {
        words.push(text);
        this.at++;
      } else if (words.length === 0) words.push(this.qualifiedName());
      else break;
    }
    if (words.length === 0) throw this.unexpected('a type');
    let pointers = 0;
    while (this.take('*')) {
      pointers++;
      while (this.peek.kind === 'name' && QUALIFIERS.has(this.peek.text)) this.at++;
    }
    const counts: number[] = [];
    while (this.take('[')) {
      const token = this.next();
      if (token.kind !== 'integer')
        throw new QueryError('an array type needs a number of elements', token.column);
      counts.push(Number(token.value));
      this.expect(']');
    }
    return { base: words.join(' '), pointers, counts, column };
  }

  private conditional(depth: number): Node {
    const test = this.binary(1, depth);
    const { column } = this.peek;
    if (!this.take('?')) return test;
    const yes = this.assignment(depth + 1);
    this.expect(':');
    return { kind: 'conditional', test, yes, no: this.conditional(depth + 1), column };
  }

  /** Precedence climbing: operators of at least `minimum`, all of them left associative. */
  private binary(minimum: number, depth: number): Node {
    if (depth > MAX_DEPTH) throw new QueryError('expression is nested too deeply', this.peek.column);
    let left = this.unary(depth + 1);
    for (;;) {
      const { kind, text: operator, column } = this.peek;
      const precedence = kind === 'symbol' ? (PRECEDENCE[operator] ?? 0) : 0;
      if (precedence < minimum) return left;
      this.at++;
      left = { kind: 'binary', operator, left, right: this.binary(precedence + 1, depth + 1), column };
    }
  }

  private unary(depth: number): Node {
    if (depth > MAX_DEPTH) throw new QueryError('expression is nested too deeply', this.peek.column);
    const { kind, text, column } = this.peek;
    if (kind === 'symbol' && '+-!~*&'.includes(text) && text.length === 1) {
      this.at++;
      return { kind: 'unary', operator: text, operand: this.unary(depth + 1), column };
    }
    if (kind === 'name' && text === 'sizeof') return this.sizeof(depth);
    if (kind === 'symbol' && text === '(' && this.startsType(this.tokens[this.at + 1])) {
      this.at++;
      const type = this.typeName();
      this.expect(')');
      return { kind: 'cast', type, operand: this.unary(depth + 1), column };
    }
    return this.postfix(this.primary(depth), depth);
  }

  private sizeof(depth: number): Node {
    const { column } = this.next();
    if (this.peek.text === '(' && this.startsType(this.tokens[this.at + 1])) {
      this.at++;
      const type = this.typeName();
      this.expect(')');
      return { kind: 'sizeofType', type, column };
    }
    return { kind: 'sizeof', operand: this.unary(depth + 1), column };
  }

  private postfix(first: Node, depth: number): Node {
    let node = first;
    for (;;) {
      const { column } = this.peek;
      if (this.take('[')) {
        const index = this.assignment(depth + 1);
        this.expect(']');
        node = { kind: 'index', array: node, index, column };
      } else if (this.take('.')) {
        node = { kind: 'member', owner: node, name: this.memberName(), arrow: false, column };
      } else if (this.take('->')) {
        node = { kind: 'member', owner: node, name: this.memberName(), arrow: true, column };
      } else return node;
    }
  }

  private primary(depth: number): Node {
    const token = this.next();
    const { column } = token;
    switch (token.kind) {
      case 'integer':
        return { kind: 'integer', value: token.value, text: token.text, column };
      case 'float':
        return { kind: 'float', value: token.value, column };
      case 'register':
        return { kind: 'register', name: token.text, column };
      case 'file':
        this.expect('::');
        return { kind: 'name', name: this.qualifiedName(), file: token.text, column };
      case 'name':
        this.at--;
        return { kind: 'name', name: this.qualifiedName(), file: undefined, column };
      case 'symbol':
        if (token.text === '(') {
          const inner = this.assignment(depth + 1);
          this.expect(')');
          return inner;
        }
        if (token.text === '::') return { kind: 'name', name: this.qualifiedName(), file: undefined, column };
        break;
      case 'end':
        break;
    }
    this.at--;
    throw this.unexpected('a value');
  }

  /** `a::b::c` */
  private qualifiedName(): string {
    const parts = [this.memberName()];
    while (this.peek.text === '::' && this.tokens[this.at + 1]?.kind === 'name') {
      this.at++;
      parts.push(this.memberName());
    }
    return parts.join('::');
  }

  private memberName(): string {
    const token = this.next();
    if (token.kind === 'name') return token.text;
    this.at--;
    throw this.unexpected('a name');
  }

  private startsType(token: Token | undefined): boolean {
    if (token?.kind !== 'name') return false;
    if (TAG_WORDS.has(token.text) || BASE_WORDS.has(token.text) || QUALIFIERS.has(token.text)) return true;
    return this.isType(this.nameFrom(this.tokens.indexOf(token)));
  }

  private nameFrom(index: number): string {
    const saved = this.at;
    this.at = index;
    const name = this.qualifiedName();
    this.at = saved;
    return name;
  }

  private get peek(): Token {
    return this.tokens[Math.min(this.at, this.tokens.length - 1)] as Token;
  }

  private next(): Token {
    const token = this.peek;
    this.at++;
    return token;
  }

  private take(symbol: string): boolean {
    const matches = this.peek.kind === 'symbol' && this.peek.text === symbol;
    if (matches) this.at++;
    return matches;
  }

  private expect(symbol: string): void {
    if (!this.take(symbol)) throw this.unexpected(symbol);
  }

  private unexpected(wanted?: string): QueryError {
    const { kind, text, column } = this.peek;
    const found = kind === 'end' ? 'the expression ends' : `unexpected ${text}`;
    return new QueryError(wanted === undefined ? found : `${found}, ${wanted} is missing`, column);
  }
}
