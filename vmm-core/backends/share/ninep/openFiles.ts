/**
 * The descriptors of a session's open fids. A client keeps more files open than a process may (Linux with
 * `cache=loose` one for each that it has written), so those that were not used for long are closed, and
 * opened again when they are wanted.
 */
import { openFilesLimit } from '../../../kvm/files.ts';
import { closeFd } from '../../../kvm/libc.ts';

export const MOST_OPEN_FILES = 1024;
const FEWEST_OPEN_FILES = 16;

export interface OpenFile {
  /** -1: none now. */
  file: number;
  /** Since somebody looked who might be closed. */
  wasUsed: boolean;
}

export class OpenFiles {
  /** Those with a descriptor; who comes first is closed first, but has a second chance. */
  readonly #open = new Set<OpenFile>();
  readonly #most: number;

  constructor() {
    const share = Math.floor(openFilesLimit() / 8); // disks, sockets and other shares want theirs
    this.#most = Math.max(FEWEST_OPEN_FILES, Math.min(MOST_OPEN_FILES, share));
  }

  get count(): number {
    return this.#open.size;
  }

  add(it: OpenFile, fd: number): void {
    while (this.#open.size >= this.#most) this.#closeOne();
    it.file = fd;
    it.wasUsed = true;
    this.#open.add(it);
  }

  close(it: OpenFile): void {
    if (!this.#open.delete(it)) return;
    closeFd(it.file);
    it.file = -1;
  }

  /** Ends: each has its second chance once. */
  #closeOne(): void {
    for (const it of this.#open) {
      if (!it.wasUsed) return this.close(it);
      it.wasUsed = false;
      this.#open.delete(it);
      this.#open.add(it);
    }
  }
}
