/**
 * Whether a function is the one that a person means by a name: `ns::Class::method` with or without its
 * parameters, its namespaces (`Class::method`, `method`) and the arguments of its templates (`Box::sum` for
 * `Box<int, 3>::sum`).
 */
import { splitPath } from '../types/qualifiedNames.ts';

export interface WantedFunction {
  /** Innermost last. */
  readonly parts: readonly string[];
  /** As written, without blanks; undefined when there are none. */
  readonly parameters: readonly string[] | undefined;
}

export function parseFunctionName(text: string): WantedFunction {
  const [, name = text, list] =
    /^(.*?[^\s(]|.*operator\(\))\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)(?: const)?$/.exec(text) ?? [];
  const isOperator = /\boperator$/.test(name); // the parentheses are its name
  if (list === undefined || isOperator) return { parts: splitPath(text), parameters: undefined };
  return { parts: splitPath(name), parameters: splitList(list).map(canonicalType) };
}

export function isFunctionNamed(wanted: WantedFunction, qualified: string): boolean {
  const parts = splitPath(qualified);
  const { length } = wanted.parts;
  if (length > parts.length) return false;
  return wanted.parts.every((part, index) => isPartNamed(part, parts[parts.length - length + index] ?? ''));
}

export function haveSameParameters(wanted: WantedFunction, types: readonly string[]): boolean {
  const { parameters } = wanted;
  if (parameters === undefined) return true;
  return parameters.length === types.length && types.every((it, at) => canonicalType(it) === parameters[at]);
}

/** The longest plain name in what is asked for: the mangled name of every match contains it. */
export function mangledFragment({ parts }: WantedFunction): string | undefined {
  const names = parts.map((part) => /^~?([A-Za-z_]\w*)/.exec(part)?.[1] ?? '');
  const plain = names.filter((name) => name !== '' && name !== 'operator');
  const longest = plain.reduce((best, name) => (name.length > best.length ? name : best), '');
  return longest === '' ? undefined : `${longest.length}${longest}`;
}

function isPartNamed(wanted: string, part: string): boolean {
  const tight = canonicalType(part);
  return canonicalType(wanted) === tight || (!wanted.includes('<') && wanted === part.replace(/<.*>$/s, ''));
}

/** `char const *` and `const char*`, `long unsigned int` and `unsigned long` are the same type. */
function canonicalType(text: string): string {
  return text
    .replace(/\b(long|short) unsigned int\b/g, 'unsigned $1')
    .replace(/\b(long|short) int\b/g, '$1')
    .replace(/\b([\w:]+(?:<[^<>]*>)?) const(?=\s*(?:[*&,>]|$))/g, 'const $1')
    .replace(/\s+/g, '');
}

/** At the commas outside of brackets. */
function splitList(list: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let item = '';
  for (const letter of list) {
    if ('<([{'.includes(letter)) depth++;
    if ('>)]}'.includes(letter)) depth--;
    if (letter === ',' && depth === 0) {
      items.push(item.trim());
      item = '';
    } else item += letter;
  }
  if (item.trim() !== '' && item.trim() !== 'void') items.push(item.trim());
  return items;
}
