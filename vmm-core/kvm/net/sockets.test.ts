/** On real sockets: loopback, unix. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, test } from 'node:test';
import { nthFaults } from '../../../test/support/ioFaults.ts';
import { IPPROTO_TCP, TCP_NODELAY } from '../../abi/inet.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SHUT_WR,
  SO_RCVBUF,
  SO_TYPE,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../abi/socket.ts';
import type { SocketAddress } from '../../bus/socketAddress.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { injectFaults } from '../io/faults.ts';
import { closeFd } from '../libc.ts';
import { poll } from '../io/syscalls.ts';
import { hostAddress } from '../libc.ts';
import { KernelMessage } from './messageIo.ts';
import {
  abortSocket,
  acceptFrom,
  bindSocket,
  connectSocket,
  getOption,
  listenOn,
  localAddress,
  openSocket,
  peerAddress,
  pendingError,
  setOption,
  shutdownSocket,
  socketPair,
  unsentBytes,
} from './sockets.ts';

const { EAGAIN, EBADF, ECONNREFUSED, ECONNRESET, EINPROGRESS, EINTR, EINVAL, EMFILE, ENAMETOOLONG } =
  constants.errno;
const LOOPBACK: SocketAddress = { family: 'ipv4', address: Uint8Array.of(127, 0, 0, 1), port: 0 };
const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-sockets-'));
const open: number[] = [];
afterEach(() => {
  injectFaults(undefined);
  open.splice(0).forEach(closeFd);
});
after(() => rmSync(folder, { recursive: true }));

function keep(fd: number): number {
  assert.ok(fd >= 0, `errno ${-fd}`);
  open.push(fd);
  return fd;
}

/** Waits until it is readable or writable. */
function until(fd: number, pollEvents: number): void {
  const buffer = new IoBuffer(8);
  const view = new DataView(buffer.memory.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, pollEvents, true);
  assert.ok(poll(Number(hostAddress(buffer.memory)), 1, -1) === 1);
}
const POLLIN = 1;
const POLLOUT = 4;

function listening(family: number, address: SocketAddress): number {
  const fd = keep(openSocket(family, SOCK_STREAM));
  assert.equal(bindSocket(fd, address), 0);
  assert.equal(listenOn(fd, 8), 0);
  return fd;
}

function connected(family: number, server: number): readonly [client: number, accepted: number] {
  const client = keep(openSocket(family, SOCK_STREAM));
  const to = localAddress(server);
  assert.ok(typeof to !== 'number');
  const result = connectSocket(client, to);
  assert.ok(result === 0 || result === -EINPROGRESS);
  until(client, POLLOUT);
  assert.equal(pendingError(client), 0);
  until(server, POLLIN);
  return [client, keep(acceptFrom(server))];
}

test('a TCP connection knows both its ends, by IPv4 and by IPv6', () => {
  const addresses: [number, SocketAddress][] = [
    [AF_INET, LOOPBACK],
    [AF_INET6, { family: 'ipv6', address: Uint8Array.of(...new Uint8Array(15), 1), port: 0 }],
  ];
  for (const [family, address] of addresses) {
    const server = listening(family, address);
    assert.equal(acceptFrom(server), -EAGAIN);
    const [client, accepted] = connected(family, server);
    assert.deepEqual(peerAddress(client), localAddress(server));
    assert.deepEqual(peerAddress(accepted), localAddress(client));
  }
});

test('a unix socket is named by its path, by an abstract name, or not at all', () => {
  for (const name of [path.join(folder, 'socket'), '\0trapframe-' + process.pid]) {
    const server = listening(AF_UNIX, { family: 'unix', path: name });
    assert.deepEqual(localAddress(server), { family: 'unix', path: name });
    const [client] = connected(AF_UNIX, server);
    assert.deepEqual(peerAddress(client), { family: 'unix', path: name });
    assert.deepEqual(localAddress(client), { family: 'unix', path: '' });
  }
});

test('a path has at most 107 bytes, and no NUL in it', () => {
  const fd = keep(openSocket(AF_UNIX, SOCK_STREAM));
  assert.equal(bindSocket(fd, { family: 'unix', path: 'x'.repeat(108) }), -ENAMETOOLONG);
  assert.equal(bindSocket(fd, { family: 'unix', path: 'a\0b' }), -EINVAL);
  const longest = path.join(folder, '').padEnd(106, 'x') + '/';
  assert.equal(connectSocket(fd, { family: 'unix', path: longest }), -constants.errno.ENOENT);
});

