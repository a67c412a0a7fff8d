/** A value as the debug adapter sees it: one line of text, and what it expands to. */

/** What the debug adapter must do to the target to carry out an assignment. */
export type Assignment =
  | { readonly kind: 'memory'; readonly address: bigint; readonly bytes: Uint8Array }
  | { readonly kind: 'register'; readonly register: string; readonly value: bigint };

/** Members, or what a pointer leads to; and elements. */
export interface ChildCounts {
  readonly named: number;
  readonly indexed: number;
}

/** A value of the target with its type. Reads memory when asked, and only what is needed. */
export interface Value {
  /** As its programmer writes it: `struct point [4]`, `const char *`. */
  readonly typeName: string;
  /** False for an assembler label, which has only an address. */
  readonly isTyped: boolean;
  /** Where it is; undefined for values in registers, constants and bit-fields. */
  readonly address: bigint | undefined;
  readonly sizeBytes: number | undefined;
  /** Evaluates to it in the same frame, when there is such an expression. */
  readonly expression: string;
  /** How many children it has. May read memory: a vector's length is there. */
  childCounts(): Promise<ChildCounts>;
  /** Where a memory view would look: what a pointer leads to, else where the value is. */
  reference(): Promise<bigint | undefined>;
  /**
   * One line: `42`, `0x401136 <main>`, `{x = 1, y = 2}`, `<optimized out>`. `format` is a suffix without its
   * comma: `x` hex, `z` hex with all zeros, `h` hex for integers only, `d` decimal, `u` unsigned, `b` binary,
   * `o` octal, `c` character, `s` string, `a` address, `f` floating point, a number for that many elements,
   * or both as in `10x`.
   */
  display(format?: string): Promise<string>;
  /** Members, elements or the pointer's target, from `start`, at most `count`. */
  children(start?: number, count?: number): Promise<readonly NamedValue[]>;
  /**
   * The assignment of a number, character, enumerator, or `0x…` pointer written as text. Throws QueryError.
   */
  assign(text: string): Promise<Assignment>;
}

export interface NamedValue {
  readonly name: string;
  /** An expression that evaluates to it in the same frame, when there is one: for `evaluateName` of DAP. */
  readonly expression: string;
  readonly value: Value;
  /** A part that is not a plain member: a base class, a static member. */
  readonly role?: 'base' | 'static';
}
