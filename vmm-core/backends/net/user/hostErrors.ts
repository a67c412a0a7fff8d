/** What a socket's errno means for the guest that had something sent. */
import {
  EACCES,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EAGAIN,
  ECONNREFUSED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EINTR,
  EMFILE,
  EMSGSIZE,
  ENETUNREACH,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  ENOSPC,
  EPERM,
  ETIMEDOUT,
} from '../../../kvm/errno.ts';
import type { IcmpError } from './icmpErrors.ts';

/** After an error that is not of the network: the host has no memory, mostly. */
export const RETRY_MS = 10;

/** An ICMP error that has come back, as Linux has it (icmp_err_convert). */
export function isOfNetwork(errno: number): boolean {
  switch (errno) {
    case ECONNREFUSED:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EMSGSIZE:
    case ENETUNREACH:
    case EACCES:
      return true;
    default:
      return false;
  }
}

/** The host is short of something: what is sent again may pass. */
export function isShortage(errno: number): boolean {
  switch (errno) {
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC: // of what epoll may watch
      return true;
    default:
      return false;
  }
}

/** The host has no memory for the moment, or a signal came: nobody will tell when to go on. */
export function isPassing(errno: number): boolean {
  return errno === EINTR || errno === ENOMEM || errno === ENOBUFS;
}

/** As a router on the way would say it. */
export function icmpErrorOf(errno: number): IcmpError {
  switch (errno) {
    case ECONNREFUSED:
      return 'port';
    case EMSGSIZE:
      return 'tooBig';
    case ENETUNREACH:
    case EADDRNOTAVAIL: // nor an address to send from
    case EAFNOSUPPORT: // the host has no IPv6
      return 'network';
    case EACCES:
    case EPERM:
      return 'filtered';
    default:
      return 'host';
  }
}

/**
 * Of a connection that has failed. `refused`: by a reset, as its peer did. Undefined: nobody has answered, or
 * the host is short of something, and the guest hears as little; it tries again for as long as it likes.
 */
export function connectErrorOf(errno: number): IcmpError | 'refused' | undefined {
  if (errno === ETIMEDOUT || isShortage(errno)) return undefined;
  const isReset = errno !== EHOSTUNREACH && errno !== EHOSTDOWN;
  const error = icmpErrorOf(errno);
  return error === 'port' || (error === 'host' && isReset) ? 'refused' : error;
}