test('that nobody listens is told by the pending error, once', () => {
  const server = listening(AF_INET, LOOPBACK);
  const address = localAddress(server);
  assert.ok(typeof address !== 'number');
  closeFd(open.pop() ?? -1);
  const client = keep(openSocket(AF_INET, SOCK_STREAM));
  const result = connectSocket(client, address);
  if (result === -EINPROGRESS) {
    until(client, POLLOUT);
    assert.equal(pendingError(client), ECONNREFUSED);
  } else assert.equal(result, -ECONNREFUSED);
  assert.equal(pendingError(client), 0);
});

test('options are read and written, and a closed descriptor is an error', () => {
  const fd = keep(openSocket(AF_INET, SOCK_STREAM));
  assert.equal(getOption(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
  assert.equal(setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1), 0);
  assert.equal(getOption(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  assert.equal(setOption(fd, SOL_SOCKET, SO_RCVBUF, 0x10000), 0);
  assert.ok(getOption(fd, SOL_SOCKET, SO_RCVBUF) >= 0x10000);
  for (const call of [pendingError, unsentBytes, acceptFrom, localAddress, peerAddress])
    assert.equal(call(-1), -EBADF);
  assert.equal(setOption(-1, SOL_SOCKET, SO_RCVBUF, 1), -EBADF);
  assert.equal(shutdownSocket(-1, SHUT_WR), -EBADF);
});

test('a connection that is broken off is reset, one that is closed ends', () => {
  const message = new KernelMessage([]);
  const buffer = new IoBuffer(16);
  const answer = (end: (fd: number) => void): number => {
    const [client, accepted] = connected(AF_INET, listening(AF_INET, LOOPBACK));
    open.splice(open.indexOf(client), 1);
    end(client);
    until(accepted, POLLIN);
    message.clear();
    message.addBuffer(buffer, 0, 16);
    return message.receive(accepted);
  };
  assert.equal(answer(closeFd), 0);
  assert.equal(answer(abortSocket), -ECONNRESET);
});

test('what the peer has not acknowledged is unsent', () => {
  const server = listening(AF_INET, LOOPBACK);
  const [client, accepted] = connected(AF_INET, server);
  const message = new KernelMessage([]);
  const buffer = new IoBuffer(0x10000);
  let sent = 0;
  message.addBuffer(buffer, 0, 0x10000);
  for (let count = message.send(client); count > 0; count = message.send(client)) sent += count;
  assert.ok(unsentBytes(client) > 0);
  while (sent > 0) {
    until(accepted, POLLIN);
    sent -= message.receive(accepted);
  }
  assert.equal(unsentBytes(client), 0);
});

test('a pair is connected, and its ends go one by one', () => {
  const pair = socketPair(SOCK_DGRAM);
  assert.ok(typeof pair !== 'number');
  pair.forEach(keep);
  const message = new KernelMessage([]);
  message.addBuffer(new IoBuffer(4), 0, 4);
  assert.equal(message.send(pair[0]), 4);
  assert.equal(message.receive(pair[1]), 4);
});

test('a test makes calls fail, and calls that are interrupted are done again', () => {
  injectFaults(
    nthFaults({
      socket: { 1: { errno: EMFILE }, 2: { errno: EINTR } },
      connect: { 1: { errno: ECONNREFUSED } },
      accept: { 1: { errno: EMFILE } },
    }),
  );
  assert.equal(openSocket(AF_INET, SOCK_STREAM), -EMFILE);
  const server = listening(AF_INET, LOOPBACK);
  assert.equal(acceptFrom(server), -EMFILE);
  assert.equal(acceptFrom(server), -EAGAIN);
  assert.equal(connectSocket(server, LOOPBACK), -ECONNREFUSED);
});

test('an address of a wrong length is refused', () => {
  const fd = keep(openSocket(AF_INET, SOCK_STREAM));
  assert.equal(connectSocket(fd, { family: 'ipv4', address: new Uint8Array(16), port: 1 }), -EINVAL);
  assert.equal(connectSocket(fd, { family: 'ipv6', address: new Uint8Array(4), port: 1 }), -EINVAL);
});
