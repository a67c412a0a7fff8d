/** Names of C++ as gdb writes them and as compilers do. */

/** gdb writes the parameters after a C++ name, also those of the functions around a lambda. */
export function withoutParameters(name: string): string {
  let text = canonicalName(name);
  for (let before = ''; before !== text;) {
    before = text;
    text = text.replace(/(?<!operator)\([^()]*\)(?: const)?/g, '');
  }
  return text.replaceAll(/\{lambda#\d+\}/g, '{lambda}');
}

/** gcc writes `long int` where gdb, which shortens its names, has `long`. */
export function canonicalName(name: string): string {
  return name.replace(/\b(long|short) int\b/g, '$1').replace(/\b(long|short) unsigned int\b/g, 'unsigned $1');
}
