/** Against a peer in this process, over real sockets. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { FakeGuestPort } from '../../../../test/support/fakeGuestPort.ts';
import { nthFaults } from '../../../../test/support/ioFaults.ts';
import { AF_INET, AF_UNIX, SO_SNDBUF, SOCK_STREAM, SOL_SOCKET } from '../../../abi/socket.ts';
import { addressText, type SocketAddress } from '../../../bus/socketAddress.ts';
import { UserError } from '../../../errors.ts';
import { injectFaults } from '../../../kvm/io/faults.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { KernelMessage } from '../../../kvm/net/messageIo.ts';
import {
  acceptFrom,
  bindSocket,
  listenOn,
  localAddress,
  openSocket,
  setOption,
  socketPair,
} from '../../../kvm/net/sockets.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import { open as openStream } from './openStream.ts';
import { StreamLink } from './streamLink.ts';

const { EAGAIN, ECONNRESET } = constants.errno;
const PEER_BYTES = 0x40000;

function bytesOf(lengthBytes: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 7 + seed) & 0xff);
}

function framed(...frames: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(frames.flatMap((it) => [0, it.length >> 16, it.length >> 8, it.length, ...it]));
}

/** The program at the other end. */
class Peer {
  readonly #message = new KernelMessage([]);
  readonly #buffer = new IoBuffer(PEER_BYTES);
  fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  says(bytes: Uint8Array): number {
    this.#buffer.bytes.set(bytes);
    this.#message.clear();
    this.#message.addBuffer(this.#buffer, 0, bytes.length);
    return this.#message.send(this.fd);
  }

