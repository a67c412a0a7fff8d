/**
 * Expressions and types as trees, as the parser leaves them: names are not resolved. Columns count from 1.
 */

/**
 * One step from a type to one derived from it: a pointer to it, an array of it, a function that returns it.
 */
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

/** How deep expressions may nest: in the parser's recursion and in the tree. */
export const MAX_DEPTH = 256;

/**
 * How many levels are nested one inside another. Operators in a row, as in a sum, are one level: they are
 * evaluated in a row. Parts may be shared: `a += 1` has its place twice.
 */
export function depthOf(root: Node): number {
  const depths = new Map<Node, number>();
  const open: Node[] = [root];
  for (let node = open.at(-1); node !== undefined; node = open.at(-1)) {
    const parts = partsOf(node);
    const unknown = parts.filter((part) => !depths.has(part));
    if (unknown.length > 0) {
      open.push(...unknown);
      continue;
    }
    open.pop();
    const isRow = (part: Node): boolean =>
      node.kind === 'binary' && part === node.left && part.kind === 'binary';
    depths.set(
      node,
      parts.reduce((most, part) => Math.max(most, (depths.get(part) ?? 0) + (isRow(part) ? 0 : 1)), 0),
    );
  }
  return depths.get(root) ?? 0;
}

function partsOf(node: Node): Node[] {
  switch (node.kind) {
    case 'unary':
    case 'cast':
    case 'sizeof':
    case 'alignof':
      return [node.operand];
    case 'binary':
      return [node.left, node.right];
    case 'conditional':
      return [node.test, node.yes, node.no];
    case 'member':
      return [node.owner];
    case 'index':
      return [node.array, node.index];
    case 'assign':
      return [node.place, node.value];
    default:
      return [];
  }
}
