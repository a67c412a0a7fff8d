/**
 * Standard output and standard error of a command. When the command ends with `endProcess`, all that was
 * written arrives, however slow the reader; what cannot be written ends the command with a sentence. Node
 * alone loses what a pipe has not taken at process.exit, and the rest of a short write to a file.
 */
import { fstatSync, writeSync } from 'node:fs';
import { fileErrorText } from './regularFile.ts';

/** Ended by SIGPIPE (13), as a shell shows it: the reader has what it wanted (`| head`). */
const EXIT_SIGPIPE = 128 + 13;

const STDERR = 2;
/** Major number of /dev/null, /dev/zero and /dev/full. */
const MEM_MAJOR = 1;

export class Output {
  /**
   * Called once, when nothing can be written any more: by default the process ends, quietly if the reader
   * left.
   */
  onBroken: (error: Error) => void;
  readonly #fd: number;
  readonly #getStream: () => NodeJS.WriteStream;
  #isFile: boolean | undefined;
  #isBroken = false;
  #isWatched = false;

  constructor(fd: number, getStream: () => NodeJS.WriteStream, onBroken: (error: Error) => void) {
    this.#fd = fd;
    this.#getStream = getStream;
    this.onBroken = onBroken;
  }

  /** False when the reader is behind: a caller with much to write waits for `drained` first. */
  write(data: string | Uint8Array): boolean {
    if (this.#isBroken) return true;
    this.#isFile ??= isFileLike(this.#fd);
    if (!this.#isFile) return this.#stream().write(data);
    try {
      writeAll(this.#fd, typeof data === 'string' ? Buffer.from(data) : data);
    } catch (error) {
      this.#break(error as Error);
    }
    return true;
  }

  /** Written, but not taken by the reader yet. */
  get pendingBytes(): number {
    return this.#isFile === true || this.#isBroken ? 0 : this.#stream().writableLength;
  }

  /**
   * Settles when all that was written here, or to the stream of `process`, has been taken; at once when
   * nothing can be written.
   */
  async drained(): Promise<void> {
    this.#isFile ??= isFileLike(this.#fd);
    if (this.#isFile || this.#isBroken) return;
    const stream = this.#stream();
    await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }

  #stream(): NodeJS.WriteStream {
    const stream = this.#getStream();
    if (!this.#isWatched) stream.on('error', (error: Error) => this.#break(error));
    this.#isWatched = true;
    return stream;
  }

  #break(error: Error): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.onBroken(error);
  }
}

export const standardOutput = new Output(1, () => process.stdout, endBrokenCommand);
/** There is no way to report that it is gone. */
export const standardError = new Output(
  STDERR,
  () => process.stderr,
  () => undefined,
);

/** Ends the process when all its output has been taken. */
export async function endProcess(exitCode: number): Promise<never> {
  await Promise.all([standardOutput.drained(), standardError.drained()]);
  process.exit(exitCode);
}

function endBrokenCommand(error: Error): void {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(EXIT_SIGPIPE);
  // With writeSync: process.exit is next. If standard error is full or gone as well, nothing is reported.
  try {
    writeSync(STDERR, `vmm: cannot write to standard output: ${fileErrorText(error)}\n`);
  } catch {
    // The exit code tells.
  }
  process.exit(1);
}

/**
 * Whether write(2) there takes all or fails: files, /dev/null, /dev/full. Other devices are terminals; to ask
 * node:tty would load all of node:net, which takes 3 ms of a command's start.
 */
function isFileLike(fd: number): boolean {
  try {
    const found = fstatSync(fd);
    return found.isFile() || (found.isCharacterDevice() && found.rdev >> 8 === MEM_MAJOR);
  } catch {
    return false; // closed: node's stream says so
  }
}

/** A disk that fills up takes a part first and refuses the rest. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
}
