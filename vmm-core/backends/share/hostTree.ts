/**
 * A folder of the host and what is below it, as places that a guest has a hold of. A place is a name in
 * another place, never a path: the kernel is asked for one name at a time, in a descriptor of ours, and never
 * to follow a link. So there is no name that leads out of the folder, whatever the guest or another process
 * of the host does meanwhile. A place whose name has come to mean another file is gone. On the thread that
 * serves the share.
 *
 * (A directory that the host itself moves out of the folder stays in reach of a guest that is in it, as it
 * would of any process, until its descriptor is closed.)
 */
import { ENAMETOOLONG, ENFILE, ENOENT } from '../../kvm/errno.ts';
import { type FileStatus, openPlace, statusAt, statusOf } from '../../kvm/files.ts';
import { closeFd } from '../../kvm/libc.ts';

/** Of places that are known: a guest cannot have more of our memory. */
const MOST_PLACES = 256 * 1024;
/** Of names from the folder down. */
const MOST_NAMES = 200;
/** Descriptors that are kept. More than MOST_NAMES, so that the way to one place does not close another. */
export const MOST_OPEN_PLACES = 256;

export class Place {
  /** undefined: the folder itself, or it is gone. */
  parent: Place | undefined;
  name: string;
  /** Those that are known, by name. */
  children: Map<string, Place> | undefined;
  /** Who uses it; children do, too. */
  holds = 0;
  isGone = false;
  /** O_PATH; -1: not open. */
  fd = -1;
  // Which file it was when it was found.
  inoLow = 0;
  inoHigh = 0;
  devMajor = 0;
  devMinor = 0;
  // The list of open ones, latest first.
  newer: Place | undefined;
  older: Place | undefined;

  constructor(parent: Place | undefined, name: string) {
    this.parent = parent;
    this.name = name;
  }

  /** See HostTree. */
  is(status: FileStatus): boolean {
    return (
      this.inoLow === status.u32('stx_ino') &&
      this.inoHigh === status.high('stx_ino') &&
      this.devMajor === status.u32('stx_dev_major') &&
      this.devMinor === status.u32('stx_dev_minor')
    );
  }

  remember(status: FileStatus): void {
    this.inoLow = status.u32('stx_ino');
    this.inoHigh = status.high('stx_ino');
    this.devMajor = status.u32('stx_dev_major');
    this.devMinor = status.u32('stx_dev_minor');
  }
}

export class HostTree {
  readonly root = new Place(undefined, '');
  readonly #scratch: FileStatus;
  #places = 0;
  #open = 0;
  #newest: Place | undefined;
  #oldest: Place | undefined;

  /** `rootFd`: the folder, by openFolder; whoever opened it closes it. */
  constructor(rootFd: number, scratch: FileStatus) {
    this.root.fd = rootFd;
    this.root.holds = 1;
    this.#scratch = scratch;
    if (statusOf(rootFd, scratch) === 0) this.root.remember(scratch);
  }

  get openPlaces(): number {
    return this.#open;
  }

  get places(): number {
    return this.#places;
  }

  /**
   * What has that name in a directory, as the host has it now; `status` is its. Somebody has to hold it.
   * Returns -errno where there is none.
   */
  find(directory: Place, name: string, status: FileStatus): Place | number {
    const fd = this.fdOf(directory);
    if (fd < 0) return fd;
    const known = directory.children?.get(name);
    const result = statusAt(fd, name, status);
    if (result < 0) {
      if (result === -ENOENT && known !== undefined) this.forget(known);
      return result;
    }
    if (known?.is(status) === true) return known;
    if (known !== undefined) this.forget(known);
    return this.#add(directory, name, status);
  }

  /** Its status as it is now. */
  status(place: Place, status: FileStatus): number {
    if (place.fd >= 0) return statusOf(place.fd, status);
    if (place.parent === undefined) return -ENOENT;
    const fd = this.fdOf(place.parent);
    if (fd < 0) return fd;
    const result = statusAt(fd, place.name, status);
    if (result < 0) return result;
    if (place.is(status)) return 0;
    this.forget(place);
    return -ENOENT;
  }

