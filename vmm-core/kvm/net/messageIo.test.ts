import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { afterEach, beforeEach, test } from 'node:test';
import { collectGarbage } from '../../../test/support/collectGarbage.ts';
import { nthFaults } from '../../../test/support/ioFaults.ts';
import {
  IP_PMTUDISC_DO,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_RECVERR,
} from '../../abi/inet.ts';
import { AF_INET, AF_INET6, MSG_PEEK, SOCK_DGRAM, SOCK_STREAM } from '../../abi/socket.ts';
import { MESSAGE_PIECES } from '../../bus/messageIo.ts';
import type { SocketAddress } from '../../bus/socketAddress.ts';
import { allocateGuestMemory, gpa } from '../../memory/guestMemory.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { injectFaults } from '../io/faults.ts';
import { closeFd } from '../libc.ts';
import { KernelMessage } from './messageIo.ts';
import { bindSocket, localAddress, openSocket, setOption, socketPair } from './sockets.ts';

const { EAGAIN, EBADF, ECONNREFUSED, ECONNRESET, EINTR, EINVAL, EMSGSIZE, ENOBUFS, EPIPE } = constants.errno;
const memory = allocateGuestMemory([
  { base: 0, sizeBytes: 0x20000 },
  { base: 0x100000, sizeBytes: 0x10000 },
]);
const message = new KernelMessage(memory.slots);
const open: number[] = [];
beforeEach(() => {
  message.clear();
  memory.slice(gpa(0), 0x20000).fill(0);
  memory.slice(gpa(0x100000), 0x10000).fill(0);
});
afterEach(() => {
  injectFaults(undefined);
  open.splice(0).forEach(closeFd);
});

function pair(type: number): readonly [one: number, other: number] {
  const fds = socketPair(type);
  assert.ok(typeof fds !== 'number');
  open.push(...fds);
  return fds;
}

function bound(family: number, address: Uint8Array): readonly [fd: number, address: SocketAddress] {
  const fd = openSocket(family, SOCK_DGRAM);
  open.push(fd);
  const kind = family === AF_INET ? 'ipv4' : 'ipv6';
  assert.equal(bindSocket(fd, { family: kind, address, port: 0 }), 0);
  const bound = localAddress(fd);
  assert.ok(typeof bound !== 'number');
  return [fd, bound];
}

function pattern(lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
}

function receiveInto(fd: number, lengthBytes: number): number {
  message.clear();
  message.addGuest(0, lengthBytes);
  return message.receive(fd);
}

test('a message keeps the buffers that it was given', () => {
  const [one, other] = pair(SOCK_STREAM);
  (() => message.addBuffer(new IoBuffer(16), 0, 16))();
  collectGarbage();
  assert.equal(message.send(one), 16);
  assert.equal(message.receive(other), 16);
});

test('a message is gathered from guest memory and buffers, and scattered into them', () => {
  const [one, other] = pair(SOCK_DGRAM);
  const header = new IoBuffer(64);
  header.bytes.set(pattern(12), 20);
  memory.write(gpa(0x100000), pattern(300).slice(12, 112));
  memory.write(gpa(0x1000), pattern(300).slice(112));
  assert.ok(message.addBuffer(header, 20, 12));
  assert.ok(message.addGuest(0x100000, 100));
  assert.ok(message.addGuest(0x1000, 188));
  assert.equal(message.lengthBytes, 300);
  assert.equal(message.send(one), 300);
  message.clear();
  message.addGuest(0x2000, 7);
  message.addBuffer(header, 0, 30);
  message.addGuest(0x100800, 1000);
  assert.equal(message.receive(other), 300);
  assert.deepEqual(memory.slice(gpa(0x2000), 7).slice(), pattern(7));
  assert.deepEqual(header.bytes.slice(0, 30), pattern(300).slice(7, 37));
  assert.deepEqual(memory.slice(gpa(0x100800), 263).slice(), pattern(300).slice(37));
});

test('nothing to receive and no room to send are EAGAIN at once', () => {
  const [one, other] = pair(SOCK_STREAM);
  message.addGuest(0, 0x20000);
  assert.equal(message.receive(other), -EAGAIN);
  let result = 0;
  do result = message.send(one);
  while (result > 0);
  assert.equal(result, -EAGAIN);
});

