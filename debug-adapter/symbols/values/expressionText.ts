/**
 * Building expressions for values that were reached by expanding others, and removing format suffixes from
 * what users type.
 */

/** `a.b`, `p->b`, `(*p).b`: what evaluates to a member. Anonymous parts are reached through their owner. */
export function memberExpression(owner: string, operator: '.' | '->', name: string | undefined): string {
  return name === undefined ? owner : `${parenthesized(owner)}${operator}${name}`;
}

/** `(outer::Shape)circle`: what evaluates to a base of an object. */
export function castExpression(type: string, operand: string): string {
  return `(${type})${/^\*/.test(operand) ? operand : parenthesized(operand)}`;
}

/** In parentheses unless it binds as tightly as a name. */
export function parenthesized(expression: string): string {
  return /^[\w$.:]+(?:\[\d+\]|->\w+|\.\w+)*$/.test(expression) ? expression : `(${expression})`;
}

/** How to show a value: `x` and the like, how many elements, or both. */
export interface Format {
  readonly letter: string | undefined;
  readonly count: number | undefined;
}

const SUFFIX = /^(\d{0,6})([xzhduobtcsaf]?)$/;

/** `x`, `10`, `10x`, and gdb's order `x10` too. Undefined for anything else. */
export function parseFormat(text: string | undefined): Format | undefined {
  const match = SUFFIX.exec(text ?? '') ?? SUFFIX.exec((text ?? '').replace(/^([a-z])(\d+)$/, '$2$1'));
  if (match === null) return undefined;
  const [, count, letter] = match;
  return { letter: letter === '' ? undefined : letter, count: count ? Number(count) : undefined };
}

/**
 * Splits `list->name,s` into the expression and its format suffix; commas inside parentheses or quotes do not
 * count.
 */
export function splitFormat(text: string): { expression: string; format: string | undefined } {
  const match = /^(.*),\s*(\w+)\s*$/s.exec(text);
  const [, expression, format] = match ?? [];
  if (expression === undefined || parseFormat(format) === undefined || !isBalanced(expression))
    return { expression: text, format: undefined };
  return { expression, format };
}

function isBalanced(text: string): boolean {
  let depth = 0;
  for (const letter of text.replace(/"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])+'?/gs, '')) {
    if ('([{'.includes(letter)) depth++;
    else if (')]}'.includes(letter)) depth--;
  }
  return depth === 0;
}
