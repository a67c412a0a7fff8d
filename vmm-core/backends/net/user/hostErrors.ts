/** What a socket's errno means for the guest that had something sent. */
import {
  EACCES,
  EADDRNOTAVAIL,
  EAGAIN,
  ECONNREFUSED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EMFILE,
  EMSGSIZE,
  ENETUNREACH,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  ENOSPC,
  EPERM,
} from '../../../kvm/errno.ts';
import type { IcmpError } from './icmpErrors.ts';

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
    case EADDRNOTAVAIL: // of ports
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

/** As a router on the way would say it. */
export function icmpErrorOf(errno: number): IcmpError {
  switch (errno) {
    case ECONNREFUSED:
      return 'port';
    case ENETUNREACH:
      return 'network';
    case EACCES:
    case EPERM:
      return 'filtered';
    default:
      return 'host';
  }
}
