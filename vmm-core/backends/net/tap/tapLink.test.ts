/** Over interfaces that the tests make, and that go away with them. Needs CAP_NET_ADMIN. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ALL_OFFLOADS, FakeGuestFrame, FakeGuestPort } from '../../../../test/support/fakeGuestPort.ts';
import { NO_OFFLOADS } from '../../../../test/support/netFrames.ts';
import { nthFaults } from '../../../../test/support/ioFaults.ts';
import { IPPROTO_UDP } from '../../../abi/inet.ts';
import { AF_INET, SOCK_DGRAM } from '../../../abi/socket.ts';
import {
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP,
  VIRTIO_NET_HDR_GSO_UDP_L4,
} from '../../../abi/virtioNetHdr.ts';
import { UserError } from '../../../errors.ts';
import { EACCES, EAGAIN, EBUSY, EINVAL, EIO, ENOENT, EPERM, EINTR, ENOBUFS } from '../../../kvm/errno.ts';
import { injectFaults } from '../../../kvm/io/faults.ts';
import { closeFd, createEventFd } from '../../../kvm/libc.ts';
import { KernelMessage } from '../../../kvm/net/messageIo.ts';
import { openSocket, setOption } from '../../../kvm/net/sockets.ts';
import { openTap as openTapQueues, setInterfaceAddress } from '../../../kvm/net/tun.ts';
import { allocateGuestMemory } from '../../../memory/guestMemory.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import type { LinkHost } from '../linkKind.ts';
import { noOffload } from '../offloadHeader.ts';
import { open as openTap, whyNot } from './openTap.ts';
import { TapLink, type TapOpened } from './tapLink.ts';
import { takesOffload, tunFlags } from './tapOffloads.ts';

/** Several runs at once shall not meet. */
const NETWORK = [100, 64 | (process.pid & 63), (process.pid >> 6) & 255];
const HOST = [...NETWORK, 2];
const GUEST = [...NETWORK, 3];
const GUEST_MAC = [0xfe, 0xe1, 0xbb, 0xd0, 0, 1];
const UDP_SEGMENT = 103; // <linux/udp.h>

function unavailable(): string | undefined {
  const tap = openTapQueues({ queues: 1 });
  if (typeof tap === 'number') return `no tap can be made here: errno ${-tap}`;
  tap.fds.forEach(closeFd);
  return undefined;
}

const skip = unavailable();
const troubles: string[] = [];

function linkHost(pairs = 1): LinkHost {
  return {
    ...{ vmName: 'alpine', name: 'net0', index: 0, mac: Uint8Array.from(GUEST_MAC), mtu: 1500, pairs },
    send: () => undefined,
    trouble: (sentence) => troubles.push(sentence),
  };
}

/** From the guest to the host's address: who has it, or here is mine. */
function arp(operation: 1 | 2, targetMac: readonly number[]): Uint8Array {
  const target = operation === 1 ? [255, 255, 255, 255, 255, 255] : targetMac;
  const header = [...target, ...GUEST_MAC, 8, 6];
  const body = [0, 1, 8, 0, 6, 4, 0, operation, ...GUEST_MAC, ...GUEST, ...targetMac, ...HOST];
  return Uint8Array.from([...header, ...body]);
}

function isArp(bytes: Uint8Array, operation: number): boolean {
  return bytes[12] === 8 && bytes[13] === 6 && bytes[21] === operation;
}

function isUdp(bytes: Uint8Array): boolean {
  return bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 17 && bytes[36] === 0x27 && bytes[37] === 0x0f;
}

