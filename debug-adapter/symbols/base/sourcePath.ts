/**
 * Source paths as compilers record them: joining, tidying and matching. Strings only; both separators are
 * understood.
 */

/** `name` seen from `directory`; absolute names stay. `.` and `..` are resolved, `\` becomes `/`. */
export function joinPath(directory: string, name: string): string {
  const path = isAbsolute(name) || directory === '' ? name : `${directory}/${name}`;
  return normalizePath(path);
}

export function normalizePath(path: string): string {
  if (!NEEDS_WORK.test(path)) return path;
  const forward = path.replaceAll('\\', '/');
  const absolute = forward.startsWith('/');
  const parts: string[] = [];
  for (const part of forward.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (!absolute) parts.push(part);
  }
  return (absolute ? '/' : '') + parts.join('/');
}

/** Anything normalizePath would change: a backslash, an empty part, a `.` or `..`. */
const NEEDS_WORK = /\\|\/\/|(?:^|\/)\.\.?(?:\/|$)|.\/$/;

export function isAbsolute(path: string): boolean {
  return path.startsWith('/') || path.startsWith('\\') || /^[A-Za-z]:[\\/]/.test(path);
}

export function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

/** How well two normalized paths agree: 3 the same, 2 one is the tail of the other, otherwise 0. */
export function pathMatch(recorded: string, wanted: string): 0 | 2 | 3 {
  if (recorded === wanted) return 3;
  return endsWithPath(recorded, wanted) || endsWithPath(wanted, recorded) ? 2 : 0;
}

/** How many trailing path components two paths have in common. */
export function commonTail(a: string, b: string): number {
  const left = a.split('/');
  const right = b.split('/');
  let count = 0;
  while (count < left.length && count < right.length && left.at(-1 - count) === right.at(-1 - count)) count++;
  return count;
}

function endsWithPath(path: string, tail: string): boolean {
  return tail !== '' && path.endsWith(tail) && path[path.length - tail.length - 1] === '/';
}
