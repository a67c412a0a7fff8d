/** Opens the kernel and the initrd. They stay open for the VM's life, so that a reset loads them again (and sees a rebuild). */
import { type FileSource, NotAFileError, openFileSource } from '../client/fileSource.ts';
import { UserError } from '../errors.ts';

/** `what` for messages: "kernel", "initrd". Throws UserError when the path is not a readable file. */
export function openImage(path: string, what: string): FileSource {
  try {
    return openFileSource(path);
  } catch (cause) {
    if (cause instanceof NotAFileError)
      throw new UserError(`the ${what} ${path} is not a file: give the path of an image`, { cause });
    throw new UserError(`cannot open the ${what} ${path}: ${reason(cause)}`, { cause });
  }
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
