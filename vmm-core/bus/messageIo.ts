/** What a socket or tap sends from or receives into: pieces of guest memory and of buffers of ours. */
import type { IoBuffer } from '../memory/ioBuffer.ts';
import type { SocketAddress } from './socketAddress.ts';

/** Why a datagram did not get where it was sent to (ip(7), IP_RECVERR). */
export interface SendFailure {
  readonly errno: number;
  /** It did not leave this host; then `peer` is nobody. */
  readonly isLocal: boolean;
  /** Of EMSGSIZE: the largest IP packet that the way takes, in bytes; else 0. */
  readonly mtu: number;
}

/** There is room for: more than a frame has, which the guest cuts up as it likes, and our headers. */
export const MESSAGE_PIECES = 512;

/**
 * One message at a time; nothing is allocated per message. Calls never wait (MSG_DONTWAIT) and raise no
 * SIGPIPE. Results: bytes, or -errno, but EINTR. kvm/net/ has it.
 */
export interface MessageIo {
  clear(): void;
  /** Appends guest memory. False: it is not inside one slot of RAM, or there is no room for more pieces. */
  addGuest(gpa: number, lengthBytes: number): boolean;
  /** Appends a part of a buffer, and keeps the buffer. False: it is not inside, or there is no more room. */
  addBuffer(buffer: IoBuffer, offset: number, lengthBytes: number): boolean;
  /** Of all pieces. */
  readonly lengthBytes: number;
  /**
   * Copies bytes of shared memory into all pieces, which are used up: an array's own copy goes byte by byte
   * where the two are not aligned alike. False, and nothing is copied: they are not as many, or not shared.
   */
  fill(from: Uint8Array): boolean;
  /** The other way, from all pieces. */
  copyTo(into: Uint8Array): boolean;
  send(fd: number, flags?: number): number;
  /** For a datagram. */
  sendTo(fd: number, address: SocketAddress): number;
  receive(fd: number, flags?: number): number;
  /** Of a datagram: `peer` is whose. A datagram that did not fit was cut: `isCut`. */
  receiveFrom(fd: number, flags?: number): number;
  /**
   * A datagram that was sent and has failed, of a socket with IP_RECVERR or IPV6_RECVERR: `peer` is who did
   * not get it, `failure` is why, and what is received is the datagram's begin.
   */
  receiveFailure(fd: number): number;
  /** The same object each time: valid until the next `receiveFrom` or `receiveFailure`. */
  readonly peer: SocketAddress;
  readonly failure: SendFailure;
  readonly isCut: boolean;
  /** Of tap and other descriptors that are no sockets and do not block. */
  writev(fd: number): number;
  readv(fd: number): number;
}
