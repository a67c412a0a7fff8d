/** This machine, as vm.conf is checked against it: for `vmm load` and the language server, which must not differ. */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import path from 'node:path';
import type { ConfigHost, DiskFormat } from '../config/configHost.ts';

/** The first bytes of a qcow2 image, of any version. */
const QCOW_SIGNATURE = 'QFI\xfb';

/** `cwd`: relative paths start there, as vmd does it, and not from the file that names them. */
export function localConfigHost(cwd?: string): Required<ConfigHost> {
  const accounts = new Map<string, ReadonlySet<string>>();
  const hasAccount = (file: string, name: string): boolean => {
    const known = accounts.get(file) ?? accountNames(file);
    accounts.set(file, known);
    return known.has(name);
  };
  return {
    resolve: (name, from) => {
      const absolute = path.resolve(cwd ?? path.dirname(from), name);
      return name.endsWith('/') && absolute !== '/' ? `${absolute}/` : absolute; // only a directory is there then
    },
    readText,
    exists,
    diskFormat,
    userExists: (name) => hasAccount('/etc/passwd', name),
    groupExists: (name) => hasAccount('/etc/group', name),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
  };
}

function readText(name: string): string | undefined {
  try {
    return readFileSync(name, 'utf8');
  } catch {
    return undefined; // the caller says that it cannot be read
  }
}

function diskFormat(name: string): DiskFormat | undefined {
  try {
    const fd = openSync(name, 'r');
    try {
      const bytes = Buffer.alloc(QCOW_SIGNATURE.length);
      readSync(fd, bytes, 0, bytes.length, 0);
      return bytes.toString('latin1') === QCOW_SIGNATURE ? 'qcow2' : 'raw';
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined; // not ours to read: nothing to compare
  }
}

function accountNames(file: string): ReadonlySet<string> {
  const lines = readText(file)?.split('\n') ?? [];
  return new Set(lines.map((it) => it.split(':', 1)[0] ?? ''));
}

function exists(name: string): boolean {
  try {
    return statSync(name, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false; // a name that no file can have, or a directory closed to us
  }
}
