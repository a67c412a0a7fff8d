/**
 * Opens the files of a disk, once and on main, with all that can be wrong with them said in a sentence; and
 * makes a DiskImage of the descriptors, on whichever thread does its I/O. A format is told, never guessed: a
 * guest that writes another format's signature into its raw disk would have us open any file of the host.
 */
import { closeSync, constants, realpathSync } from 'node:fs';
import path from 'node:path';
import { fileErrorText, NotAFileError, openFileOrBlockDevice, quoted } from '../../client/regularFile.ts';
import { UserError } from '../../errors.ts';
import { readAt } from '../../kvm/fileIo.ts';
import { setBlocking } from '../../kvm/libc.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { isReadOnlyDevice } from './blockDevice.ts';
import { DiskError } from './diskError.ts';
import { type DiskImage, SECTOR_BYTES } from './diskImage.ts';
import { HostFile } from './imageFile.ts';
import { cureOf, otherFormat } from './imageSignature.ts';
import { lockImage } from './imageLock.ts';
import { RawImage } from './rawImage.ts';
import type { BackingName } from './qcow2/header.ts';
import type { Qcow2Image } from './qcow2/qcow2Image.ts';
import { openQcow2, readHeader } from './qcow2/openQcow2.ts';
import { createOverlay } from './snapshotOverlay.ts';

export type ImageFormat = 'raw' | 'qcow2';
/** unsafe: nothing is ever synced. none: past the host's page cache. */
export type CacheMode = 'writeback' | 'none' | 'unsafe';
/** Which backing files an image may name: none; files in its own folder or below it; any. */
export type BackingPolicy = 'none' | 'beside' | 'anywhere';

export interface ImageOptions {
  readonly path: string;
  readonly format: ImageFormat;
  readonly isReadOnly: boolean;
  readonly cache: CacheMode;
  /** Discards are passed down to the file. */
  readonly discards: boolean;
  readonly backing: BackingPolicy;
  /** Writes go to a temporary file, which is gone when the image is closed. */
  readonly isSnapshot: boolean;
  /** The first backing file is open to be written, too: for a commit. */
  readonly writesBacking?: boolean;
}

interface FileUse extends Pick<ImageOptions, 'isReadOnly' | 'cache'> {
  /** Whoever uses it meanwhile: for its header, which is consistent at any moment. */
  readonly isShared?: boolean;
}

interface OpenedFile {
  readonly fd: number;
  readonly path: string;
  readonly format: ImageFormat;
  readonly isReadOnly: boolean;
  readonly alignmentBytes: number;
}

type Link = Pick<ImageOptions, 'path' | 'format'>;

/** Plain data, for the thread that does the I/O: the descriptors are the process's. */
export interface OpenedImage {
  /** The image, then its backing file, and so on. */
  readonly files: readonly OpenedFile[];
  readonly discards: boolean;
  readonly isUnsafe: boolean;
  readonly sizeBytes: number;
  /** See DiskImage. */
  readonly clusterBytes: number;
}

/**
 * What an image is made of; the rest it says itself. A file that was cut since it was opened has not made the
 * disk smaller, of which the guest has been told.
 */
type Parts = Omit<OpenedImage, 'sizeBytes' | 'clusterBytes'> & Partial<Pick<OpenedImage, 'sizeBytes'>>;

export type Layer = RawImage | Qcow2Image;

/** In the name of a backing file, QEMU takes what is before the colon for a protocol. */
export const PROTOCOL = /^[\w+.-]+:/;
const MAX_CHAIN = 16;
const MAX_ALIGNMENT = 4096;
const CHECK_PATH = '; check the path';
const READ_ONLY = '; it can be used read-only, or in snapshot mode';

/** Throws UserError; then nothing is left open. */
export function openImage(options: ImageOptions): OpenedImage {
  const files: OpenedFile[] = [];
  try {
    openChain(options, files);
    if (options.isSnapshot) files.unshift(overlayOf(files, options));
    const opened = {
      files,
      discards: options.discards,
      isUnsafe: options.cache === 'unsafe' || options.isSnapshot,
    };
    // what is broken shows here, and is repaired where it can be
    const { sizeBytes, clusterBytes } = attachImage(opened);
    return { ...opened, sizeBytes, clusterBytes };
  } catch (error) {
    closeOpened({ files });
    throw error instanceof DiskError ? new UserError(error.message, { cause: error }) : error;
  }
}

/** Any thread, one at a time. The image owns the descriptors. Throws DiskError, UserError. */
export function attachImage(opened: Parts): DiskImage {
  const [top] = attachLayers(opened);
  if (top === undefined) throw new RangeError('an image has at least one file');
  return top;
}