test('a peer that is gone is EPIPE, without a signal, and the end when receiving', () => {
  const [one, other] = pair(SOCK_STREAM);
  closeFd(open.pop() ?? other);
  message.addGuest(0, 10);
  assert.equal(message.send(one), -EPIPE);
  assert.equal(message.receive(one), 0);
  assert.equal(message.send(-1), -EBADF);
});

test('pieces outside memory and buffers are refused, as are too many, and leave the message as it was', () => {
  const buffer = new IoBuffer(100);
  for (const [offset, length] of [
    [0, 101],
    [100, 1],
    [-1, 2],
    [0, 0],
    [NaN, 1],
    [0, NaN],
    [0, -1],
  ] as const)
    assert.equal(message.addBuffer(buffer, offset, length), false, `${offset} ${length}`);
  for (const [address, length] of [
    [0x20000, 1],
    [0x1ffff, 2],
    [-1, 2],
    [0xfffff, 2],
  ] as const)
    assert.equal(message.addGuest(address, length), false);
  for (let i = 0; i < MESSAGE_PIECES; i++) assert.ok(message.addBuffer(buffer, i % 100, 1));
  assert.equal(message.addBuffer(buffer, 0, 1), false);
  assert.equal(message.addGuest(0, 1), false);
  assert.equal(message.lengthBytes, MESSAGE_PIECES);
  const [one, other] = pair(SOCK_DGRAM);
  assert.equal(message.send(one), MESSAGE_PIECES);
  assert.equal(receiveInto(other, 1000), MESSAGE_PIECES);
});

test('datagrams go to an address, and whose they are is told', () => {
  const families: [number, Uint8Array][] = [
    [AF_INET, Uint8Array.of(127, 0, 0, 1)],
    [AF_INET6, Uint8Array.of(...new Uint8Array(15), 1)],
  ];
  for (const [family, address] of families) {
    const [one, from] = bound(family, address);
    const [other, to] = bound(family, address);
    message.clear();
    message.addGuest(0x3000, 100);
    assert.equal(message.sendTo(one, to), 100);
    assert.equal(message.receiveFrom(other), 100);
    assert.deepEqual(message.peer, from);
    assert.equal(message.isCut, false);
  }
});

test('a datagram that does not fit is cut, and that is told', () => {
  const [one, to] = bound(AF_INET, Uint8Array.of(127, 0, 0, 1));
  message.addGuest(0, 100);
  message.sendTo(one, to);
  message.sendTo(one, to);
  message.clear();
  message.addGuest(0, 99);
  assert.equal(message.receiveFrom(one), 99);
  assert.ok(message.isCut);
  message.addGuest(200, 1);
  assert.equal(message.receiveFrom(one), 100);
  assert.ok(!message.isCut);
});

test('an address of another length or family than the socket has is an error', () => {
  const [one] = bound(AF_INET, Uint8Array.of(127, 0, 0, 1));
  message.addGuest(0, 1);
  assert.equal(message.sendTo(one, { family: 'ipv4', address: new Uint8Array(3), port: 1 }), -EINVAL);
  const wrong: SocketAddress = { family: 'ipv6', address: new Uint8Array(16), port: 1 };
  assert.ok(message.sendTo(one, wrong) < 0);
});

test('flags are the caller’s: what was peeked at is still there', () => {
  const [one, other] = pair(SOCK_STREAM);
  message.addGuest(0, 10);
  message.send(one);
  assert.equal(message.receive(other, MSG_PEEK), 10);
  assert.equal(message.receive(other), 10);
});

test('descriptors that are no sockets are read and written', () => {
  const [one, other] = pair(SOCK_DGRAM);
  memory.write(gpa(0x100), pattern(50));
  message.addGuest(0x100, 20);
  message.addGuest(0x100 + 20, 30);
  assert.equal(message.writev(one), 50);
  message.clear();
  message.addGuest(0x4000, 100);
  assert.equal(message.readv(other), 50);
  assert.deepEqual(memory.slice(gpa(0x4000), 50).slice(), pattern(50));
  assert.equal(message.readv(other), -EAGAIN);
});

