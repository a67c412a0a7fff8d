/**
 * Names with namespaces, classes and template arguments: how they are split, and how compilers spell them.
 */

import { DW_LANG } from '../../dwarf/constants.ts';

/** The parts of `outer::Box<a::B, 3>::size`: what is inside brackets stays together. */
export function splitPath(name: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < name.length; at++) {
    const letter = name[at] as string;
    // `operator<` and `->` are not brackets.
    if (letter === '<' && !/operator<?$/.test(name.slice(start, at))) depth++;
    else if (letter === '>' && name[at - 1] !== '-' && depth > 0) depth--;
    else if ('([{'.includes(letter)) depth++;
    else if (')]}'.includes(letter)) depth--;
    else if (depth === 0 && name.startsWith('::', at)) {
      parts.push(name.slice(start, at));
      start = at + 2;
      at++;
    }
  }
  parts.push(name.slice(start));
  return parts;
}

/** `outer::Circle` of `outer::Circle::size`; undefined for a name without scope. */
export function scopeOfName(name: string): string | undefined {
  const parts = splitPath(name);
  return parts.length < 2 ? undefined : parts.slice(0, -1).join('::');
}

/**
 * Every scope a name may be meant in, innermost first: `a::b::` and `a::` and nothing for what is inside
 * `a::b`.
 */
export function enclosingScopes(scope: string | undefined): string[] {
  const parts = scope === undefined ? [] : splitPath(scope);
  return parts.map((_, index) => `${parts.slice(0, parts.length - index).join('::')}::`).concat('');
}

/**
 * The same name as compilers record it: one blank after a comma, `> >` or `>>`, and types inside as gcc
 * (`char const*`, `long unsigned int`) or clang (`const char *`, `unsigned long`) writes them. The name
 * itself comes first, and is the only one when it has no template arguments.
 */
export function templateSpellings(name: string): string[] {
  if (!name.includes('<')) return [name];
  const tight = name
    .replace(/\s+/g, ' ')
    .replace(/ ?([<>,*&()[\]]) ?/g, '$1')
    .replace(/,/g, ', ');
  const gcc = tight
    .replace(/\bconst ([\w:]+)(?=[*&])/g, '$1 const')
    .replace(
      /\bunsigned (short|long long|long)\b(?: int)?|\b(long long|long|short)\b(?! double| int| unsigned)/g,
      gccName,
    );
  const clang = tight.replace(/([\w>])([*&]+)/g, '$1 $2');
  return [name, ...[tight, gcc, clang].flatMap((one) => [one, one.replace(/>(?=>)/g, '> ')])].filter(
    (one, at, all) => all.indexOf(one) === at,
  );
}

function gccName(_all: string, unsigned: string | undefined, signed: string | undefined): string {
  return unsigned === undefined ? `${signed} int` : `${unsigned} unsigned int`;
}

/** C names its types with a keyword (`struct node`), these languages by namespaces and classes. */
export function hasNamespaces(language: number | undefined): boolean {
  switch (language) {
    case DW_LANG.C_plus_plus:
    case DW_LANG.C_plus_plus_03:
    case DW_LANG.C_plus_plus_11:
    case DW_LANG.C_plus_plus_14:
    case DW_LANG.Rust:
    case DW_LANG.D:
    case DW_LANG.Swift:
      return true;
    default:
      return false;
  }
}
