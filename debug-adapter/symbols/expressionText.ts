/** Building expressions for values that were reached by expanding others. */

/** `a.b`, `p->b`, `(*p).b`: what evaluates to a member. Anonymous and base parts are reached through their owner. */
export function memberExpression(owner: string, operator: '.' | '->', name: string | undefined): string {
  return name === undefined ? owner : `${parenthesized(owner)}${operator}${name}`;
}

/** In parentheses unless it binds as tightly as a name. */
export function parenthesized(expression: string): string {
  return /^[\w$.:]+(?:\[\d+\]|->\w+|\.\w+)*$/.test(expression) ? expression : `(${expression})`;
}

/** Splits `list->name,s` into the expression and its format suffix; commas inside parentheses or quotes do not count. */
export function splitFormat(text: string): { expression: string; format: string | undefined } {
  const match = /^(.*),\s*([xduobcsa]|\d+)\s*$/s.exec(text);
  if (match?.[1] === undefined) return { expression: text, format: undefined };
  const depth = [...match[1]].reduce(
    (level, letter) => level + ('([{'.includes(letter) ? 1 : ')]}'.includes(letter) ? -1 : 0),
    0,
  );
  return depth === 0 ? { expression: match[1], format: match[2] } : { expression: text, format: undefined };
}
