/**
 * Descriptors that go from process to process by a unix socket (unix(7), cmsg(3)), and memory to share in
 * that way. Results are as the kernel gives them, -errno for errors. Main, or a helper's process.
 */
import { constants } from 'node:fs';
import {
  F_ADD_SEALS,
  F_GET_SEALS,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
} from '../../abi/memfd.ts';
import {
  Cmsghdr,
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSGHDR,
  SCM_RIGHTS,
  SO_PEERCRED,
  SOL_SOCKET,
  Ucred,
} from '../../abi/socket.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { EMSGSIZE, EPROTO } from '../errno.ts';
import { closeFd, F_GETFL, hostAddress } from '../libc.ts';
import { fcntl, ftruncate, getsockopt, memfdCreate, recvmsg, retried, seekEnd, sendmsg } from './syscalls.ts';

/** Of one message: what Linux allows (SCM_MAX_FD) is more than anybody needs. */
export const MAX_PASSED_FDS = 16;
export const MAX_PASSED_BYTES = 0x8000;
const FD_BYTES = 4;

// Where in the buffer what is: struct msghdr, the one iovec, control messages, bytes.
const IOVEC = 64;
const CONTROL = 128;
const BYTES = 0x1000;
/** Whole multiples of 8, as each control message is. */
const CONTROL_BYTES = Cmsghdr.size + MAX_PASSED_FDS * FD_BYTES;

export interface Passed {
  readonly bytes: Uint8Array;
  /** The receiver's own, closed on exec. */
  readonly fds: readonly number[];
}

/** SO_PEERCRED: who connected, or made the pair. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

let made: PassBuffer | undefined;

/** At least one byte goes with descriptors. How many bytes were sent: of a stream socket perhaps not all. */
export function sendFds(socketFd: number, bytes: Uint8Array, fds: readonly number[]): number {
  if (bytes.length > MAX_PASSED_BYTES || fds.length > MAX_PASSED_FDS) return -EMSGSIZE;
  made ??= new PassBuffer();
  const message = made.outgoing(bytes, fds);
  return retried('send', socketFd, bytes.length, () =>
    sendmsg(socketFd, message, MSG_DONTWAIT | MSG_NOSIGNAL),
  );
}

/**
 * One message, or what there is of a stream. No bytes: the peer has gone. -EPROTO: it sent more descriptors
 * than we take, and none of them is left open.
 */
export function receiveFds(socketFd: number): Passed | number {
  made ??= new PassBuffer();
  const message = made.incoming();
  const result = retried('receive', socketFd, MAX_PASSED_BYTES, () =>
    recvmsg(socketFd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC),
  );
  if (result < 0) return result;
  const passed = made.passed(result);
  if (!made.isCut) return passed;
  for (const fd of passed.fds) closeFd(fd);
  return -EPROTO;
}

/** What a peer may share with us without being able to pull it away: neither it nor we can resize it. */
export function createMemfd(name: string, sizeBytes: number): number {
  const fd = memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return fd;
  let result = ftruncate(fd, sizeBytes);
  if (result === 0) result = fcntl(fd, F_ADD_SEALS, FIXED_FOR_GOOD);
  if (result === 0) return fd;
  closeFd(fd);
  return result;
}

/**
 * The size of a memory that was passed, if it is fixed for good and may be mapped for writing. -EPROTO: it
 * could go away under us, or its owner has forbidden the mapping, or still can.
 */
export function fixedMemfdSize(fd: number): number {
  const seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0) return seals;
  if ((seals & (FIXED_FOR_GOOD | READ_ONLY)) !== FIXED_FOR_GOOD) return -EPROTO;
  return (fcntl(fd, F_GETFL) & O_ACCMODE) === constants.O_RDWR ? seekEnd(fd) : -EPROTO;
}

const O_ACCMODE = 3; // <asm-generic/fcntl.h>
const FIXED_FOR_GOOD = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
const READ_ONLY = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;

export function peerCredentials(fd: number): PeerCredentials | number {
  const bytes = new Uint8Array(Ucred.size);
  const result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, bytes);
  return result < 0 ? result : Ucred.read(new DataView(bytes.buffer));
}

class PassBuffer {
  readonly #buffer = new IoBuffer(BYTES + MAX_PASSED_BYTES);
  readonly #view = new DataView(this.#buffer.memory.buffer);
  readonly #address = hostAddress(this.#buffer.memory);

  outgoing(bytes: Uint8Array, fds: readonly number[]): number {
    this.#buffer.bytes.set(bytes, BYTES);
    const lengthBytes = Cmsghdr.size + fds.length * FD_BYTES;
    Cmsghdr.write(
      this.#view,
      { cmsg_len: BigInt(lengthBytes), cmsg_level: SOL_SOCKET, cmsg_type: SCM_RIGHTS },
      CONTROL,
    );
    fds.forEach((fd, i) => this.#view.setInt32(CONTROL + Cmsghdr.size + i * FD_BYTES, fd, true));
    return this.#message(bytes.length, fds.length === 0 ? 0 : lengthBytes);
  }

  incoming(): number {
    return this.#message(MAX_PASSED_BYTES, CONTROL_BYTES);
  }

  get isCut(): boolean {
    return (this.#view.getUint32(MSGHDR.msg_flags, true) & MSG_CTRUNC) !== 0;
  }

  passed(lengthBytes: number): Passed {
    return { bytes: this.#buffer.bytes.slice(BYTES, BYTES + lengthBytes), fds: this.#fds() };
  }

  /** All SCM_RIGHTS that have come: the kernel wrote the lengths, and msg_controllen. */
  #fds(): number[] {
    const fds: number[] = [];
    const end = CONTROL + this.#view.getUint32(MSGHDR.msg_controllen, true);
    for (let at = CONTROL; at + Cmsghdr.size <= end;) {
      const header = Cmsghdr.read(this.#view, at);
      const next = at + Number(header.cmsg_len);
      if (next < at + Cmsghdr.size || next > end) break;
      if (header.cmsg_level === SOL_SOCKET && header.cmsg_type === SCM_RIGHTS)
        for (let fd = at + Cmsghdr.size; fd + FD_BYTES <= next; fd += FD_BYTES)
          fds.push(this.#view.getInt32(fd, true));
      at = next + (-next & 7);
    }
    return fds;
  }

  /** The address of struct msghdr. */
  #message(lengthBytes: number, controlBytes: number): number {
    const view = this.#view;
    new Uint8Array(view.buffer, 0, IOVEC).fill(0);
    view.setBigUint64(IOVEC, this.#address + BigInt(BYTES), true);
    view.setUint32(IOVEC + 8, lengthBytes, true);
    view.setBigUint64(MSGHDR.msg_iov, this.#address + BigInt(IOVEC), true);
    view.setUint32(MSGHDR.msg_iovlen, 1, true);
    if (controlBytes > 0) view.setBigUint64(MSGHDR.msg_control, this.#address + BigInt(CONTROL), true);
    view.setUint32(MSGHDR.msg_controllen, controlBytes, true);
    return Number(this.#address);
  }
}
