/**
 * What a guest and we have agreed on, and its fids: the state that the handlers of messages share. A fid is a
 * place in the folder (hostTree.ts), and has a descriptor of its own once it is open.
 */
import { O_TRUNC, S_IFDIR, S_IFLNK, S_IFMT, Statx } from '../../../abi/files.ts';
import { P9_QTDIR, P9_QTFILE, P9_QTSYMLINK } from '../../../abi/ninep.ts';
import { EBADF, EINVAL, ENAMETOOLONG, ENFILE } from '../../../kvm/errno.ts';
import { FileStatus, openDirectoryAt, openFileAt, statusOf } from '../../../kvm/files.ts';
import { HostTree, type Place } from '../hostTree.ts';
import { MessageReader, MessageWriter } from './messages.ts';
import { type OpenFile, OpenFiles } from './openFiles.ts';

/** A request with its header and data; an answer may be as long. What Linux asks for at most is less. */
export const MAX_MSIZE = 512 * 1024;
const MOST_FIDS = 64 * 1024;
/** NAME_MAX. */
const MOST_NAME_BYTES = 255;
const MOST_DEVICES = 0xffff;

export class Fid implements OpenFile {
  readonly place: Place;
  isOpen = false;
  isDirectory = false;
  /** To open it again. */
  flags = 0;
  // See openFiles.ts.
  file = -1;
  wasUsed = false;

  constructor(place: Place) {
    this.place = place;
  }
}

/** Of one message whose header has been read. 0 when the answer is written, or an errno. */
export type Handler = (session: NinepSession) => number;

/** Between a file and the message that is in the driver's buffers. Bytes, which may be fewer, or -errno. */
export interface MessageData {
  /** Into what follows the answer's header of P9_READ_HEADER bytes. */
  read(fd: number, offset: number, count: number): number;
  /** What follows the request's header of P9_WRITE_HEADER bytes. */
  write(fd: number, offset: number, count: number): number;
}

export interface SessionOptions {
  /** See HostTree. */
  readonly rootFd: number;
  readonly isReadOnly: boolean;
}

export class NinepSession {
  readonly reader: MessageReader;
  readonly writer: MessageWriter;
  readonly tree: HostTree;
  readonly isReadOnly: boolean;
  /** Of the file that was looked at last. */
  readonly status = new FileStatus();
  /** 0: the guest has yet to say Tversion. */
  msize = 0;
  /** Of the message at hand, in the chain: Twrite's data may be beyond what its size tells. */
  lengthBytes = 0;
  /** Where the data of a message at hand is, when it is not in `reader` and `writer`. */
  data: MessageData | undefined;
  readBytes = 0;
  writtenBytes = 0;
  readonly #fids = new Map<number, Fid>();
  /** Numbers for the file systems in the folder, by the order in which they were met. */
  readonly #devices = new Map<number, number>();
  readonly #files = new OpenFiles();

  constructor({ rootFd, isReadOnly }: SessionOptions) {
    this.reader = new MessageReader(new Uint8Array(MAX_MSIZE));
    this.writer = new MessageWriter(new Uint8Array(MAX_MSIZE));
    this.isReadOnly = isReadOnly;
    this.tree = new HostTree(rootFd, new FileStatus());
  }

  get fids(): number {
    return this.#fids.size;
  }

  get openFiles(): number {
    return this.#files.count;
  }

  fid(number: number): Fid | undefined {
    return this.#fids.get(number);
  }

  /** Takes over who holds the place. Returns 0, or an errno: then nobody does. */
  setFid(number: number, place: Place): number {
    const errno = this.#fids.has(number) ? EBADF : this.#fids.size >= MOST_FIDS ? ENFILE : 0;
    if (errno === 0) this.#fids.set(number, new Fid(place));
    else this.tree.release(place);
    return errno;
  }

