/**
 * The files a machine starts from. They stay open for its life: an image that is replaced meanwhile is
 * another file.
 */
import { existsSync } from 'node:fs';
import { type FileSource, NotAFileError, openFileSource } from '../client/fileSource.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import { UserError } from '../errors.ts';

export interface Images {
  readonly kernel: FileSource;
  readonly initrd: Initrd | undefined;
}

export interface Initrd {
  readonly source: FileSource;
  /** For a multiboot module. */
  readonly arguments?: string;
}

/** Throws UserError; then none is left open. */
export function openImages({ kernel: path, initrd }: VmConfig): Images {
  const kernel = openImage(path, 'kernel');
  try {
    return { kernel, initrd: initrd === undefined ? undefined : openInitrd(initrd) };
  } catch (error) {
    kernel.close();
    throw error;
  }
}

export function closeImages({ kernel, initrd }: Images): void {
  kernel.close();
  initrd?.source.close();
}

/** `what` for messages: "kernel", "initrd". Throws UserError when the path is not a readable file. */
function openImage(path: string, what: string): FileSource {
  try {
    return openFileSource(path);
  } catch (cause) {
    if (cause instanceof NotAFileError)
      throw new UserError(`the ${what} ${path} is not a file: give the path of an image`, { cause });
    throw new UserError(`cannot open the ${what} ${path}: ${reason(cause)}`, { cause });
  }
}

/**
 * `given` is a path, or a path, a space and arguments, as QEMU's -initrd takes them; a file whose name has
 * spaces comes first.
 */
function openInitrd(given: string): Initrd {
  const space = given.indexOf(' ');
  if (space <= 0 || existsSync(given)) return { source: openImage(given, 'initrd') };
  const source = openImage(given.slice(0, space), 'initrd');
  const words = given.slice(space + 1).trim();
  return words === '' ? { source } : { source, arguments: words };
}

function reason(cause: unknown): string {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'there is no such file; check the path, or build it first';
    case 'EACCES':
      return 'no permission to read it; check its mode and its folder';
    default:
      return (cause as Error).message;
  }
}
