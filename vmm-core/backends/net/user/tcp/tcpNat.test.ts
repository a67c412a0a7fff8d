/** What the guest and the host's peer see of each other. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf, GUEST, Scene, SERVER } from '../../../../../test/support/tcpScene.ts';
import { NO_OFFLOADS } from '../../../../../test/support/netFrames.ts';
import { GUEST_MAC, type WireOptions } from '../../../../../test/support/tcpWire.ts';
import {
  EACCES,
  EAFNOSUPPORT,
  EAGAIN,
  EHOSTUNREACH,
  ENETUNREACH,
  ENOBUFS,
  ETIMEDOUT,
} from '../../../../kvm/errno.ts';
import { TH_ACK, TH_FIN } from '../../../../abi/packets.ts';
import { WINDOW_BYTES } from './hostStream.ts';
import type { Endpoint } from './tcpHost.ts';

const GATEWAY: Endpoint = { address: Uint8Array.of(10, 0, 2, 2), port: 50000 };
const EMPTY = new Uint8Array(0);
const HOURS = 3_600_000;

describe('a connection of the guest', () => {
  for (const [family, from, to] of [
    ['IPv4', GUEST, SERVER],
    ['IPv6', { ...GUEST, address: bytesOf(16) }, { ...SERVER, address: bytesOf(17).slice(1) }],
  ] as const)
    it(`goes over ${family} to where the guest says, and moves data both ways`, () => {
      const scene = new Scene({ tsoBytes: 65000 });
      scene.guest.mostSegment = family === 'IPv4' ? 1460 : 1440;
      const socket = scene.guest.connect(from, to);
      scene.settle();
      const peer = scene.last;
      assert.deepEqual(peer.address, { family: family.toLowerCase(), ...to });
      assert.ok(peer.isPrepared);
      const data = bytesOf(300_000);
      socket.write(data);
      peer.write(data);
      scene.settle();
      assert.deepEqual(peer.bytes(), data);
      assert.deepEqual(socket.bytes(), data);
    });

  it('is there for the guest once the host has reached its peer, and not before', () => {
    const scene = new Scene();
    scene.wire.sockets.onConnect = () => 'later';
    const socket = scene.guest.connect(GUEST, SERVER);
    scene.settle();
    scene.wait(250); // its SYN again
    assert.ok(!socket.isOpen);
    assert.equal(scene.wire.sockets.all.length, 1);
    scene.last.answer(true);
    scene.settle();
    assert.ok(socket.isOpen);
  });

  it('is refused as the host is, at once or later', () => {
    for (const answer of ['refuse', 'later'] as const) {
      const scene = new Scene();
      scene.wire.sockets.onConnect = () => answer;
      const socket = scene.guest.connect(GUEST, SERVER);
      scene.settle();
      if (answer === 'later') scene.last.answer(false);
      scene.settle();
      assert.ok(socket.isReset);
      scene.assertEmpty();
    }
  });

  it('that has no way to its peer is told of by ICMP, with the number of its SYN, and leaves nothing', () => {
    for (const [errno, error] of [
      [ENETUNREACH, 'network'],
      [EHOSTUNREACH, 'host'],
      [EACCES, 'filtered'],
    ] as const)
      for (const isLater of [false, true]) {
        const scene = new Scene();
        const { sockets } = scene.wire;
        if (isLater) sockets.onConnect = () => 'later';
        else sockets.fault = (call) => (call === 'connect' ? { errno } : undefined);
        const socket = scene.guest.connect(GUEST, SERVER);
        const { sequence } = syn(scene.guest.outgoing[0]?.bytes);
        scene.settle();
        if (isLater) scene.last.answer(false, errno);
        scene.settle();
        assert.ok(!socket.isReset, 'a reset would say that the port is closed');
        const lost = {
          mac: GUEST_MAC,
          source: GUEST.address,
          sourcePort: GUEST.port,
          destination: SERVER.address,
          destinationPort: SERVER.port,
        };
        assert.deepEqual(scene.wire.unreachable, [{ lost, sequence, error }]);
        assert.equal(scene.wire.nat.counters.unreachable, 1);
        scene.assertEmpty();
      }
  });

  it('that nobody answers, or the host has no room for, is as long as the guest tries', () => {
    for (const errno of [ETIMEDOUT, EAGAIN, ENOBUFS]) {
      const scene = new Scene();
      scene.wire.sockets.onConnect = () => 'later';
      const socket = scene.guest.connect(GUEST, SERVER);
      scene.settle();
      scene.last.answer(false, errno);
      scene.settle();
      assert.ok(!socket.isReset);
      assert.deepEqual(scene.wire.unreachable, []);
      scene.assertEmpty();
      scene.wait(1000); // its SYN again
      scene.last.answer(true);
      scene.settle();
      assert.ok(socket.isOpen);
    }
  });

  it('to a family that the host has not is unreachable at once', () => {
    const scene = new Scene();
    scene.wire.sockets.fault = (call) => (call === 'open' ? { errno: EAFNOSUPPORT } : undefined);
    scene.guest.connect(GUEST, SERVER);
    scene.settle();
    assert.equal(scene.wire.unreachable[0]?.error, 'network');
    assert.deepEqual(scene.wire.port.troubles, []);
    scene.assertEmpty();
  });

  it('goes where the network says, nowhere, or is not heard', () => {
    const translate: WireOptions['translate'] = (_, port) =>
      port === 80 ? { family: 'unix', path: '/run/web' } : port === 81 ? 'refused' : 'ignored';
    const scene = new Scene({}, { translate });
    const web = scene.guest.connect(GUEST, SERVER);
    const refused = scene.guest.connect(GUEST, { ...SERVER, port: 81 });
    const ignored = scene.guest.connect(GUEST, { ...SERVER, port: 82 });
    scene.settle();
    assert.ok(web.isOpen);
    assert.deepEqual(scene.last.address, { family: 'unix', path: '/run/web' });
    assert.ok(refused.isReset);
    assert.ok(!ignored.isOpen && !ignored.isReset);
  });

  it('is given up with the SYN of another from the same port', () => {
    const scene = new Scene();
    scene.wire.sockets.onConnect = () => 'later';
    const first = scene.guest.connect(GUEST, SERVER);
    scene.settle();
    first.isReset = true; // forgotten
    const second = scene.guest.connect(GUEST, SERVER);
    scene.settle();
    scene.last.answer(true);
    scene.settle();
    assert.ok(second.isOpen);
    assert.equal(scene.wire.sockets.all.length, 1);
  });

  it('keeps to what each guest can: no scaling, small segments, no offloads', () => {
    for (const options of [
      { windowShift: -1 },
      { mss: 536 },
      { csum: false, hasSack: false },
      { windowBytes: 1000 },
      { mss: 9000 },
    ]) {
      const scene = new Scene(options);
      scene.wire.port.offloads = NO_OFFLOADS;
      const { socket, peer } = scene.open();
      const data = bytesOf(100_000);
      socket.write(data);
      peer.write(data);
      for (let i = 0; i < 5; i++) scene.settle();
      assert.deepEqual(peer.bytes(), data);
      assert.deepEqual(socket.bytes(), data);
    }
  });

  it('uses an MTU of 65520 in whole', () => {
    for (const address of [SERVER.address, bytesOf(16)]) {
      const scene = new Scene({ mss: 65520 });
      scene.wire.port.mtu = 65520;
      scene.guest.mostSegment = 65520 - (address.length === 4 ? 40 : 60);
      const from = address.length === 4 ? GUEST : { address: bytesOf(16), port: 1 };
      const socket = scene.guest.connect(from, { address, port: 80 });
      scene.settle();
      scene.last.write(bytesOf(200_000));
      scene.settle();
      assert.deepEqual(socket.bytes(), bytesOf(200_000));
    }
  });
});

describe('the window', () => {
  it('closes while the host takes nothing, loses nothing, and opens without a retransmission', () => {
    const scene = new Scene({ tsoBytes: 65000 });
    const { socket, peer } = scene.open();
    peer.roomBytes = 100_000;
    const data = bytesOf(2 * WINDOW_BYTES);
    socket.write(data);
    scene.settle();
    assert.equal(peer.receivedBytes, 100_000);
    assert.equal(socket.sndNxt, socket.sndUna, 'all that was sent is acknowledged');
    assert.ok(scene.wire.nat.heldBlocks <= WINDOW_BYTES / 0x10000 + 1);
    while (peer.receivedBytes < data.length) {
      peer.giveRoom(300_000);
      scene.settle();
    }
    assert.deepEqual(peer.bytes(), data);
    assert.equal(socket.resends, 0);
    assert.equal(scene.wire.nat.heldBlocks, 0);
  });

  it('of the guest is kept to, and what waits goes on when it opens', () => {
    const scene = new Scene({ windowBytes: 20_480 });
    const { socket, peer } = scene.open();
    socket.isPaused = true;
    peer.write(bytesOf(100_000));
    peer.end();
    scene.settle();
    assert.equal(socket.receivedBytes, 20_480);
    for (let i = 0; i < 20; i++) scene.wait(60_000);
    assert.ok(!socket.isReset, 'a closed window is asked for, and may stay closed');
    socket.resume();
    scene.settle();
    assert.deepEqual(socket.bytes(), bytesOf(100_000));
    assert.ok(socket.isEnded);
  });

  it('that the guest has opened in a segment that was lost is asked for', () => {
    const scene = new Scene({ windowBytes: 20_480 });
    const { socket, peer } = scene.open();
    socket.isPaused = true;
    peer.write(bytesOf(50_000));
    scene.settle();
    socket.resume();
    scene.guest.outgoing.splice(0); // lost
    scene.wait(250);
    scene.wait(250);
    assert.deepEqual(socket.bytes(), bytesOf(50_000));
  });

  it('may be full when the guest ends, as lwIP does it: what comes back is acknowledged still', () => {
    const scene = new Scene({ windowShift: -1, windowBytes: 0xffff });
    const { socket, peer } = scene.open();
    peer.roomBytes = 0;
    socket.write(bytesOf(0xffff));
    scene.settle();
    assert.equal(socket.sndWnd, 0);
    socket.emit(TH_ACK | TH_FIN, socket.sndNxt, EMPTY);
    socket.sndNxt = (socket.sndNxt + 1) | 0;
    scene.settle();
    assert.ok(socket.isFinAcked);
    assert.equal(socket.sndWnd, 0);
    peer.write(bytesOf(500_000));
    scene.settle();
    assert.deepEqual(socket.bytes(), bytesOf(500_000));
    assert.equal(scene.wire.nat.counters.unacceptable, 0);
    peer.giveRoom(Infinity);
    peer.end();
    scene.settle();
    assert.ok(peer.isEnded && socket.isEnded);
    assert.deepEqual(peer.bytes(), bytesOf(0xffff));
    scene.assertEmpty();
  });

  it('of the guest may close before what is on its way, and stay so for as long as it says that', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    peer.write(bytesOf(5000));
    const says = (windowBytes: number): void => {
      scene.wire.sent();
      scene.wire.take(); // the guest has no memory for it
      Object.assign(scene.guest.options, { windowBytes });
      socket.acknowledge();
    };
    for (let i = 0; i < 60; i++) {
      says(0);
      for (const { bytes, offload } of scene.guest.outgoing.splice(0)) scene.wire.send(bytes, offload);
      scene.wire.advance(60_000);
    }
    assert.equal(scene.wire.nat.counters.timeouts, 0);
    says(0x40000);
    scene.settle();
    scene.wait(60_000);
    assert.deepEqual(socket.bytes(), bytesOf(5000));
  });

  it('is the guest no reason to wait for buffers with what it sends', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    scene.wire.port.roomFrames = 0;
    socket.write(bytesOf(5000));
    peer.write(bytesOf(70_000));
    scene.settle();
    assert.deepEqual(peer.bytes(), bytesOf(5000));
    assert.equal(socket.receivedBytes, 0);
    scene.wire.giveRoom(Infinity);
    scene.settle();
    assert.deepEqual(socket.bytes(), bytesOf(70_000));
  });
});

describe('a guest with few buffers', () => {
  it('gets frames that fit, also those that are sent again', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    scene.wire.port.mostBytes = 20_000;
    peer.write(bytesOf(300_000));
    scene.settle();
    assert.deepEqual(socket.bytes(), bytesOf(300_000));
    scene.wire.port.mostBytes = Infinity;
    peer.write(bytesOf(60_000));
    scene.wire.sent();
    scene.wire.take(); // lost
    scene.wire.port.mostBytes = 2000;
    for (let i = 0; i < 60; i++) scene.wait(1000);
    assert.equal(socket.receivedBytes, 360_000);
  });
});

describe('a host without descriptors', () => {
  it('is told of once, and the guest tries again', () => {
    const scene = new Scene();
    scene.wire.sockets.fault = (call) => (call === 'open' ? { errno: 24 } : undefined);
    const socket = scene.guest.connect(GUEST, SERVER);
    scene.settle();
    scene.wait(250);
    assert.equal(scene.wire.port.troubles.length, 1);
    scene.wire.sockets.fault = () => undefined;
    scene.wait(1000);
    assert.ok(socket.isOpen);
  });
});

describe('the end', () => {
  it('of the guest leaves the other direction open, and the reverse', () => {
    for (const isGuestFirst of [true, false]) {
      const scene = new Scene();
      const { socket, peer } = scene.open();
      if (isGuestFirst) socket.end();
      else peer.end();
      scene.settle();
      assert.equal(peer.isEnded, isGuestFirst);
      assert.equal(socket.isEnded, !isGuestFirst);
      if (isGuestFirst) peer.write(bytesOf(100_000));
      else socket.write(bytesOf(100_000));
      scene.settle();
      assert.deepEqual(isGuestFirst ? socket.bytes() : peer.bytes(), bytesOf(100_000));
      if (isGuestFirst) peer.end();
      else socket.end();
      scene.settle();
      assert.ok(peer.isEnded && socket.isEnded && socket.isFinAcked && !socket.isReset);
      scene.wait(5100); // TIME-WAIT
      scene.assertEmpty();
      assert.ok(!peer.isAborted);
    }
  });

  it('of both at once is an end', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    socket.end();
    peer.end();
    scene.settle();
    assert.ok(socket.isEnded && socket.isFinAcked && peer.isEnded);
    scene.wait(5100);
    scene.assertEmpty();
  });

  it('comes behind what the host has not taken yet', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    peer.roomBytes = 10;
    socket.write(bytesOf(1000));
    socket.end();
    scene.settle();
    assert.ok(!peer.isEnded && socket.isFinAcked);
    peer.giveRoom(Infinity);
    scene.settle();
    assert.deepEqual(peer.bytes(), bytesOf(1000));
    assert.ok(peer.isEnded);
  });

  it('is acknowledged again while the guest may ask, and a new SYN does not wait for that', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    peer.end();
    scene.settle();
    socket.end();
    scene.settle();
    assert.equal(scene.wire.nat.connections, 1);
    socket.emit(TH_ACK | TH_FIN, (socket.sndNxt - 1) | 0, EMPTY);
    for (const { bytes, offload } of scene.guest.outgoing.splice(0)) scene.wire.send(bytes, offload);
    scene.wire.sent();
    assert.equal(scene.wire.take().length, 1);
    scene.open();
    assert.equal(scene.wire.nat.connections, 1);
  });

  it('by RST of the guest breaks the host side off', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    socket.abort();
    scene.settle();
    assert.ok(peer.isAborted);
    scene.assertEmpty();
  });

  it('by RST of the host comes behind what it had sent', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    peer.write(bytesOf(100_000));
    peer.reset();
    scene.settle();
    assert.deepEqual(socket.bytes(), bytesOf(100_000));
    assert.ok(socket.isReset);
    scene.assertEmpty();
  });

  it('by RST of the host waits until the guest has room', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    scene.wire.port.roomFrames = 0;
    peer.reset();
    scene.settle();
    assert.ok(!socket.isReset && peer.isClosed);
    scene.wire.giveRoom(1);
    scene.settle();
    assert.ok(socket.isReset);
    scene.assertEmpty();
  });

  it('of what it does not know is RST (RFC 9293 §3.10.7.1)', () => {
    const scene = new Scene();
    const { socket } = scene.open();
    scene.wire.nat.reset();
    scene.assertEmpty();
    socket.write(bytesOf(10));
    scene.settle();
    assert.ok(socket.isReset);
  });
});

describe('a connection for the guest', () => {
  const to: Endpoint = { ...GUEST, port: 22 };

  it('is opened with SYN, and data waits in the socket until then', () => {
    const scene = new Scene();
    scene.guest.listens.add(22);
    const peer = scene.wire.sockets.accepted();
    peer.write(bytesOf(1000));
    scene.wire.nat.openToGuest(peer.fd, GATEWAY, to);
    scene.settle();
    const [socket] = scene.guest.sockets;
    assert.ok(socket?.isOpen && peer.isPrepared);
    assert.deepEqual(socket.to, GATEWAY);
    assert.deepEqual(socket.bytes(), bytesOf(1000));
    socket.write(bytesOf(2000));
    scene.settle();
    assert.deepEqual(peer.bytes(), bytesOf(2000));
  });

  it('is refused where the guest does, and given up where there is none', () => {
    const scene = new Scene();
    const refused = scene.wire.sockets.accepted();
    scene.wire.nat.openToGuest(refused.fd, GATEWAY, to);
    scene.settle();
    assert.ok(refused.isAborted);
    const lost = scene.wire.sockets.accepted();
    scene.wire.nat.openToGuest(lost.fd, GATEWAY, to);
    for (let i = 0; i < 200 && !lost.isClosed; i++) {
      scene.wire.advance(1000);
      scene.wire.take();
    }
    assert.ok(lost.isAborted);
    scene.assertEmpty();
  });

  it('comes to a guest that starts late', () => {
    const scene = new Scene();
    const peer = scene.wire.sockets.accepted();
    scene.wire.nat.openToGuest(peer.fd, GATEWAY, to);
    for (let i = 0; i < 20; i++) {
      scene.wire.advance(1000);
      scene.wire.take();
    }
    scene.guest.listens.add(22);
    scene.wait(30_000);
    scene.settle();
    assert.ok(scene.guest.sockets[0]?.isOpen);
  });

  it('has another port where its own is in use', () => {
    const scene = new Scene();
    scene.guest.listens.add(22);
    for (let i = 0; i < 3; i++) {
      scene.wire.nat.openToGuest(scene.wire.sockets.accepted().fd, GATEWAY, to);
      scene.settle();
    }
    assert.equal(new Set(scene.guest.sockets.map((it) => it.to.port)).size, 3);
  });
});

describe('time', () => {
  it('brings a lost segment again, at once where the guest says so, else after 200 ms', () => {
    for (const [count, waitMs] of [
      [5, 0],
      [1, 250],
    ] as const) {
      const scene = new Scene();
      scene.wire.port.offloads = { ...NO_OFFLOADS, csum: true };
      const { socket, peer } = scene.open();
      peer.write(bytesOf(1460 * count));
      scene.wire.sent();
      const frames = scene.wire.take();
      for (const it of frames.slice(1)) scene.guest.onFrame(it); // all but the first
      scene.settle();
      if (waitMs > 0) assert.equal(socket.receivedBytes, 0);
      scene.wait(waitMs);
      assert.deepEqual(socket.bytes(), bytesOf(1460 * count));
    }
  });

  it('ends a connection whose guest is gone, and tells the host', () => {
    const scene = new Scene();
    const { peer } = scene.open();
    peer.write(bytesOf(1000));
    for (let i = 0; i < 20; i++) {
      scene.wire.advance(60_000);
      scene.wire.take();
    }
    assert.ok(peer.isAborted);
    assert.equal(scene.wire.nat.counters.timeouts, 1);
    scene.assertEmpty();
  });

  it('does not count against a guest that is paused', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    peer.write(bytesOf(1000));
    scene.wire.sent();
    scene.wire.take(); // lost
    scene.wire.port.roomFrames = 0;
    for (let i = 0; i < 60; i++) scene.wire.advance(60_000);
    assert.equal(scene.wire.nat.counters.timeouts, 0);
    scene.wire.giveRoom(Infinity);
    scene.settle();
    assert.deepEqual(socket.bytes(), bytesOf(1000));
  });

  it('asks a silent guest after more than two hours, and leaves one alone that answers', () => {
    const scene = new Scene();
    scene.open();
    for (let i = 0; i < 1200; i++) scene.wait(HOURS / 60);
    assert.equal(scene.wire.nat.connections, 1);
    for (let i = 0; i < 200; i++) {
      scene.wire.advance(HOURS / 12);
      scene.wire.take();
    }
    scene.assertEmpty();
  });

  it('wakes nobody while nothing happens', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    socket.write(bytesOf(100));
    peer.write(bytesOf(100));
    scene.wait(1000);
    const before = scene.wire.timers;
    scene.wait(HOURS);
    assert.ok(scene.wire.timers - before <= 1);
  });
});

describe('the report', () => {
  it('names ends, states and bytes', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    socket.write(bytesOf(100));
    peer.write(bytesOf(200));
    peer.end();
    scene.settle();
    const { connections, opened, list } = scene.wire.nat.report();
    assert.deepEqual({ connections, opened }, { connections: 1, opened: 1 });
    assert.ok(Array.isArray(list));
    const [first] = list as Record<string, unknown>[];
    assert.equal(first?.['guest'], '10.0.2.15:40000');
    assert.equal(first['peer'], '192.0.2.7:80');
    assert.equal(first['state'], 'FIN-WAIT-2');
    assert.equal(first['fromGuestBytes'], 100);
    assert.equal(first['fromHostBytes'], 200);
    JSON.stringify(scene.wire.nat.report());
  });
});

/** What the headers of a frame of the guest have. */
function syn(bytes: Uint8Array | undefined): { readonly sequence: number } {
  assert.ok(bytes);
  return { sequence: new DataView(bytes.buffer, bytes.byteOffset).getInt32(14 + 20 + 4) };
}
