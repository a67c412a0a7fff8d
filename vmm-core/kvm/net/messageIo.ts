/** MessageIo by sendmsg(2), recvmsg(2), readv(2) and writev(2). One thread. */
import {
  Cmsghdr,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  MSG_TRUNC,
  MSGHDR,
  MSGHDR_BYTES,
  SO_EE_ORIGIN_LOCAL,
  SOCKADDR_STORAGE_BYTES,
  SockExtendedErr,
} from '../../abi/socket.ts';
import { MESSAGE_PIECES, type MessageIo, type SendFailure } from '../../bus/messageIo.ts';
import type { SocketAddress } from '../../bus/socketAddress.ts';
import type { RamSlot } from '../../memory/guestMemory.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { EINTR, EMSGSIZE } from '../errno.ts';
import { injectedFaults, type IoCall } from '../io/faults.ts';
import { IovecTable } from '../io/iovecTable.ts';
import { copyInHost } from '../io/syscalls.ts';
import { hostAddress } from '../libc.ts';
import { NameReader, writeName } from './socketName.ts';
import { readv, recvmsg, retried, sendmsg, writev } from './syscalls.ts';

/** The only row of the table. */
const ROW = 0;
const NAME = 64; // where in the buffer the address is, after struct msghdr
const CONTROL = NAME + SOCKADDR_STORAGE_BYTES; // behind it: struct cmsghdr, and an error with an address
const CONTROL_BYTES = Cmsghdr.size + SockExtendedErr.size + SOCKADDR_STORAGE_BYTES;
const FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;
const TWO_32 = 2 ** 32;

/** Addresses of shared memory, which never moves: asking koffi allocates. */
const addresses = new WeakMap<ArrayBufferLike, number>();

function addressOfShared(bytes: Uint8Array): number {
  const { buffer } = bytes;
  let address = addresses.get(buffer);
  if (address === undefined) addresses.set(buffer, (address = Number(hostAddress({ buffer }))));
  return address + bytes.byteOffset;
}

export class KernelMessage implements MessageIo {
  readonly #iovecs: IovecTable;
  /** Whose memory the iovecs point to: it would be unmapped with them. Those of the last messages stay. */
  readonly #buffers: IoBuffer[] = [];
  #bufferCount = 0;
  /** struct msghdr, and the name that it points to. */
  readonly #buffer = new IoBuffer(CONTROL + CONTROL_BYTES);
  readonly #address = Number(hostAddress(this.#buffer.memory));
  readonly #header = new Uint32Array(this.#buffer.memory.buffer, 0, MSGHDR_BYTES / 4);
  readonly #name = this.#buffer.bytes.subarray(NAME, CONTROL);
  readonly #names = new NameReader();
  readonly #failure = { errno: 0, isLocal: false, mtu: 0 };
  #isCut = false;

  constructor(ram: readonly RamSlot[]) {
    this.#iovecs = new IovecTable(1, ram, MESSAGE_PIECES);
    const iov = this.#iovecs.addressOfRow(ROW);
    this.#header[MSGHDR.msg_iov / 4] = iov;
    this.#header[MSGHDR.msg_iov / 4 + 1] = iov / TWO_32;
  }

  clear(): void {
    this.#iovecs.clear(ROW);
    this.#bufferCount = 0;
  }

  addGuest(gpa: number, lengthBytes: number): boolean {
    return this.#iovecs.addGuest(ROW, gpa, lengthBytes);
  }

