/** What gdb's `info macros` lists, and whether that is worth comparing with. */

/** Macros that programs/macros.c itself defines. */
export const OWN_MACROS = ['LIMIT', 'SQUARE', 'MASK', 'SELF', 'total_twice'];

/** Definitions by name, `(parameters)text` without blanks. */
export function gdbMacros(output: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of output.split('\n')) {
    const [, name, parameters, text] = /^(?:#define |-D)(\w+)(\([^)]*\))?=?(.*)$/.exec(line) ?? [];
    // Those two gdb makes up itself.
    if (name === undefined || name === '__FILE__' || name === '__LINE__') continue;
    found.set(name, plain(`${parameters ?? ''}${text}`));
  }
  return found;
}

/**
 * gcc leaves the imports of .dwo files unresolved, and gdb versions differ in what they make of that: 13 ends
 * up without any macro. One that has the file's own can be compared by those; undefined for one that has not.
 */
export function ownMacros(all: ReadonlyMap<string, string>): Map<string, string> | undefined {
  const own = new Map([...all].filter(([name]) => OWN_MACROS.includes(name)));
  return own.size === 0 ? undefined : own;
}

/** gdb writes blanks after the commas of parameters. */
export function plain(text: string): string {
  return text.replace(/\s+/g, '');
}
