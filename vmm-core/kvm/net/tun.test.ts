/** On interfaces that it makes, and that go away with their descriptors. Needs CAP_NET_ADMIN. */
import assert from 'node:assert/strict';
import { constants, networkInterfaces } from 'node:os';
import { after, test } from 'node:test';
import { EPOLLET, EPOLLIN } from '../../abi/epoll.ts';
import { TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 } from '../../abi/tun.ts';
import { AF_INET, SOCK_DGRAM } from '../../abi/socket.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { openIoEngine } from '../io/openIoEngine.ts';
import { closeFd } from '../libc.ts';
import { KernelMessage } from './messageIo.ts';
import { openSocket } from './sockets.ts';
import {
  addInterfaceAddress6,
  interfaceMac,
  interfaceMtu,
  openTap,
  refuseRouterAdverts,
  removeInterfaceAddress6,
  setInterfaceAddress,
  setInterfaceMtu,
  setInterfaceUp,
  setTapOffloads,
  VNET_HEADER_BYTES,
} from './tun.ts';

const { EACCES, EAFNOSUPPORT, EBUSY, EEXIST, EINVAL, ENODEV } = constants.errno;
/** Several runs at once shall not meet. */
const NETWORK = [100, 64 | (process.pid & 63), (process.pid >> 6) & 255];
const open: number[] = [];
after(() => open.forEach(closeFd));

function unavailable(): string | undefined {
  const tap = openTap({ queues: 1 });
  if (typeof tap === 'number') return `no tap can be made here: errno ${-tap}`;
  tap.fds.forEach(closeFd);
  return undefined;
}

const skip = unavailable();

function newTap(queues = 1, name?: string) {
  const tap = openTap({ queues, ...(name === undefined ? {} : { name }) });
  assert.ok(typeof tap !== 'number', 'no tap');
  open.push(...tap.fds);
  return tap;
}

test('a tap has a name, an address of its own and an MTU', { skip }, () => {
  const { name } = newTap();
  assert.match(name, /^tap\d+$/);
  const mac = interfaceMac(name);
  assert.ok(typeof mac !== 'number');
  assert.equal(mac.length, 6);
  assert.ok(mac.some((it) => it !== 0));
  assert.equal(setInterfaceMtu(name, 1400), 0);
  assert.equal(interfaceMtu(name), 1400);
});

test('a tap has as many queues as are asked for', { skip }, () => {
  const { fds, name } = newTap(3);
  assert.equal(new Set(fds).size, 3);
  assert.equal(openTap({ name, queues: 1 }), -EINVAL); // it is one with several queues
});

test('a tap that somebody has is busy, and a name that is none is refused', { skip }, () => {
  const { name } = newTap();
  assert.equal(openTap({ name, queues: 1 }), -EBUSY);
  assert.equal(openTap({ name: 'x'.repeat(16), queues: 1 }), -EINVAL);
  assert.equal(openTap({ name: 'lo', queues: 1 }), -EINVAL);
  assert.equal(interfaceMac('nowhere'), -ENODEV);
  assert.equal(setInterfaceUp('nowhere', true), -ENODEV);
});

test('an interface has IPv6 addresses until they are taken away', { skip }, (t) => {
  const { name } = newTap();
  const address = Uint8Array.of(0xfd, ...new Array<number>(14).fill(0), 1);
  const result = addInterfaceAddress6(name, address, 64);
  if (result === -EACCES || result === -EAFNOSUPPORT) return t.skip('IPv6 is off here');
  const isThere = (): boolean =>
    networkInterfaces()[name]?.some(({ cidr }) => cidr === 'fd00::1/64') === true;
  assert.equal(setInterfaceUp(name, true), 0);
  assert.deepEqual([result, isThere()], [0, true]);
  assert.equal(addInterfaceAddress6(name, address, 64), -EEXIST);
  assert.equal(removeInterfaceAddress6(name, address, 64), 0);
  assert.equal(isThere(), false);
  assert.equal(addInterfaceAddress6('nowhere', address, 64), -ENODEV);
  assert.equal(refuseRouterAdverts(name), 0);
  assert.ok(refuseRouterAdverts('nowhere') < 0);
});

test('offloads can be set', { skip }, () => {
  const [fd = -1] = newTap().fds;
  assert.equal(setTapOffloads(fd, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), 0);
  assert.equal(setTapOffloads(fd, 0), 0);
  assert.equal(setTapOffloads(fd, 0x4000_0000), -EINVAL);
});

test('what the host sends there comes as a frame behind a header, and frames go in', { skip }, () => {
  const { name, fds } = newTap();
  const [fd = -1] = fds;
  assert.equal(setInterfaceUp(name, true), 0);
  assert.equal(setInterfaceAddress(name, Uint8Array.of(...NETWORK, 2), Uint8Array.of(255, 255, 255, 254)), 0);
  const socket = openSocket(AF_INET, SOCK_DGRAM);
  open.push(socket);
  const buffer = new IoBuffer(2000);
  const message = new KernelMessage([]);
  message.addBuffer(buffer, 0, 50);
  const to = { family: 'ipv4', address: Uint8Array.of(...NETWORK, 3), port: 9 } as const;
  assert.equal(message.sendTo(socket, to), 50);

  // The host asks by ARP who has the other address; IPv6 may say something first.
  message.clear();
  message.addBuffer(buffer, 0, 2000);
  let isArp = false;
  const engine = openIoEngine('poll', []);
  const poller = engine.openPoller(() => {
    while (!isArp && message.readv(fd) > VNET_HEADER_BYTES) {
      const frame = buffer.bytes.slice(VNET_HEADER_BYTES);
      isArp =
        frame[12] === 8 && frame[13] === 6 && frame.slice(38, 42).join('.') === [...NETWORK, 3].join('.');
    }
  });
  poller.add(fd, 1, EPOLLIN | EPOLLET);
  while (!isArp) engine.wait(-1, { onDone: () => undefined, onReady: () => undefined });
  engine.close();

  message.clear();
  buffer.bytes.fill(0);
  message.addBuffer(buffer, 0, VNET_HEADER_BYTES + 60);
  assert.equal(message.writev(fd), VNET_HEADER_BYTES + 60);
  assert.equal(setInterfaceUp(name, false), 0);
});
