/**
 * Between a file and guest memory on the calling thread, at once and without a copy of ours: V8 copies to and
 * from shared memory a word at a time. One at a time.
 */
import type { Iovecs } from '../bus/ioEngine.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { IovecTable } from './io/iovecTable.ts';
import { readVector, writeVector } from './io/syscalls.ts';

const ROW = 0;

export class GuestTransfer {
  readonly #table: IovecTable;

  constructor(memory: GuestMemory) {
    this.#table = new IovecTable(1, memory.slots);
  }

  /** Its row 0 is what the next transfer is from or to. */
  get iovecs(): Iovecs {
    return this.#table;
  }

  /** Bytes, which may be fewer, or -errno. */
  read(fd: number, offset: number): number {
    return readVector(fd, this.#table.addressOfRow(ROW), this.#table.count(ROW), offset);
  }

  /** See read. */
  write(fd: number, offset: number): number {
    return writeVector(fd, this.#table.addressOfRow(ROW), this.#table.count(ROW), offset);
  }
}