describe('a tap', { skip }, () => {
  let port: FakeGuestPort;
  let link: TapLink;
  let opened: TapOpened;
  const open: number[] = [];
  beforeEach(() => {
    troubles.length = 0;
    port = new FakeGuestPort({ mac: Uint8Array.from(GUEST_MAC), offloads: NO_OFFLOADS });
    opened = openTap({ kind: 'tap', mtu: 1500 }, linkHost()).opened as TapOpened;
    link = new TapLink(opened, port);
    port.connect(link);
    assert.equal(
      setInterfaceAddress(opened.name, Uint8Array.from(HOST), Uint8Array.of(255, 255, 255, 254)),
      0,
    );
  });
  afterEach(() => {
    injectFaults(undefined);
    port.close();
    open.splice(0).forEach(closeFd);
  });

  /** The host knows where the guest is. */
  function meet(): void {
    port.send(arp(1, [0, 0, 0, 0, 0, 0]));
    assert.ok(port.waitFor(() => port.frames.some(({ bytes }) => isArp(bytes, 2))));
    port.frames.length = 0;
  }

  function hostSocket(): number {
    const fd = openSocket(AF_INET, SOCK_DGRAM);
    open.push(fd);
    return fd;
  }

  /** To the guest's port 9999. */
  function hostSends(fd: number, lengthBytes: number): void {
    const message = new KernelMessage([]);
    message.addBuffer(new IoBuffer(lengthBytes), 0, lengthBytes);
    const to = { family: 'ipv4', address: Uint8Array.from(GUEST), port: 9999 } as const;
    assert.equal(message.sendTo(fd, to), lengthBytes);
  }

  function udpFrames(): Uint8Array[] {
    return port.frames.map(({ bytes }) => bytes).filter(isUdp);
  }

  test('carries frames both ways: the host answers ARP, and its datagrams come', () => {
    meet();
    hostSends(hostSocket(), 1000);
    assert.ok(port.waitFor(() => udpFrames().length === 1));
    const [frame = new Uint8Array()] = udpFrames();
    assert.equal(frame.length, 14 + 20 + 8 + 1000);
    assert.deepEqual([...frame.slice(0, 6)], GUEST_MAC);
    assert.deepEqual(troubles, []);
  });

  test('keeps frames that the guest has no room for until it has', () => {
    meet();
    port.room = 3;
    const fd = hostSocket();
    for (let i = 0; i < 100; i++) hostSends(fd, 100 + i);
    assert.ok(port.waitFor(() => port.frames.length === 3));
    port.turn();
    assert.equal(port.frames.length, 3);
    port.room = Infinity;
    port.tellRoom();
    assert.ok(port.waitFor(() => udpFrames().length === 100));
    udpFrames().forEach((it, i) => assert.equal(it.length, 14 + 20 + 8 + 100 + i));
  });

  test('loses what comes while the cable is out, and what waited then', () => {
    meet();
    port.room = 0;
    const fd = hostSocket();
    for (let i = 0; i < 50; i++) hostSends(fd, 100);
    port.turn();
    port.setCut(true);
    for (let i = 0; i < 50; i++) hostSends(fd, 100);
    assert.ok(port.waitFor(() => port.drops.length >= 100));
    assert.ok(port.drops.every((it) => it === 'linkDown'));
    port.room = Infinity;
    port.setCut(false);
    hostSends(fd, 500);
    assert.ok(port.waitFor(() => udpFrames().length > 0));
    assert.deepEqual(
      udpFrames().map(({ length }) => length),
      [14 + 20 + 8 + 500],
    );
  });

  test('needs no more room than the frame has, whatever might have come', () => {
    meet();
    port.offloads = ALL_OFFLOADS;
    link.onOffloads();
    port.roomBytes = 1514;
    const fd = hostSocket();
    for (let i = 0; i < 50; i++) hostSends(fd, 100 + i);
    hostSends(fd, 1472);
    assert.ok(port.waitFor(() => udpFrames().length === 51));
    udpFrames().forEach((it, i) => assert.equal(it.length, 14 + 20 + 8 + (i < 50 ? 100 + i : 1472)));
    port.roomBytes = 1000;
    hostSends(fd, 1472);
    hostSends(fd, 10);
    port.turn();
    assert.equal(udpFrames().length, 51);
    port.roomBytes = 1514;
    port.tellRoom();
    assert.ok(port.waitFor(() => udpFrames().length === 53));
  });

  test('has whole frames for a guest whose buffers are in more pieces than a message', () => {
    meet();
    const piece = new IoBuffer(100);
    port.addTo = (message) => message.addBuffer(piece, 0, 100) && false; // there is no room for the others
    const fd = hostSocket();
    for (let i = 0; i < 100; i++) hostSends(fd, 1000 + i);
    assert.ok(port.waitFor(() => udpFrames().length === 100));
    udpFrames().forEach((it, i) => assert.equal(it.length, 14 + 20 + 8 + 1000 + i));
    assert.deepEqual(port.drops, []);
  });

  test('brings a bounded number of frames in one turn', () => {
    meet();
    port.room = 0;
    const fd = hostSocket();
    for (let i = 0; i < 200; i++) hostSends(fd, 100);
    port.turn();
    port.room = Infinity;
    port.tellRoom();
    assert.ok(port.frames.length <= 65);
    assert.ok(port.waitFor(() => udpFrames().length === 200));
  });

  test('leaves to the guest what its driver takes, and nothing else', () => {
    meet();
    const fd = hostSocket();
    assert.equal(setOption(fd, IPPROTO_UDP, UDP_SEGMENT, 1000), 0);
    hostSends(fd, 5000);
    assert.ok(port.waitFor(() => udpFrames().length === 5));
    assert.ok(port.frames.every(({ offload }) => offload.flags === 0 && offload.gsoType === 0));
    port.frames.length = 0;
    port.offloads = { ...ALL_OFFLOADS, uso4: false, uso6: false };
    link.onOffloads();
    hostSends(fd, 5000);
    assert.ok(port.waitFor(() => udpFrames().length === 5));
    assert.ok(port.frames.every(({ offload }) => offload.gsoType === 0));
    port.frames.length = 0;
    port.offloads = ALL_OFFLOADS;
    link.onOffloads();
    hostSends(fd, 5000);
    assert.ok(port.waitFor(() => udpFrames().length > 0));
    const [{ bytes, offload } = assert.fail()] = port.frames.filter((it) => isUdp(it.bytes));
    if (offload.gsoType === 0) return; // this kernel's taps do not have it
    assert.equal(bytes.length, 14 + 20 + 8 + 5000);
    assert.deepEqual([offload.gsoType, offload.gsoSize], [VIRTIO_NET_HDR_GSO_UDP_L4, 1000]);
    assert.deepEqual([offload.flags, offload.csumStart, offload.csumOffset], [1, 34, 6]);
  });

  test('takes a segment of the guest whole, with the checksum left to the host', () => {
    meet();
    const frame = new Uint8Array(14 + 20 + 20 + 9000);
    frame.set([0, 0, 0, 0, 0, 0, ...GUEST_MAC, 8, 0, 0x45]);
    const offload = {
      ...noOffload(),
      ...{ flags: VIRTIO_NET_HDR_F_NEEDS_CSUM, gsoType: VIRTIO_NET_HDR_GSO_TCPV4, hdrLen: 54, gsoSize: 1460 },
      ...{ csumStart: 34, csumOffset: 16 },
    };
    port.send(frame, offload);
    assert.deepEqual(port.drops, []);
    port.send(frame, { ...offload, csumStart: 60_000 }); // the kernel refuses it
    assert.deepEqual(port.drops, ['malformed']);
  });

  test('has a frame later that the host had no memory for, and none is lost or out of order', () => {
    meet();
    const fd = hostSocket();
    injectFaults(
      nthFaults({ receive: { 1: { errno: EINTR }, 3: { errno: ENOBUFS }, 5: { errno: ENOBUFS } } }),
    );
    for (const lengthBytes of [100, 200, 300, 400]) hostSends(fd, lengthBytes);
    assert.ok(port.waitFor(() => udpFrames().length === 4));
    assert.deepEqual(
      udpFrames().map(({ length }) => length),
      [142, 242, 342, 442],
    );
  });

  test('counts what the host does not take', () => {
    injectFaults(nthFaults({ send: { 1: { errno: EAGAIN }, 2: { errno: EIO } } }));
    port.send(new Uint8Array(60));
    port.send(new Uint8Array(60));
    assert.deepEqual(port.drops, ['hostBusy', 'linkDown']);
  });

  test('is served here where the kernel cannot, which is told', () => {
    const own = new FakeGuestPort({ mac: Uint8Array.from(GUEST_MAC), offloads: NO_OFFLOADS });
    const tap = new TapLink({ ...opened, vhostFds: [createEventFd()] }, own); // it knows no ioctl of vhost
    own.connect(tap);
    const ring = { size: 8, desc: 0, driver: 0x1000, device: 0x2000, nextAvail: 0, kickFd: -1 };
    const queue = { ...ring, interrupt: () => assert.fail('nobody serves it') };
    const memory = allocateGuestMemory([{ base: 0, sizeBytes: 0x1_0000 }]);
    const lent = {
      receive: queue,
      transmit: queue,
      memory,
      hasFeature: () => true,
      onBroken: () => undefined,
    };
    assert.equal(tap.pairServer?.start(0, lent), false);
    assert.match(own.troubles.join('\n'), /^the kernel's vhost does not serve net0 \(.+\): the VMM moves /);
    assert.equal(tap.report()['servedBy'], undefined);
    own.send(arp(1, [0, 0, 0, 0, 0, 0]));
    assert.ok(own.waitFor(() => own.frames.some(({ bytes }) => isArp(bytes, 2))));
    tap.pairServer?.close(); // the tap's own descriptors are the other link's
  });

  test('that is deleted is told once, and the link is down', () => {
    const { status } = spawnSync('ip', ['link', 'delete', opened.name]);
    if (status !== 0) return;
    port.send(new Uint8Array(60));
    port.send(new Uint8Array(60));
    assert.ok(port.waitFor(() => port.troubles.length > 0));
    assert.equal(port.troubles.length, 1);
    assert.match(port.troubles[0] ?? '', /^the interface tap\d+ was deleted: net0 has no link/);
    assert.equal(port.isUp, false);
    assert.equal(link.report()['state'], 'gone');
  });
});

test('a tap of several queues can do without some of them', { skip }, () => {
  const port = new FakeGuestPort({ mac: Uint8Array.from(GUEST_MAC), offloads: NO_OFFLOADS });
  const opened = openTap({ kind: 'tap' }, linkHost(2)).opened as TapOpened;
  const link = new TapLink({ ...opened, vhostFds: [createEventFd(), createEventFd()] }, port);
  port.connect(link);
  for (const count of [1, 2, 1]) {
    link.pairServer?.usePairs(count);
    for (const pair of [0, 1]) link.send(new FakeGuestFrame(new Uint8Array(60), noOffload()), pair);
    link.onReady(1);
    assert.deepEqual([port.troubles, port.isUp], [[], true]);
  }
  port.close();
});

describe('opening a tap', { skip }, () => {
  test('takes as many queues as the device has pairs, and one where the interface has one', () => {
    const backend = openTap({ kind: 'tap' }, linkHost(3));
    assert.equal((backend.opened as TapOpened).fds.length, 3);
    assert.match(backend.wiredTo ?? '', /^tap\d+$/);
    backend.close(false);
    const name = `trapt${process.pid % 1e5}`;
    const { status } = spawnSync('ip', ['tuntap', 'add', name, 'mode', 'tap']);
    if (status !== 0) return;
    try {
      const single = openTap({ kind: 'tap', tap: name }, linkHost(3));
      assert.equal((single.opened as TapOpened).fds.length, 1);
      assert.throws(() => openTap({ kind: 'tap', tap: name }, linkHost()), /is in use by another program/);
      single.close(false);
    } finally {
      spawnSync('ip', ['link', 'delete', name]);
    }
  });

  test('an interface that is no tap is refused', () => {
    assert.throws(
      () => openTap({ kind: 'tap', tap: 'lo' }, linkHost()),
      (error: unknown) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, /^"lo" is no tap interface: name one made by/);
        return true;
      },
    );
  });
});