  /** All that there is now. */
  hears(): Uint8Array {
    const parts: number[] = [];
    for (;;) {
      this.#message.clear();
      this.#message.addBuffer(this.#buffer, 0, PEER_BYTES);
      const count = this.#message.receive(this.fd);
      if (count <= 0) return Uint8Array.from(parts);
      for (let i = 0; i < count; i++) parts.push(this.#buffer.bytes[i] ?? 0);
    }
  }

  close(): void {
    closeFd(this.fd);
  }
}

describe('a link over a stream', () => {
  let port: FakeGuestPort;
  let peer: Peer;
  let link: StreamLink;
  beforeEach(() => {
    const pair = socketPair(SOCK_STREAM);
    assert.ok(typeof pair !== 'number');
    port = new FakeGuestPort();
    peer = new Peer(pair[1]);
    link = new StreamLink({ fd: pair[0], program: 'the peer' }, port);
    port.connect(link);
  });
  afterEach(() => {
    injectFaults(undefined);
    port.close();
    peer.close();
  });

  test('sends each frame behind its length, big-endian', () => {
    port.send(bytesOf(60));
    port.send(bytesOf(1514, 3));
    port.send(bytesOf(40_000, 5));
    assert.deepEqual(peer.hears(), framed(bytesOf(60), bytesOf(1514, 3), bytesOf(40_000, 5)));
  });

  test('takes frames in any pieces', () => {
    const stream = framed(bytesOf(60), bytesOf(1514, 1), bytesOf(65_550, 2), bytesOf(1, 3));
    for (let at = 0; at < stream.length;) {
      const part = stream.subarray(at, at + 1 + ((at * 7919) % 30_000));
      const count = peer.says(part);
      if (count > 0) at += count;
      port.turn();
    }
    assert.ok(port.waitFor(() => port.frames.length === 4));
    assert.deepEqual(
      port.frames.map(({ bytes }) => bytes.length),
      [60, 1514, 65_550, 1],
    );
    assert.deepEqual(port.frames[2]?.bytes, bytesOf(65_550, 2));
  });

  test('gives each frame to the pair of queues that its flow is awaited on (§5.1.6.5.6)', () => {
    const ip = [8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    const frames = [1, 2, 3, 4, 5, 6, 7, 8].map((flow) =>
      Uint8Array.from([...bytesOf(12), ...ip, 0, flow, 0, 9]),
    );
    peer.says(framed(...frames));
    assert.ok(port.waitFor(() => port.frames.length === frames.length));
    assert.ok(port.steered.every(({ came, awaited }) => came === awaited));
    assert.ok(new Set(port.steered.map(({ came }) => came)).size > 1);
  });

  test('leaves the peer waiting while the guest has no room', () => {
    port.room = 2;
    for (let i = 0; i < 10; i++) peer.says(framed(bytesOf(100, i)));
    assert.ok(port.waitFor(() => port.frames.length === 2));
    let count = 0;
    while (peer.says(bytesOf(4096)) > 0) {
      port.turn();
      assert.ok(count++ < 1000);
    }
    port.room = Infinity;
    port.tellRoom();
    assert.ok(port.waitFor(() => port.frames.length >= 10));
    assert.deepEqual(port.frames[9]?.bytes, bytesOf(100, 9));
  });

  test('loses what comes while the cable is out, and what waited then', () => {
    port.room = 0;
    peer.says(framed(bytesOf(100, 1), bytesOf(100, 2)));
    port.turn();
    port.setCut(true);
    peer.says(framed(bytesOf(100, 3)));
    assert.ok(port.waitFor(() => port.drops.length === 3));
    port.room = Infinity;
    port.setCut(false);
    peer.says(framed(bytesOf(100, 4)));
    assert.ok(port.waitFor(() => port.frames.length > 0));
    assert.deepEqual(
      port.frames.map(({ bytes }) => bytes),
      [bytesOf(100, 4)],
    );
    assert.deepEqual(port.drops, ['linkDown', 'linkDown', 'linkDown']);
  });

  test('keeps a bounded number of frames for a peer that does not read, and counts the others', () => {
    setOption(peer.fd, SOL_SOCKET, SO_SNDBUF, 4096);
    for (let i = 0; i < 3000; i++) port.send(bytesOf(1000, i));
    assert.ok(port.drops.length > 1000);
    assert.ok(port.drops.every((it) => it === 'hostBusy'));
    const kept = 3000 - port.drops.length;
    let heard = 0;
    port.waitFor(() => {
      heard += peer.hears().length;
      return heard >= kept * 1004;
    });
    assert.equal(heard, kept * 1004);
  });

  test('a length of 0, or of more than a frame has, ends the connection and is told', () => {
    for (const length of [0, 65_551, 0xffff_ffff]) {
      const nonsense = new Uint8Array(100);
      new DataView(nonsense.buffer).setUint32(0, length);
      const pair = socketPair(SOCK_STREAM);
      assert.ok(typeof pair !== 'number');
      link.onMessage({ fd: pair[0] });
      const other = new Peer(pair[1]);
      assert.ok(port.isUp);
      other.says(Uint8Array.of(...framed(bytesOf(60)), ...nonsense));
      assert.ok(port.waitFor(() => !port.isUp));
      other.close();
    }
    assert.equal(port.frames.length, 3);
    assert.equal(port.troubles.length, 1); // they came one after the other
    assert.match(port.troubles[0] ?? '', /^the peer does not speak QEMU's stream protocol: .* 0 bytes/);
    port.send(bytesOf(60));
    assert.deepEqual(port.drops, ['linkDown']);
  });

  test('what came before the end is delivered', () => {
    port.room = 0;
    peer.says(framed(bytesOf(60), bytesOf(61)));
    peer.close();
    port.turn();
    port.room = Infinity;
    port.tellRoom();
    assert.ok(port.waitFor(() => !port.isUp));
    assert.equal(port.frames.length, 2);
    assert.match(port.troubles[0] ?? '', /^the peer has closed the connection: net0 has no link/);
    const pair = socketPair(SOCK_STREAM);
    assert.ok(typeof pair !== 'number');
    peer.fd = pair[1];
    link.onMessage({ fd: pair[0] });
    assert.ok(port.isUp);
    port.send(bytesOf(60));
    assert.deepEqual(peer.hears(), framed(bytesOf(60)));
  });

  test('a reset, when sending or when receiving, is an end', () => {
    injectFaults(nthFaults({ send: { 2: { errno: ECONNRESET } } }));
    port.send(bytesOf(60));
    port.send(bytesOf(60));
    assert.equal(port.isUp, false);
    assert.equal(port.troubles.length, 1);
  });

  test('a frame that was cut when it was sent goes on where it was cut', () => {
    injectFaults(nthFaults({ send: { 1: { shortBytes: 2 }, 3: { shortBytes: 5000 } } }));
    port.send(bytesOf(20_000, 1));
    port.send(bytesOf(60, 2));
    port.send(bytesOf(20_000, 3));
    assert.deepEqual(peer.hears(), framed(bytesOf(20_000, 1), bytesOf(60, 2), bytesOf(20_000, 3)));
  });
});

describe('a link over a stream that it connects', () => {
  let folder: string;
  let port: FakeGuestPort;
  const open: number[] = [];
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'trapframe-stream-'));
    port = new FakeGuestPort();
  });
  afterEach(() => {
    port.close();
    open.splice(0).forEach(closeFd);
    rmSync(folder, { recursive: true });
  });