  /** Its status, if its name is still its own: what is open has one also when that is gone, or another's. */
  named(place: Place, status: FileStatus): number {
    const { parent, name } = place;
    if (parent === undefined) return -ENOENT;
    this.hold(parent); // the place may be forgotten
    const found = this.find(parent, name, status);
    if (typeof found !== 'number') {
      this.hold(found);
      this.release(found);
    }
    this.release(parent);
    return typeof found === 'number' ? found : found === place ? 0 : -ENOENT;
  }

  /** Its descriptor, for what is done next, or -errno. */
  fdOf(place: Place, namesLeft = MOST_NAMES): number {
    if (place === this.root) return place.fd;
    if (place.fd >= 0) {
      this.#unlist(place);
      this.#list(place);
      return place.fd;
    }
    if (place.parent === undefined) return -ENOENT;
    if (namesLeft === 0) return -ENAMETOOLONG;
    const dirFd = this.fdOf(place.parent, namesLeft - 1);
    return dirFd < 0 ? dirFd : this.#openIn(dirFd, place);
  }

  hold(place: Place): void {
    place.holds++;
  }

  release(place: Place): void {
    let it: Place | undefined = place;
    while (it !== undefined && --it.holds === 0) {
      const parent: Place | undefined = it.parent;
      if (parent?.children?.get(it.name) === it) parent.children.delete(it.name);
      it.parent = undefined;
      this.#close(it);
      this.#places--;
      it = parent;
    }
  }

  /** The name in it is no more, or another file's. What is held stays usable while it is open. */
  forget(place: Place): void {
    const { parent } = place;
    if (parent === undefined) return;
    parent.children?.delete(place.name);
    place.parent = undefined;
    place.isGone = true;
    this.release(parent);
  }

  /** Before a name is removed: whoever has the file open may have to open it again. */
  keep(directory: Place, name: string): void {
    const known = directory.children?.get(name);
    if (known !== undefined) this.fdOf(known);
  }

  /** A name was removed. */
  removed(directory: Place, name: string): void {
    const known = directory.children?.get(name);
    if (known !== undefined) this.forget(known);
  }

  /** A name was moved, to where another may have been. What is below it moves with it. */
  moved(directory: Place, name: string, newDirectory: Place, newName: string): void {
    const known = directory.children?.get(name);
    const replaced = newDirectory.children?.get(newName);
    if (replaced !== undefined && replaced !== known) {
      if (this.named(replaced, this.#scratch) === 0) return; // two names of one file: rename(2) leaves both
      this.forget(replaced);
    }
    if (known === undefined) return;
    this.hold(newDirectory);
    directory.children?.delete(name);
    known.parent = newDirectory;
    known.name = newName;
    (newDirectory.children ??= new Map()).set(newName, known);
    this.release(directory);
  }

  #add(directory: Place, name: string, status: FileStatus): Place | number {
    if (this.#places >= MOST_PLACES) return -ENFILE;
    const place = new Place(directory, name);
    place.remember(status);
    this.hold(directory);
    (directory.children ??= new Map()).set(name, place);
    this.#places++;
    return place;
  }

  #openIn(dirFd: number, place: Place): number {
    const fd = openPlace(dirFd, place.name);
    if (fd < 0) return fd;
    const result = statusOf(fd, this.#scratch);
    if (result < 0 || !place.is(this.#scratch)) {
      closeFd(fd);
      if (result === 0) this.forget(place);
      return -ENOENT;
    }
    place.fd = fd;
    this.#list(place);
    if (this.#open > MOST_OPEN_PLACES && this.#oldest !== undefined) this.#close(this.#oldest);
    return fd;
  }

  #close(place: Place): void {
    if (place.fd < 0) return;
    this.#unlist(place);
    closeFd(place.fd);
    place.fd = -1;
  }

  #list(place: Place): void {
    place.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = place;
    this.#newest = place;
    this.#oldest ??= place;
    this.#open++;
  }

  #unlist(place: Place): void {
    const { newer, older } = place;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    place.newer = undefined;
    place.older = undefined;
    this.#open--;
  }
}
