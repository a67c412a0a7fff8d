/**
 * Finds kernel modules in an unpacked package and the order to load them in; a package does not contain
 * modules.dep.
 */
import { execFile } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

/** Module name to file contents, each after all it depends on. `directory` is `/lib/modules/<release>`. */
export async function moduleClosure(
  directory: string,
  names: readonly string[],
): Promise<Map<string, Buffer>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const name = /^(.*)\.ko(?:\.xz)?$/.exec(entry.name)?.[1];
    if (name !== undefined) files.set(canonical(name), path.join(entry.parentPath, entry.name));
  }
  const builtIn = await builtInModules(directory);
  const ordered = new Map<string, Buffer>();
  const visit = async (name: string): Promise<void> => {
    if (ordered.has(name) || builtIn.has(name)) return;
    const file = files.get(name);
    if (file === undefined) throw new Error(`no kernel module ${name} in ${directory}`);
    const data = await readModule(file);
    for (const dependency of dependencies(data)) await visit(canonical(dependency));
    ordered.set(name, data);
  };
  for (const name of names) await visit(canonical(name));
  return ordered;
}

/** By the package's list of them: what one kernel has as a module is built into another. */
async function builtInModules(directory: string): Promise<ReadonlySet<string>> {
  const list = await readFile(path.join(directory, 'modules.builtin'), 'utf8');
  return new Set(list.split('\n').map((it) => canonical(path.basename(it, '.ko'))));
}

/** Newer kernels' packages have them compressed. */
async function readModule(file: string): Promise<Buffer> {
  if (!file.endsWith('.xz')) return readFile(file);
  const unpacked = await promisify(execFile)('xz', ['-dc', file], { encoding: 'buffer', maxBuffer: 1 << 28 });
  return unpacked.stdout;
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
