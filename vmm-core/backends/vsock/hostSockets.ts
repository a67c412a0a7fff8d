/**
 * The host's ends of a guest's vsock connections: unix sockets, as Firecracker and Cloud Hypervisor have
 * them. On the I/O thread. Results are bytes, descriptors or 0, or -errno; no call waits.
 */
import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../abi/epoll.ts';
import { AF_UNIX, SHUT_RD, SHUT_WR, SO_SNDBUF, SOCK_STREAM, SOL_SOCKET } from '../../abi/socket.ts';
import type { MessageIo } from '../../bus/messageIo.ts';
import type { Poller } from '../../bus/poller.ts';
import { closeFd } from '../../kvm/libc.ts';
import { KernelMessage } from '../../kvm/net/messageIo.ts';
import { acceptFrom, connectSocket, openSocket, setOption, shutdownSocket } from '../../kvm/net/sockets.ts';
import type { RamSlot } from '../../memory/guestMemory.ts';
import type { VsockOpened } from './listenSocket.ts';

/** As much as most hosts allow without privileges: what is there already need not come back as a kick. */
const SEND_BUFFER_BYTES = 1 << 20;
const EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

export class HostSockets {
  /** One at a time. */
  readonly message: MessageIo;
  readonly #opened: VsockOpened;
  readonly #poller: Poller;

  /** `listenTag`: what readiness of the listening socket is told under. */
  constructor(opened: VsockOpened, ram: readonly RamSlot[], poller: Poller, listenTag: number) {
    this.message = new KernelMessage(ram);
    this.#opened = opened;
    this.#poller = poller;
    poller.add(opened.listenFd, listenTag, EPOLLIN | EPOLLET);
  }

  /** A program that has connected. */
  accept(): number {
    const fd = acceptFrom(this.#opened.listenFd);
    if (fd >= 0) setOption(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES);
    return fd;
  }

  /** To the program that listens for this port of the host. */
  connectTo(port: number): number {
    const fd = openSocket(AF_UNIX, SOCK_STREAM);
    if (fd < 0) return fd;
    const result = connectSocket(fd, { family: 'unix', path: `${this.#opened.path}_${port}` });
    if (result < 0) {
      closeFd(fd);
      return result;
    }
    setOption(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES);
    return fd;
  }

  /** Edges of readiness come under `tag` from now on. */
  watch(fd: number, tag: number): number {
    return this.#poller.add(fd, tag, EVENTS);
  }

  /** The program reads to its end. */
  endSending(fd: number): void {
    shutdownSocket(fd, SHUT_WR);
  }

  /** The program's writes fail. */
  endReceiving(fd: number): void {
    shutdownSocket(fd, SHUT_RD);
  }

  close(fd: number): void {
    this.#poller.remove(fd);
    closeFd(fd);
  }

  closeListener(): void {
    this.close(this.#opened.listenFd);
  }
}