  addBuffer(buffer: IoBuffer, offset: number, lengthBytes: number): boolean {
    if (!(offset >= 0 && lengthBytes > 0 && offset + lengthBytes <= buffer.bytes.length)) return false;
    if (!this.#iovecs.addHost(ROW, addressOfShared(buffer.bytes) + offset, lengthBytes)) return false;
    this.#buffers[this.#bufferCount++] = buffer;
    return true;
  }

  get lengthBytes(): number {
    return this.#iovecs.lengthBytes(ROW);
  }

  fill(from: Uint8Array): boolean {
    if (!this.#isAsMuch(from)) return false;
    let at = addressOfShared(from);
    for (let bytes = 0; this.#iovecs.count(ROW) > 0; at += bytes) {
      bytes = this.#iovecs.firstBytes(ROW);
      copyInHost(this.#iovecs.firstAddress(ROW), at, bytes);
      this.#iovecs.consume(ROW, bytes);
    }
    return true;
  }

  copyTo(into: Uint8Array): boolean {
    if (!this.#isAsMuch(into)) return false;
    let at = addressOfShared(into);
    for (let bytes = 0; this.#iovecs.count(ROW) > 0; at += bytes) {
      bytes = this.#iovecs.firstBytes(ROW);
      copyInHost(at, this.#iovecs.firstAddress(ROW), bytes);
      this.#iovecs.consume(ROW, bytes);
    }
    return true;
  }

  get peer(): SocketAddress {
    return this.#names.last;
  }

  get failure(): SendFailure {
    return this.#failure;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  send(fd: number, flags = 0): number {
    this.#setName(0);
    if (injectedFaults() !== undefined)
      return this.#underFaults('send', fd, (count) => this.#sendmsg(fd, flags, count));
    return this.#sendmsg(fd, flags, this.#iovecs.count(ROW));
  }

  sendTo(fd: number, address: SocketAddress): number {
    const nameBytes = writeName(this.#name, address);
    if (nameBytes < 0) return nameBytes;
    this.#setName(nameBytes);
    if (injectedFaults() !== undefined)
      return this.#underFaults('sendTo', fd, (count) => this.#sendmsg(fd, 0, count));
    return this.#sendmsg(fd, 0, this.#iovecs.count(ROW));
  }

  receive(fd: number, flags = 0): number {
    this.#setName(0);
    if (injectedFaults() !== undefined)
      return this.#underFaults('receive', fd, (count) => this.#recvmsg(fd, flags, count));
    return this.#recvmsg(fd, flags, this.#iovecs.count(ROW));
  }

  receiveFrom(fd: number, flags = 0): number {
    this.#setName(SOCKADDR_STORAGE_BYTES);
    const result =
      injectedFaults() === undefined
        ? this.#recvmsg(fd, flags, this.#iovecs.count(ROW))
        : this.#underFaults('receive', fd, (count) => this.#recvmsg(fd, flags, count));
    if (result < 0) return result;
    const wrong = this.#names.read(this.#name, this.#header[MSGHDR.msg_namelen / 4] ?? 0);
    return wrong < 0 ? wrong : result;
  }

  receiveFailure(fd: number): number {
    this.#setControl(CONTROL_BYTES);
    const result = this.receiveFrom(fd, MSG_ERRQUEUE);
    const controlBytes = this.#header[MSGHDR.msg_controllen / 4] ?? 0;
    this.#setControl(0);
    if (result >= 0) this.#readFailure(controlBytes);
    return result;
  }

  writev(fd: number): number {
    if (injectedFaults() !== undefined)
      return this.#underFaults('send', fd, (count) => this.#writev(fd, count));
    return this.#writev(fd, this.#iovecs.count(ROW));
  }

  readv(fd: number): number {
    if (injectedFaults() !== undefined)
      return this.#underFaults('receive', fd, (count) => this.#readv(fd, count));
    return this.#readv(fd, this.#iovecs.count(ROW));
  }

  /** As all pieces have, of memory that does not move. */
  #isAsMuch({ buffer, length }: Uint8Array): boolean {
    return length === this.#iovecs.lengthBytes(ROW) && buffer instanceof SharedArrayBuffer;
  }

  /** 0: of the socket's peer. The kernel writes msg_namelen when it receives. */
  #setName(nameBytes: number): void {
    const name = nameBytes === 0 ? 0 : this.#address + NAME;
    this.#header[MSGHDR.msg_name / 4] = name;
    this.#header[MSGHDR.msg_name / 4 + 1] = name / TWO_32;
    this.#header[MSGHDR.msg_namelen / 4] = nameBytes;
  }

  /** 0: there is no room for control messages. The kernel writes msg_controllen when it receives. */
  #setControl(controlBytes: number): void {
    const control = controlBytes === 0 ? 0 : this.#address + CONTROL;
    this.#header[MSGHDR.msg_control / 4] = control;
    this.#header[MSGHDR.msg_control / 4 + 1] = control / TWO_32;
    this.#header[MSGHDR.msg_controllen / 4] = controlBytes;
  }

  /** The socket was asked for no other control message than this one. */
  #readFailure(controlBytes: number): void {
    const failure = this.#failure;
    const isThere = controlBytes >= Cmsghdr.size + SockExtendedErr.size;
    const view = new DataView(this.#buffer.memory.buffer, CONTROL, CONTROL_BYTES);
    const error = SockExtendedErr.read(view, Cmsghdr.size);
    failure.errno = isThere ? error.ee_errno : 0;
    failure.isLocal = isThere && error.ee_origin === SO_EE_ORIGIN_LOCAL;
    failure.mtu = failure.errno === EMSGSIZE ? error.ee_info : 0;
  }

  #sendmsg(fd: number, flags: number, count: number): number {
    this.#header[MSGHDR.msg_iovlen / 4] = count;
    let result: number;
    do result = sendmsg(fd, this.#address, flags | FLAGS);
    while (result === -EINTR);
    return result;
  }

  #recvmsg(fd: number, flags: number, count: number): number {
    this.#header[MSGHDR.msg_iovlen / 4] = count;
    let result: number;
    do result = recvmsg(fd, this.#address, flags | FLAGS);
    while (result === -EINTR);
    this.#isCut = result >= 0 && ((this.#header[MSGHDR.msg_flags / 4] ?? 0) & MSG_TRUNC) !== 0;
    return result;
  }

  #writev(fd: number, count: number): number {
    let result: number;
    do result = writev(fd, this.#iovecs.addressOfRow(ROW), count);
    while (result === -EINTR);
    return result;
  }

  #readv(fd: number, count: number): number {
    let result: number;
    do result = readv(fd, this.#iovecs.addressOfRow(ROW), count);
    while (result === -EINTR);
    return result;
  }

  #underFaults(call: IoCall, fd: number, perform: (count: number) => number): number {
    return retried(call, fd, this.lengthBytes, (lengthBytes) =>
      this.#iovecs.withEnd(ROW, lengthBytes, perform),
    );
  }
}
