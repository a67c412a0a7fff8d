/**
 * Symbols of C++ and Rust as programmers read them. Only the targets of pointers need names here: paths
 * without template arguments and the tables of classes (Itanium C++ ABI §5.1.4); functions have theirs from
 * the debug information.
 */

const SPECIAL: Readonly<Record<string, string>> = {
  TV: 'vtable for ',
  TT: 'VTT for ',
  TI: 'typeinfo for ',
  TS: 'typeinfo name for ',
  GV: 'guard variable for ',
};

/** The last part of a legacy Rust symbol: a hash. */
const RUST_HASH = /^h[0-9a-f]{16}$/;

/** `vtable for outer::Circle` for `_ZTVN5outer6CircleE`; the symbol itself when it says more than a path. */
export function readableSymbol(symbol: string): string {
  const [, special = '', encoding = ''] = /^_Z(T[VTIS]|GV)?(.+)$/s.exec(symbol) ?? [];
  const path = sourcePath(encoding);
  return path === undefined ? symbol : `${SPECIAL[special] ?? ''}${path}`;
}

/** `N5outer6CircleE` or `7Diamond`: lengths and identifiers (§5.1.2 `<nested-name>`, `<source-name>`). */
function sourcePath(encoding: string): string | undefined {
  const isNested = encoding.startsWith('N');
  const parts: string[] = [];
  let at = isNested ? 1 : 0;
  for (;;) {
    if (isNested && encoding[at] === 'E') break;
    if (!isNested && parts.length === 1) break;
    const internal = encoding[at] === 'L' ? 1 : 0; // names with internal linkage
    const digits = /^\d+/.exec(encoding.slice(at + internal, at + internal + 6))?.[0];
    const length = Number(digits ?? 0);
    const start = at + internal + (digits?.length ?? 0);
    if (length === 0 || start + length > encoding.length) return undefined;
    parts.push(encoding.slice(start, start + length));
    at = start + length;
  }
  const isWhole = at === encoding.length - (isNested ? 1 : 0);
  if (!isWhole) return undefined;
  const named = parts.map((part) => (part.startsWith('_GLOBAL__N') ? '(anonymous namespace)' : part));
  return named.filter((part, index) => index === 0 || !RUST_HASH.test(part)).join('::');
}
