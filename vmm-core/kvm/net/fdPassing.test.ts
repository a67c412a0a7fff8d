import assert from 'node:assert/strict';
import { ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import {
  F_ADD_SEALS,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
} from '../../abi/memfd.ts';
import { SOCK_SEQPACKET, SOCK_STREAM } from '../../abi/socket.ts';
import { closeFd, createEventFd } from '../libc.ts';
import {
  createMemfd,
  fixedMemfdSize,
  MAX_PASSED_BYTES,
  MAX_PASSED_FDS,
  peerCredentials,
  receiveFds,
  sendFds,
} from './fdPassing.ts';
import { socketPair } from './sockets.ts';
import { fcntl, memfdCreate } from './syscalls.ts';

const { EAGAIN, EBADF, EINVAL, EMSGSIZE, EPERM, EPROTO } = constants.errno;
const open: number[] = [];
afterEach(() => open.splice(0).forEach(closeFd));

function pair(type = SOCK_SEQPACKET): readonly [one: number, other: number] {
  const fds = socketPair(type);
  assert.ok(typeof fds !== 'number');
  open.push(...fds);
  return fds;
}

function keep(fd: number): number {
  assert.ok(fd >= 0, `errno ${-fd}`);
  open.push(fd);
  return fd;
}

test('descriptors arrive with the bytes, in their order, as new ones that mean the same', () => {
  const [one, other] = pair();
  const fds = [keep(createMemfd('a', 4096)), keep(createMemfd('b', 8192))];
  writeSync(fds[1] ?? -1, 'hello', 100);
  assert.equal(sendFds(one, Uint8Array.of(1, 2, 3), fds), 3);
  const passed = receiveFds(other);
  assert.ok(typeof passed !== 'number');
  passed.fds.forEach(keep);
  assert.deepEqual(passed.bytes, Uint8Array.of(1, 2, 3));
  assert.deepEqual(passed.fds.map(fixedMemfdSize), [4096, 8192]);
  const read = Buffer.alloc(5);
  readSync(passed.fds[1] ?? -1, read, 0, 5, 100);
  assert.equal(read.toString(), 'hello');
  assert.ok(passed.fds.every((fd) => !fds.includes(fd)));
});

test('bytes may come alone; nothing is EAGAIN, and a peer that is gone no bytes', () => {
  const [one, other] = pair();
  assert.equal(receiveFds(other), -EAGAIN);
  sendFds(one, Uint8Array.of(9), []);
  assert.deepEqual(receiveFds(other), { bytes: Uint8Array.of(9), fds: [] });
  closeFd(one);
  open.splice(open.indexOf(one), 1);
  assert.deepEqual(receiveFds(other), { bytes: new Uint8Array(), fds: [] });
});

test('more than is taken is refused by the sender', () => {
  const [one] = pair();
  const many = Array.from({ length: MAX_PASSED_FDS + 1 }, () => 0);
  assert.equal(sendFds(one, Uint8Array.of(1), many), -EMSGSIZE);
  assert.equal(sendFds(one, new Uint8Array(MAX_PASSED_BYTES + 1), []), -EMSGSIZE);
  assert.equal(sendFds(one, Uint8Array.of(1), [-1]), -EBADF);
});

test('as many as are taken arrive, and of two messages in one stream each its own', () => {
  const [one, other] = pair(SOCK_STREAM);
  const eventFd = keep(createEventFd());
  const many = Array.from({ length: MAX_PASSED_FDS }, () => eventFd);
  assert.equal(sendFds(one, Uint8Array.of(1), many), 1);
  assert.equal(sendFds(one, Uint8Array.of(2), [eventFd]), 1);
  const counts: number[] = [];
  for (let left = 2; left > 0;) {
    const passed = receiveFds(other);
    assert.ok(typeof passed !== 'number');
    passed.fds.forEach(keep);
    counts.push(passed.fds.length);
    left -= passed.bytes.length;
  }
  assert.deepEqual(counts, [MAX_PASSED_FDS, 1]);
});

test('a shared memory keeps its size, and one that may shrink is not taken', () => {
  const fd = keep(createMemfd('guest', 0x10000));
  assert.equal(fixedMemfdSize(fd), 0x10000);
  for (const size of [0, 0x8000, 0x20000]) assert.throws(() => ftruncateSync(fd, size), { errno: -EPERM });
  const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-memfd-'));
  const file = keep(openSync(path.join(folder, 'file'), 'w+'));
  rmSync(folder, { recursive: true });
  assert.ok([-EINVAL, -EPROTO].includes(fixedMemfdSize(file)));
});

test('a memory that cannot be written, or that its owner can still seal so, is not taken', () => {
  const sealed = (seals: number): number => {
    const fd = keep(memfdCreate('guest', MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ftruncateSync(fd, 0x10000);
    assert.equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | seals), 0);
    return fd;
  };
  const readOnly = openSync(`/proc/self/fd/${keep(createMemfd('guest', 0x10000))}`, 'r');
  const refused = [0, F_SEAL_SEAL | F_SEAL_WRITE, F_SEAL_SEAL | F_SEAL_FUTURE_WRITE].map(sealed);
  for (const fd of [...refused, keep(readOnly)]) assert.equal(fixedMemfdSize(fd), -EPROTO);
  assert.equal(fixedMemfdSize(sealed(F_SEAL_SEAL)), 0x10000);
});

test('who is at the other end is told', () => {
  const [one] = pair();
  const expected = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
  assert.deepEqual(peerCredentials(one), expected);
  assert.equal(peerCredentials(-1), -EBADF);
});