/** The image, the one behind it, and so on: each is closed with the one in front of it. */
export function attachLayers({ files, discards, isUnsafe, sizeBytes }: Parts): Layer[] {
  const layers: Layer[] = [];
  for (const opened of [...files].reverse()) {
    const file = new HostFile({ ...opened, isUnsafe });
    const options = { isReadOnly: opened.isReadOnly, discards, isUnsafe };
    const image =
      opened.format === 'raw'
        ? new RawImage(file, { ...options, sizeBytes: opened === files[0] ? sizeBytes : undefined })
        : openQcow2(file, { ...options, backing: layers[0] });
    layers.unshift(image);
  }
  return layers;
}

/** For one that is not attached. */
export function closeOpened({ files }: Pick<OpenedImage, 'files'>): void {
  for (const { fd } of files) closeSync(fd);
}

/** A file that was just made. */
export function attachFile(file: HostFile, format: ImageFormat): Layer {
  const options = { isReadOnly: false, discards: false, isUnsafe: false };
  return format === 'raw' ? new RawImage(file, options) : openQcow2(file, { ...options, backing: undefined });
}

/** An image's file for what looks at it without making a disk of it. Throws UserError. */
export function openImageFile(name: string, format: ImageFormat, use: Omit<FileUse, 'cache'>): HostFile {
  const options = { ...use, cache: 'writeback' } as const;
  return new HostFile({ ...openFile(name, format, options, () => undefined), isUnsafe: false });
}

/** The format that a file looks like, when that is not raw; whoever uses it. Throws UserError. */
export function looksOf(name: string): string | undefined {
  const { fd } = openOrExplain(name, true, 'writeback');
  try {
    return otherFormat(new HostFile({ fd, path: name, alignmentBytes: 1, isUnsafe: true }));
  } finally {
    closeSync(fd);
  }
}

/** Appends to `files` as it goes, so that the caller can close them. */
function openChain(options: ImageOptions, files: OpenedFile[]): void {
  const seen = new Set<string>();
  const accept = (name: string, identity: string): void => {
    if (seen.has(identity))
      throw new UserError(`${quoted(name)} is in the chain already: "qemu-img rebase -u" names another`);
    seen.add(identity);
  };
  let next: Link | undefined = options;
  while (next !== undefined) {
    const { path: name, format }: Link = next;
    const isWritten = files.length === 0 || (files.length === 1 && options.writesBacking === true);
    const isReadOnly = options.isReadOnly || options.isSnapshot || !isWritten;
    const opened: OpenedFile = namedBy(files.at(-1)?.path, () =>
      openFile(name, format, { ...options, isReadOnly }, (identity) => accept(name, identity)),
    );
    files.push(opened);
    if (files.length > MAX_CHAIN)
      throw new UserError(
        `${quoted(options.path)} has more than ${MAX_CHAIN} backing files: commit some of them`,
      );
    next = namedBy(files.at(-2)?.path, () => backingOf(opened, options.backing));
  }
}

/** What is wrong with a backing file is told with the image that names it. */
function namedBy<T>(image: string | undefined, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof UserError) || image === undefined) throw cause;
    throw new UserError(`the backing file of ${quoted(image)}: ${cause.message}`, { cause });
  }
}

function openFile(
  name: string,
  format: ImageFormat,
  { isReadOnly, cache, isShared = false }: FileUse,
  accept: (identity: string) => void,
): OpenedFile {
  const { fd, stat } = openOrExplain(name, isReadOnly, cache);
  try {
    setBlocking(fd);
    if (!isReadOnly && stat.isBlockDevice() && isReadOnlyDevice(fd))
      throw new UserError(`${quoted(name)} is a read-only device${READ_ONLY}`);
    accept(`${stat.dev}:${stat.ino}`); // before the lock, which would refuse a file of ours as in use
    if (!isShared && !lockImage(fd, { isReadOnly })) throw new UserError(lockedText(name, isReadOnly));
    const alignmentBytes = cache === 'none' ? directAlignment(fd, name) : 1;
    const opened = { fd, path: name, format, isReadOnly, alignmentBytes };
    assertSize(opened);
    return opened;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openOrExplain(
  name: string,
  isReadOnly: boolean,
  cache: CacheMode,
): ReturnType<typeof openFileOrBlockDevice> {
  const access = isReadOnly ? constants.O_RDONLY : constants.O_RDWR;
  try {
    return openFileOrBlockDevice(name, access | (cache === 'none' ? constants.O_DIRECT : 0));
  } catch (cause) {
    if (cause instanceof NotAFileError)
      throw new UserError(`${cause.message} or a block device: give the path of an image`, { cause });
    const problem = `${quoted(name)}: ${fileErrorText(cause)}${cure(cause, isReadOnly, cache)}`;
    throw new UserError(`cannot open the disk ${problem}`, { cause });
  }
}

function cure(error: unknown, isReadOnly: boolean, cache: CacheMode): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return isReadOnly ? CHECK_PATH : `${CHECK_PATH}, or make one with "vmm create"`;
    case 'ENOTDIR':
    case 'ELOOP':
    case 'ENAMETOOLONG':
      return CHECK_PATH;
    case 'EACCES':
    case 'EPERM':
      return isReadOnly ? '; give yourself the right to read it' : READ_ONLY;
    case 'EROFS':
      return READ_ONLY;
    case 'EINVAL':
      return cache === 'none' ? '; its file system has no O_DIRECT: use cache "writeback"' : '';
    default:
      return '';
  }
}