  dropFid(number: number): boolean {
    const fid = this.#fids.get(number);
    if (fid === undefined) return false;
    this.#fids.delete(number);
    this.#closeFid(fid);
    return true;
  }

  dropAll(): void {
    for (const fid of this.#fids.values()) this.#closeFid(fid);
    this.#fids.clear();
    this.msize = 0;
  }

  /** `fd` is the fid's from now on. */
  setOpen(fid: Fid, fd: number, { flags, isDirectory }: Pick<Fid, 'flags' | 'isDirectory'>): void {
    fid.isOpen = true;
    fid.isDirectory = isDirectory;
    fid.flags = flags & ~O_TRUNC;
    this.#files.add(fid, fd);
  }

  /**
   * Of an open fid, for what is done next, or -errno. One that had to be closed is found again by its place,
   * also when that has no name any more, but not for ever then.
   */
  fileOf(fid: Fid): number {
    fid.wasUsed = true;
    if (fid.file >= 0) return fid.file;
    if (!fid.isOpen) return -EBADF;
    const place = this.tree.fdOf(fid.place);
    if (place < 0) return place;
    const fd = fid.isDirectory ? openDirectoryAt(place) : openFileAt(place, fid.flags);
    if (fd >= 0) this.#files.add(fid, fd);
    return fd;
  }

  /** For what is done with it next; -errno. */
  fdOf(fid: Fid): number {
    return fid.isOpen ? this.fileOf(fid) : this.tree.fdOf(fid.place);
  }

  /** Its status as it is now, in `status`. Returns 0 or -errno. */
  look(fid: Fid): number {
    if (!fid.isOpen) return this.tree.status(fid.place, this.status);
    const fd = this.fileOf(fid);
    return fd < 0 ? fd : statusOf(fd, this.status);
  }

  /** type[1] version[4] path[8] of the file in `status`. */
  writeQid(): void {
    const { status, writer } = this;
    writer.u8(qidType(status.mode));
    writer.u32(qidVersion(status));
    const device = this.#deviceNumber(status.u32('stx_dev_major'), status.u32('stx_dev_minor'));
    writer.u64(status.u32('stx_ino'), (status.high('stx_ino') ^ (device << 16)) >>> 0);
  }

  /** The upper half of a qid's path of a file on the same file system as the place, by that of its inode. */
  qidHigh(place: Place, inoHigh: number): number {
    return (inoHigh ^ (this.#deviceNumber(place.devMajor, place.devMinor) << 16)) >>> 0;
  }

  #closeFid(fid: Fid): void {
    this.#files.close(fid);
    this.tree.release(fid.place);
  }

  /** Inodes of two file systems may have the same number, a qid has to be of one file. */
  #deviceNumber(major: number, minor: number): number {
    const device = major * 2 ** 32 + minor;
    const known = this.#devices.get(device);
    if (known !== undefined) return known;
    const next = Math.min(this.#devices.size, MOST_DEVICES);
    if (next < MOST_DEVICES) this.#devices.set(device, next);
    return next;
  }
}

export function isDirectory({ mode }: FileStatus): boolean {
  return (mode & S_IFMT) === S_IFDIR;
}

/** 0, or why no file may have that name. */
export function nameErrno(name: string): number {
  if (name.length > MOST_NAME_BYTES) return ENAMETOOLONG;
  const isOne = name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
  return isOne ? 0 : EINVAL;
}

function qidType(mode: number): number {
  const kind = mode & S_IFMT;
  return kind === S_IFDIR ? P9_QTDIR : kind === S_IFLNK ? P9_QTSYMLINK : P9_QTFILE;
}

/** Another when the file has changed: a client that caches compares them. */
function qidVersion(status: FileStatus): number {
  const nanoseconds = new DataView(status.bytes.buffer).getUint32(Statx.fields.stx_mtime.offset + 8, true);
  return (status.u32('stx_mtime') ^ nanoseconds ^ (status.u32('stx_size') << 8)) >>> 0;
}
