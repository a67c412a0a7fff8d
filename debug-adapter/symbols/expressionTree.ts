/** Expressions and types as trees, as the parser leaves them: names are not resolved. Columns count from 1. */

/** One step from a type to the one made of it: a pointer to it, an array of it, a function that returns it. */
export type TypeLayer =
  | { readonly kind: 'pointer'; readonly sigil: '*' | '&' | '&&' }
  | { readonly kind: 'array'; readonly count: number }
  | { readonly kind: 'function'; readonly parameters: readonly TypeSyntax[]; readonly variadic: boolean }
  | { readonly kind: 'memberPointer'; readonly owner: string };

/** `unsigned long *`, `struct node [4]`, `int (*)(char)`: resolved against the image when evaluated. */
export interface TypeSyntax {
  /** `struct node`, `unsigned long`, `a::Box<int, 3>`, without qualifiers. */
  readonly base: string;
  /** Innermost first: the order they are applied in. */
  readonly layers: readonly TypeLayer[];
  readonly column: number;
}

interface At {
  readonly column: number;
}

export type Node =
  | (At & { readonly kind: 'integer'; readonly value: bigint; readonly text: string })
  | (At & { readonly kind: 'float'; readonly value: number; readonly text: string })
  | (At & { readonly kind: 'string'; readonly value: string })
  | (At & { readonly kind: 'name'; readonly name: string; readonly file: string | undefined })
  | (At & { readonly kind: 'register'; readonly name: string })
  | (At & { readonly kind: 'unary'; readonly operator: string; readonly operand: Node })
  | (At & { readonly kind: 'binary'; readonly operator: string; readonly left: Node; readonly right: Node })
  | (At & { readonly kind: 'conditional'; readonly test: Node; readonly yes: Node; readonly no: Node })
  | (At & { readonly kind: 'cast'; readonly type: TypeSyntax; readonly operand: Node })
  | (At & { readonly kind: 'member'; readonly owner: Node; readonly name: string })
  | (At & { readonly kind: 'index'; readonly array: Node; readonly index: Node })
  | (At & { readonly kind: 'sizeofType' | 'alignofType'; readonly type: TypeSyntax })
  | (At & { readonly kind: 'sizeof' | 'alignof'; readonly operand: Node })
  | (At & { readonly kind: 'assign'; readonly place: Node; readonly value: Node });
