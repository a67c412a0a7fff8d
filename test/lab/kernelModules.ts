/**
 * Finds kernel modules in an unpacked package and the order to load them in; a package does not contain
 * modules.dep.
 */
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

/** Module name to file contents, each after all it depends on. `directory` is `/lib/modules/<release>`. */
export async function moduleClosure(
  directory: string,
  names: readonly string[],
): Promise<Map<string, Buffer>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.name.endsWith('.ko'))
      files.set(canonical(entry.name.slice(0, -3)), path.join(entry.parentPath, entry.name));
  }
  const ordered = new Map<string, Buffer>();
  const visit = async (name: string): Promise<void> => {
    if (ordered.has(name)) return;
    const file = files.get(name);
    if (file === undefined) throw new Error(`no kernel module ${name} in ${directory}`);
    const data = await readFile(file);
    for (const dependency of dependencies(data)) await visit(canonical(dependency));
    ordered.set(name, data);
  };
  for (const name of names) await visit(canonical(name));
  return ordered;
}

/**
 * The `depends=` string of the .modinfo section. ("softdep" is not followed: kvm-amd wants ccp only for SEV.)
 */
function dependencies(module: Buffer): string[] {
  const key = Buffer.from('\0depends=');
  const start = module.indexOf(key);
  if (start < 0) return [];
  const value = module.toString('latin1', start + key.length, module.indexOf(0, start + key.length));
  return value === '' ? [] : value.split(',');
}

/** File names and names in `depends=` differ in their use of - and _; the kernel takes them as the same. */
function canonical(name: string): string {
  return name.replaceAll('-', '_');
}