test('a test makes calls fail or cuts them short, across pieces; the message stays what it was', () => {
  const [one, other] = pair(SOCK_STREAM);
  memory.write(gpa(0), pattern(100));
  injectFaults(
    nthFaults({
      send: { 1: { errno: EINTR }, 2: { errno: ENOBUFS }, 3: { shortBytes: 35 }, 4: { shortBytes: 40 } },
      sendTo: { 1: { errno: ENOBUFS } },
      receive: { 1: { errno: ECONNRESET }, 2: { shortBytes: 3 } },
    }),
  );
  message.addGuest(0, 10);
  message.addGuest(10, 30);
  assert.equal(message.send(one), -ENOBUFS);
  assert.equal(message.send(one), 35);
  assert.equal(message.lengthBytes, 40);
  assert.equal(message.writev(one), 40);
  assert.equal(message.sendTo(one, { family: 'ipv4', address: new Uint8Array(4), port: 1 }), -ENOBUFS);
  assert.equal(message.receive(other), -ECONNRESET);
  assert.equal(message.receive(other), 3);
  assert.equal(receiveInto(other, 1000), 72);
  assert.deepEqual(memory.slice(gpa(0), 72).slice(), Uint8Array.of(...pattern(35).slice(3), ...pattern(40)));
});

test('all pieces are filled from a buffer, whatever they are', () => {
  const buffer = new IoBuffer(0x1000);
  buffer.bytes.forEach((_, i) => (buffer.bytes[i] = i * 3));
  const into = new IoBuffer(64);
  message.clear();
  message.addGuest(gpa(0x1003), 1000);
  message.addBuffer(into, 5, 20);
  message.addGuest(gpa(0x100001), 7);
  assert.ok(message.fill(buffer.bytes.subarray(11, 11 + 1027)));
  const read = Uint8Array.of(
    ...memory.slice(gpa(0x1003), 1000),
    ...into.bytes.subarray(5, 25),
    ...memory.slice(gpa(0x100001), 7),
  );
  assert.deepEqual(read, buffer.bytes.slice(11, 11 + 1027));
  assert.equal(message.lengthBytes, 0);
  message.addGuest(gpa(0), 100);
  assert.ok(!message.fill(buffer.bytes.subarray(0, 99)), 'they are fewer');
  assert.ok(!message.fill(new Uint8Array(100)), 'they may move');
  assert.equal(message.lengthBytes, 100);
});

test('all pieces are copied to memory that does not move', () => {
  const into = new IoBuffer(0x1000).bytes.subarray(11, 11 + 1007);
  memory.slice(gpa(0x1003), 1000).forEach((_, i, bytes) => (bytes[i] = i * 3));
  memory.slice(gpa(0x100001), 7).fill(42);
  message.clear();
  message.addGuest(gpa(0x1003), 1000);
  message.addGuest(gpa(0x100001), 7);
  assert.ok(!message.copyTo(new Uint8Array(1007)) && !message.copyTo(into.subarray(1)));
  assert.ok(message.copyTo(into));
  assert.deepEqual(
    [...into],
    Array.from({ length: 1007 }, (_, i) => (i < 1000 ? (i * 3) & 0xff : 42)),
  );
  assert.equal(message.lengthBytes, 0);
});

test('why a datagram did not arrive, and who did not get it, is told by IP_RECVERR', () => {
  const gone = bound(AF_INET, Uint8Array.of(127, 0, 0, 1))[1];
  closeFd(open.pop() ?? -1);
  const fd = openSocket(AF_INET, SOCK_DGRAM);
  open.push(fd);
  setOption(fd, IPPROTO_IP, IP_RECVERR, 1);
  message.addGuest(0, 10);
  assert.equal(message.receiveFailure(fd), -EAGAIN);
  assert.equal(message.sendTo(fd, gone), 10);
  assert.equal(message.receiveFailure(fd), 10, 'what was sent');
  assert.deepEqual(message.peer, gone);
  assert.deepEqual(message.failure, { errno: ECONNREFUSED, isLocal: false, mtu: 0 });
  assert.equal(message.receiveFailure(fd), -EAGAIN, 'there is no more of it');
});

test('what is too large to leave the host is told with what its way takes', () => {
  const fd = openSocket(AF_INET6, SOCK_DGRAM);
  open.push(fd);
  setOption(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
  setOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO);
  message.addGuest(0, 65_520);
  const loopback = Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 1 : 0));
  assert.equal(message.sendTo(fd, { family: 'ipv6', address: loopback, port: 9 }), -EMSGSIZE);
  assert.equal(message.receiveFailure(fd), 0);
  assert.deepEqual(message.failure, { errno: EMSGSIZE, isLocal: true, mtu: 65_536 });
});