function lockedText(name: string, isReadOnly: boolean): string {
  return isReadOnly
    ? `${quoted(name)} is in use by a process that writes to it: end that one first`
    : `${quoted(name)} is in use by another process, or as another disk: end that use first, or make both read-only`;
}

/** What transfers with O_DIRECT must be multiples of, found by trying. */
function directAlignment(fd: number, name: string): number {
  const { bytes } = new IoBuffer(2 * MAX_ALIGNMENT);
  for (let alignment = SECTOR_BYTES; alignment <= MAX_ALIGNMENT; alignment *= 2)
    if (readAt(fd, bytes.subarray(alignment, 2 * alignment), alignment) >= 0) return alignment;
  throw new UserError(`${quoted(name)} cannot be read with O_DIRECT: use cache "writeback"`);
}

function assertSize(opened: OpenedFile): void {
  const file = new HostFile({ ...opened, isUnsafe: false });
  const sizeBytes = file.sizeBytes();
  const name = quoted(opened.path);
  if (sizeBytes === 0)
    throw new UserError(
      `${name} is empty, not a ${opened.format} image: "vmm create" makes one under another name`,
    );
  if (opened.format !== 'raw' || sizeBytes % SECTOR_BYTES === 0) return;
  const looks = otherFormat(file);
  if (looks !== undefined)
    throw new UserError(`${name} is not a raw image: it looks like ${looks}; ${cureOf(looks)}`);
  throw new UserError(
    `${name} has ${sizeBytes} bytes, which is not a multiple of ${SECTOR_BYTES}: a raw image is ` +
      `whole sectors ("truncate -s %${SECTOR_BYTES}" makes it so)`,
  );
}

function backingOf(opened: OpenedFile, policy: BackingPolicy): Link | undefined {
  if (opened.format === 'raw') return undefined;
  const { backing } = readHeader(new HostFile({ ...opened, isUnsafe: false }));
  if (backing === undefined) return undefined;
  const name = quoted(opened.path);
  if (policy === 'none')
    throw new UserError(
      `${name} has a backing file, ${quoted(backing.name)}: give the disk the option backing if you trust the image, which could name any file of this host`,
    );
  const format = backingFormat(name, backing);
  if (PROTOCOL.test(backing.name))
    throw new UserError(
      `${name}: its backing ${quoted(backing.name)} is not the name of a file: convert it with qemu-img`,
    );
  const folder = path.dirname(opened.path);
  const resolved = path.resolve(folder, backing.name);
  if (policy === 'beside' && !isInside(resolved, path.resolve(folder)))
    throw new UserError(
      `${name}: its backing file ${quoted(resolved)} is outside the folder of the image; say backing: "anywhere" if you trust the image`,
    );
  return { path: resolved, format };
}

function backingFormat(name: string, { name: backing, format }: BackingName): ImageFormat {
  if (format === 'raw' || format === 'qcow2') return format;
  if (format === undefined)
    throw new UserError(
      `${name} does not say which format its backing file has: "qemu-img rebase -u -F FORMAT -b ${backing} …" sets it`,
    );
  throw new UserError(
    `${name}: its backing file has the format ${quoted(format)}, which is not supported: convert it with qemu-img`,
  );
}

/** By the real names: a link could lead out. */
function isInside(file: string, folder: string): boolean {
  return realPath(file).startsWith(`${realPath(folder)}${path.sep}`);
}

function realPath(name: string): string {
  try {
    return realpathSync(name);
  } catch {
    return name; // opening it tells what is wrong
  }
}

function overlayOf(files: readonly OpenedFile[], { discards }: ImageOptions): OpenedFile {
  const { sizeBytes } = attachImage({ files, discards, isUnsafe: true });
  return { ...createOverlay(sizeBytes), format: 'qcow2', isReadOnly: false, alignmentBytes: 1 };
}