test('each reason why a tap cannot be opened says what to do', () => {
  assert.match(whyNot('tap7', ENOENT), /no \/dev\/net\/tun.*modprobe tun/);
  assert.match(whyNot('tap7', EACCES), /may not be opened.*chmod/);
  assert.match(whyNot(undefined, EPERM), /making a tap needs root.*ip tuntap add/);
  assert.match(whyNot('nowhere0', EPERM), /there is no interface "nowhere0".*ip tuntap add nowhere0/);
  assert.match(whyNot('lo', EPERM), /the interface "lo" is not yours: make another by/);
  assert.match(whyNot('tap7', EBUSY), /in use by another program/);
  assert.match(whyNot('tap7', EINVAL), /is no tap interface/);
});

test('a frame that the guest does not take is none for it', () => {
  const cases: [number, Partial<typeof ALL_OFFLOADS>, boolean][] = [
    [0, {}, true],
    [VIRTIO_NET_HDR_GSO_ECN, ALL_OFFLOADS, false],
    [VIRTIO_NET_HDR_GSO_TCPV4, { csum: true, tso4: true }, true],
    [VIRTIO_NET_HDR_GSO_TCPV4, { csum: true, tso6: true }, false],
    [VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, { csum: true, tso4: true }, false],
    [VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN, { csum: true, tso6: true, ecn: true }, true],
    [VIRTIO_NET_HDR_GSO_UDP, { csum: true, ufo: true }, true],
    [VIRTIO_NET_HDR_GSO_UDP_L4, { csum: true, ufo: true }, false],
    [VIRTIO_NET_HDR_GSO_UDP_L4, { csum: true, uso4: true, uso6: true }, true],
  ];
  for (const [gsoType, guest, expected] of cases) {
    const offload = { ...noOffload(), gsoType };
    assert.equal(takesOffload({ ...NO_OFFLOADS, ...guest }, offload), expected, `${gsoType}`);
  }
  const checked = { ...noOffload(), flags: VIRTIO_NET_HDR_F_DATA_VALID };
  assert.ok(takesOffload(NO_OFFLOADS, checked));
  assert.equal(checked.flags, 0);
  assert.ok(!takesOffload(NO_OFFLOADS, { ...noOffload(), flags: VIRTIO_NET_HDR_F_NEEDS_CSUM }));
});

test('a tap is told of what the driver takes, and of nothing without checksums', () => {
  assert.equal(tunFlags({ ...ALL_OFFLOADS, csum: false }), 0);
  assert.equal(tunFlags(ALL_OFFLOADS), 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40);
  assert.equal(tunFlags({ ...NO_OFFLOADS, csum: true, tso6: true }), 0x01 | 0x04);
  assert.equal(tunFlags({ ...NO_OFFLOADS, csum: true, uso4: true }), 0x01);
});
