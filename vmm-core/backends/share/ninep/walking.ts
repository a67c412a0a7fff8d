/** Messages about fids: Tversion, Tattach, Twalk, Tclunk, Tremove, Tflush. */
import {
  P9_MAXWELEM,
  P9_NOFID,
  P9_TATTACH,
  P9_TCLUNK,
  P9_TFLUSH,
  P9_TREMOVE,
  P9_TVERSION,
  P9_TWALK,
} from '../../../abi/ninep.ts';
import { AT_REMOVEDIR } from '../../../abi/files.ts';
import { EBADF, EBUSY, EINVAL, EMSGSIZE, ENOTDIR, EOPNOTSUPP, EROFS } from '../../../kvm/errno.ts';
import { removeName } from '../../../kvm/files.ts';
import type { Place } from '../hostTree.ts';
import { type Handler, isDirectory, MAX_MSIZE, nameErrno, type NinepSession } from './session.ts';

const VERSION = '9P2000.L';
/** Linux asks for no less. */
const MIN_MSIZE = 4096;

export const WALKING: Readonly<Record<number, Handler>> = {
  [P9_TVERSION]: version,
  [P9_TATTACH]: attach,
  [P9_TWALK]: walk,
  [P9_TCLUNK]: clunk,
  [P9_TREMOVE]: remove,
  [P9_TFLUSH]: flush,
};

/** Begins a session: all fids are gone. */
function version(session: NinepSession): number {
  const { reader, writer } = session;
  const msize = Math.min(reader.u32(), MAX_MSIZE);
  const wanted = reader.string();
  if (!reader.isGood) return EINVAL;
  if (msize < MIN_MSIZE) return EMSGSIZE;
  session.dropAll();
  const isOurs = wanted === VERSION;
  if (isOurs) session.msize = msize;
  writer.u32(msize);
  writer.string(isOurs ? VERSION : 'unknown');
  return 0;
}

/** Whoever asks, and whatever for: there is one tree, and what may be done with it is not theirs to say. */
function attach(session: NinepSession): number {
  const { reader, tree } = session;
  const fid = reader.u32();
  const authentication = reader.u32();
  reader.string(); // uname
  reader.string(); // aname
  if (!reader.isGood) return EINVAL;
  if (authentication !== P9_NOFID) return EOPNOTSUPP;
  const result = tree.status(tree.root, session.status);
  if (result < 0) return -result;
  tree.hold(tree.root);
  const errno = session.setFid(fid, tree.root);
  if (errno === 0) session.writeQid();
  return errno;
}

/**
 * As far as there are names. Where it ends early and has come some way, that is the answer, and there is no
 * new fid.
 */
function walk(session: NinepSession): number {
  const { reader, writer, tree } = session;
  const from = reader.u32();
  const to = reader.u32();
  const names = reader.u16();
  const fid = session.fid(from);
  if (!reader.isGood || names > P9_MAXWELEM) return EINVAL;
  if (fid === undefined) return EBADF;
  if (to === from ? fid.isOpen : session.fid(to) !== undefined) return EBADF;
  const countAt = writer.at;
  writer.u16(0);
  let place = fid.place;
  tree.hold(place);
  for (let i = 0; i < names; i++) {
    const next = step(session, place, reader.string());
    if (typeof next === 'number') {
      tree.release(place);
      if (i > 0) writer.setU16(countAt, i);
      return i > 0 ? 0 : next;
    }
    tree.hold(next);
    tree.release(place);
    place = next;
    session.writeQid();
  }
  writer.setU16(countAt, names);
  if (to === from) session.dropFid(from);
  return session.setFid(to, place);
}

/** Its status is the session's then. Returns an errno where there is none. */
function step({ reader, tree, status }: NinepSession, place: Place, name: string): Place | number {
  if (!reader.isGood) return EINVAL;
  if (name === '..') {
    const parent = place.parent ?? tree.root; // by our own account: the kernel is never asked for it
    const result = tree.status(parent, status);
    return result < 0 ? -result : parent;
  }
  const errno = nameErrno(name);
  if (errno !== 0) return errno;
  const found = tree.find(place, name, status);
  return typeof found === 'number' ? -found : found;
}

function clunk(session: NinepSession): number {
  const number = session.reader.u32();
  if (!session.reader.isGood) return EINVAL;
  return session.dropFid(number) ? 0 : EBADF;
}

/** The fid is gone, whether the file is or not. */
function remove(session: NinepSession): number {
  const number = session.reader.u32();
  if (!session.reader.isGood) return EINVAL;
  const fid = session.fid(number);
  if (fid === undefined) return EBADF;
  const errno = removePlace(session, fid.place);
  session.dropFid(number);
  return errno;
}

function removePlace(session: NinepSession, place: Place): number {
  const { tree, status } = session;
  const { parent, name } = place;
  if (session.isReadOnly) return EROFS;
  if (place === tree.root) return EBUSY;
  const looked = tree.named(place, status);
  if (looked < 0) return -looked;
  if (parent === undefined) return ENOTDIR;
  const dirFd = tree.fdOf(parent);
  if (dirFd < 0) return -dirFd;
  tree.keep(parent, name);
  const result = removeName(dirFd, name, isDirectory(status) ? AT_REMOVEDIR : 0);
  if (result === 0) tree.removed(parent, name);
  return -result;
}

/** Every message before it has been answered: there is nothing to give up. */
function flush(session: NinepSession): number {
  session.reader.u16(); // oldtag
  return session.reader.isGood ? 0 : EINVAL;
}
