/** HostSockets by the kernel. */
import { IPPROTO_TCP, TCP_NODELAY } from '../../../../abi/inet.ts';
import { SHUT_WR, SO_KEEPALIVE, SOCK_STREAM, SOL_SOCKET } from '../../../../abi/socket.ts';
import { closeFd } from '../../../../kvm/libc.ts';
import {
  abortSocket,
  connectSocket,
  FAMILIES,
  openSocket,
  pendingError,
  setOption,
  shutdownSocket,
} from '../../../../kvm/net/sockets.ts';
import type { HostSockets } from './tcpHost.ts';

export const KERNEL_SOCKETS: HostSockets = {
  open: (family) => openSocket(FAMILIES[family], SOCK_STREAM),
  prepare: (fd) => {
    // Unix sockets have neither. Whether to wait for more is the guest's TCP to decide.
    setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  },
  connect: connectSocket,
  pendingError,
  shutdownWrite: (fd) => void shutdownSocket(fd, SHUT_WR),
  close: closeFd,
  abort: abortSocket,
};
