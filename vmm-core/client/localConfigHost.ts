/**
 * This machine, as vm.conf is checked against it: for `vmm load` and the language server, which must not
 * differ.
 */
import { closeSync, readSync, statSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import path from 'node:path';
import type { ConfigHost, DiskFormat } from '../config/configHost.ts';
import { MAX_FILE_BYTES } from '../config/limits.ts';
import { fileErrorText, kindOfFile, NotAFileError, openRegularFile, readRegularFile } from './regularFile.ts';

/** The first bytes of a qcow2 image, of any version. */
const QCOW_SIGNATURE = 'QFI\xfb';

/** `cwd`: relative paths start there, as in vmd, not from the file that names them. */
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
    whyUnreadable,
    kindOf,
    diskFormat,
    sizeOf,
    userExists: (name) => hasAccount('/etc/passwd', name),
    groupExists: (name) => hasAccount('/etc/group', name),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
  };
}

function readText(name: string): string | undefined {
  try {
    return readRegularFile(name, { maxBytes: MAX_FILE_BYTES }).toString('utf8');
  } catch {
    return undefined; // callers that want the reason ask for it
  }
}

function whyUnreadable(name: string): string | undefined {
  try {
    readRegularFile(name, { maxBytes: MAX_FILE_BYTES });
    return undefined; // it has become readable
  } catch (error) {
    return error instanceof NotAFileError ? `it is ${error.kind}, not a file` : fileErrorText(error);
  }
}

function diskFormat(name: string): DiskFormat | undefined {
  try {
    const { fd } = openRegularFile(name);
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

function sizeOf(name: string): number | undefined {
  try {
    const found = statSync(name, { throwIfNoEntry: false });
    return found?.isFile() === true ? found.size : undefined;
  } catch {
    return undefined; // see kindOf
  }
}

function accountNames(file: string): ReadonlySet<string> {
  const lines = readText(file)?.split('\n') ?? [];
  return new Set(lines.map((it) => it.split(':', 1)[0] ?? ''));
}

function kindOf(name: string): string | undefined {
  try {
    const found = statSync(name, { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    return found.isBlockDevice() ? 'a block device' : kindOfFile(found);
  } catch {
    return undefined; // a name that no file can have, or a directory we may not enter
  }
}
