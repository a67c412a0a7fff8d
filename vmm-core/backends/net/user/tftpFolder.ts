/** Main's side of TFTP: opens and reads what the server on the I/O thread asks for, one piece at a time. */
import type { FileHandle } from 'node:fs/promises';
import { NotAFileError } from '../../../client/regularFile.ts';
import { TFTP_ACCESS, TFTP_NOT_FOUND, TFTP_UNDEFINED } from '../../../abi/tftp.ts';
import type { SharedFolder } from './sharedFolder.ts';
import { OutsideError } from './sharedFolder.ts';
import { READ_BYTES } from './tftp.ts';

/** From the server. */
export type TftpAsks =
  | { readonly kind: 'tftpOpen'; readonly id: number; readonly name: string }
  | { readonly kind: 'tftpRead'; readonly id: number }
  | { readonly kind: 'tftpClose'; readonly id: number };

/** To the server: TftpServer's methods of these names. */
export type TftpTold =
  | { readonly kind: 'tftpOpened'; readonly id: number; readonly sizeBytes: number }
  | { readonly kind: 'tftpData'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'tftpFailed'; readonly id: number; readonly code: number; readonly text: string };

interface OpenFile {
  /** Undefined: it is being opened. */
  handle: FileHandle | undefined;
  offset: number;
}

export class TftpFolder {
  readonly #folder: SharedFolder;
  readonly #tell: (told: TftpTold) => void;
  readonly #files = new Map<number, OpenFile>();
  #isClosed = false;

  constructor(folder: SharedFolder, tell: (told: TftpTold) => void) {
    this.#folder = folder;
    this.#tell = tell;
  }

  onAsked(asked: TftpAsks): void {
    switch (asked.kind) {
      case 'tftpOpen':
        void this.#open(asked.id, asked.name);
        break;
      case 'tftpRead':
        void this.#read(asked.id);
        break;
      case 'tftpClose':
        this.#close(asked.id);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const id of [...this.#files.keys()]) this.#close(id);
  }

  /** Answers in any case: the server asks for no more files than it has answers outstanding. */
  async #open(id: number, name: string): Promise<void> {
    const file: OpenFile = { handle: undefined, offset: 0 };
    this.#files.set(id, file);
    let answer: TftpTold;
    try {
      const { handle, sizeBytes } = await this.#folder.open(name);
      if (this.#files.get(id) === file) file.handle = handle;
      else await handle.close();
      answer = { kind: 'tftpOpened', id, sizeBytes };
    } catch (error) {
      this.#files.delete(id);
      answer = { kind: 'tftpFailed', id, ...failure(error) };
    }
    if (!this.#isClosed) this.#tell(answer);
  }

  async #read(id: number): Promise<void> {
    const file = this.#files.get(id);
    if (file?.handle === undefined) return;
    try {
      const buffer = new Uint8Array(READ_BYTES);
      const { bytesRead } = await file.handle.read(buffer, 0, READ_BYTES, file.offset);
      if (this.#files.get(id) !== file) return;
      file.offset += bytesRead;
      this.#tell({ kind: 'tftpData', id, bytes: buffer.subarray(0, bytesRead) });
    } catch {
      // The guest is told; the disk's own trouble is the host's to report.
      if (this.#files.has(id))
        this.#tell({ kind: 'tftpFailed', id, code: TFTP_UNDEFINED, text: 'the file cannot be read' });
    }
  }

  #close(id: number): void {
    const file = this.#files.get(id);
    this.#files.delete(id);
    file?.handle?.close().catch(() => undefined); // it was only read
  }
}

/** What the guest is told: not where the folder is. */
function failure(error: unknown): { readonly code: number; readonly text: string } {
  if (error instanceof OutsideError) return { code: TFTP_ACCESS, text: error.message };
  if (error instanceof NotAFileError) return { code: TFTP_ACCESS, text: `it is ${error.kind}` };
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') return { code: TFTP_ACCESS, text: 'permission denied' };
  return { code: TFTP_NOT_FOUND, text: 'file not found' };
}