  function listening(address: SocketAddress): number {
    const fd = openSocket(address.family === 'unix' ? AF_UNIX : AF_INET, SOCK_STREAM);
    open.push(fd);
    assert.equal(bindSocket(fd, address), 0);
    assert.equal(listenOn(fd, 8), 0);
    return fd;
  }

  function accepted(server: number): Peer {
    let fd = -1;
    port.waitFor(() => (fd = acceptFrom(server)) >= 0);
    open.push(fd);
    return new Peer(fd);
  }

  function connect(socket: string): StreamLink {
    const { opened } = openStream({ kind: 'stream', socket });
    const link = new StreamLink(opened as ConstructorParameters<typeof StreamLink>[0], port);
    port.connect(link);
    return link;
  }

  test('is up once it is connected, by TCP and by a unix socket', () => {
    const server = listening({ family: 'ipv4', address: Uint8Array.of(127, 0, 0, 1), port: 0 });
    const address = localAddress(server);
    assert.ok(typeof address !== 'number');
    const link = connect(addressText(address));
    const peer = accepted(server);
    assert.ok(port.waitFor(() => port.isUp));
    assert.deepEqual(link.report(), { peer: addressText(address), state: 'up' });
    port.send(bytesOf(60));
    let heard = new Uint8Array();
    assert.ok(port.waitFor(() => (heard = Uint8Array.of(...heard, ...peer.hears())).length === 64));
    port.close();

    port = new FakeGuestPort();
    const unix = path.join(folder, 'net.sock');
    const other = listening({ family: 'unix', path: unix });
    connect(unix);
    const otherPeer = accepted(other);
    otherPeer.says(framed(bytesOf(99)));
    assert.ok(port.waitFor(() => port.frames.length === 1));
  });

  test('is down until somebody listens, says so once, and comes up by itself', () => {
    const unix = path.join(folder, 'net.sock');
    connect(unix);
    assert.equal(port.isUp, false);
    const firstDueMs = port.dueMs;
    assert.ok(port.waitFor(() => port.dueMs > firstDueMs)); // it has tried again
    assert.equal(port.troubles.length, 1);
    assert.match(port.troubles[0] ?? '', /^nobody answers at .*net\.sock: ENOENT \(no such file/);
    const server = listening({ family: 'unix', path: unix });
    const peer = accepted(server);
    assert.ok(port.waitFor(() => port.isUp));
    peer.says(framed(bytesOf(77)));
    assert.ok(port.waitFor(() => port.frames.length === 1));
  });

  test('connects again when the peer has gone', () => {
    const unix = path.join(folder, 'net.sock');
    const server = listening({ family: 'unix', path: unix });
    connect(unix);
    const peer = accepted(server);
    assert.ok(port.isUp);
    open.splice(open.indexOf(peer.fd), 1);
    peer.close();
    assert.ok(port.waitFor(() => !port.isUp));
    const next = accepted(server);
    assert.ok(port.waitFor(() => port.isUp));
    port.send(bytesOf(60));
    assert.equal(next.hears().length, 64);
    assert.equal(port.troubles.length, 1);
    assert.equal(acceptFrom(server), -EAGAIN);
  });
});

test('a socket that is none is one clear sentence', () => {
  const wrong: [string | undefined, RegExp][] = [
    [undefined, /needs a socket/],
    ['localhost:1234', /^"localhost:1234" is no socket/],
    ['1.2.3.4', /is no socket/],
    [`/${'x'.repeat(107)}`, /is longer than 107 bytes/],
  ];
  for (const [socket, said] of wrong)
    assert.throws(
      () => openStream({ kind: 'stream', ...(socket === undefined ? {} : { socket }) }),
      (error: unknown) => error instanceof UserError && said.test(error.message),
    );
});
