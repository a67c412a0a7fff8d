/** Segments out of place, and too much of everything. test/support/userTcpFuzz.ts goes further. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GuestSocket } from '../../../../../test/support/guestTcp.ts';
import { bytesOf, GUEST, Scene, SERVER } from '../../../../../test/support/tcpScene.ts';
import { hostileRound, transferRound } from '../../../../../test/support/userTcpFuzz.ts';
import { TH_ACK, TH_PUSH, TH_RST, TH_SYN } from '../../../../abi/packets.ts';
import { MAX_HALF_OPEN } from './connectionSet.ts';
import { WINDOW_BYTES } from './hostStream.ts';
import { MAX_CONNECTIONS } from './tcpHost.ts';

const EMPTY: Uint8Array = new Uint8Array(0);

describe('segments that are not what they should be', () => {
  /** The NAT's answers to one segment. */
  function answers(
    scene: Scene,
    socket: GuestSocket,
    flags: number,
    sequence: number,
    data = EMPTY,
  ): number[] {
    socket.emit(flags, sequence, data);
    for (const { bytes, offload } of scene.guest.outgoing.splice(0)) scene.wire.send(bytes, offload);
    scene.wire.sent();
    return scene.wire.take().map(({ bytes }) => bytes[47] ?? 0);
  }

  it('break nothing off, but for RST with the very next number (RFC 5961 §3)', () => {
    const scene = new Scene();
    const { socket } = scene.open();
    assert.deepEqual(answers(scene, socket, TH_RST, (socket.sndNxt + 1) | 0), [TH_ACK]);
    assert.deepEqual(answers(scene, socket, TH_RST, (socket.sndNxt - 1) | 0), []);
    assert.deepEqual(answers(scene, socket, TH_RST, (socket.sndNxt + 2 * WINDOW_BYTES) | 0), []);
    assert.equal(scene.wire.nat.connections, 1);
    assert.deepEqual(answers(scene, socket, TH_RST, socket.sndNxt), []);
    assert.equal(scene.wire.nat.connections, 0);
  });

  it('are answered with an acknowledgement: SYN, what is old, what is beyond, a keepalive', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    socket.write(bytesOf(10));
    scene.settle();
    const next = socket.sndNxt;
    assert.deepEqual(answers(scene, socket, TH_SYN, next), [TH_ACK]);
    assert.deepEqual(answers(scene, socket, TH_ACK, (next - 10) | 0, bytesOf(10)), [TH_ACK]);
    assert.deepEqual(answers(scene, socket, TH_ACK, (next + 2 * WINDOW_BYTES) | 0, bytesOf(10)), [TH_ACK]);
    assert.deepEqual(answers(scene, socket, TH_ACK, (next + 5) | 0, bytesOf(10)), [TH_ACK]);
    assert.deepEqual(answers(scene, socket, TH_ACK, (next - 1) | 0), [TH_ACK]);
    assert.deepEqual(answers(scene, socket, TH_ACK, (next - 1) | 0, bytesOf(1)), [TH_ACK]);
    socket.rcvNxt = (socket.rcvNxt + 1) | 0; // acknowledges what was never sent
    assert.deepEqual(answers(scene, socket, TH_ACK, next, bytesOf(1)), [TH_ACK]);
    assert.equal(peer.receivedBytes, 10);
    assert.equal(scene.wire.nat.connections, 1);
  });

  it('are taken as far as they are new', () => {
    const scene = new Scene();
    const { socket, peer } = scene.open();
    const data = bytesOf(20);
    answers(scene, socket, TH_ACK | TH_PUSH, socket.sndNxt, data.subarray(0, 12));
    answers(scene, socket, TH_ACK | TH_PUSH, (socket.sndNxt + 4) | 0, data.subarray(4, 20));
    assert.deepEqual(peer.bytes(), data);
  });

  it('are dropped, and counted, with a wrong checksum', () => {
    const scene = new Scene({ csum: false });
    const { socket, peer } = scene.open();
    socket.write(bytesOf(1000));
    const frame = scene.guest.outgoing.splice(0)[0];
    assert.ok(frame);
    frame.bytes[500] = (frame.bytes[500] ?? 0) ^ 1;
    scene.wire.send(frame.bytes, frame.offload);
    scene.settle();
    assert.equal(peer.receivedBytes, 0);
    assert.equal(scene.wire.nat.counters.badChecksum, 1);
  });
});

describe('a flood', () => {
  const flood = (scene: Scene, count: number): void => {
    for (let i = 0; i < count; i++) {
      const port = 1024 + (i % 60_000);
      scene.guest.connect({ ...GUEST, port }, { ...SERVER, port: 80 + Math.floor(i / 60_000) });
      for (const { bytes, offload } of scene.guest.outgoing.splice(0)) scene.wire.send(bytes, offload);
      scene.guest.sockets.length = 0;
    }
    scene.wire.sent();
    scene.wire.take();
  };

  it('of SYNs to nowhere ends at a bound', () => {
    const scene = new Scene();
    scene.wire.sockets.onConnect = () => 'later';
    flood(scene, 3000);
    assert.equal(scene.wire.sockets.openFds, MAX_HALF_OPEN);
    assert.equal(scene.wire.nat.counters.noRoom, 3000 - MAX_HALF_OPEN);
    scene.wire.nat.close();
    scene.assertEmpty();
  });

  it('of connections ends at a bound, and those that are over make room', () => {
    const scene = new Scene();
    const sockets: GuestSocket[] = [];
    for (let i = 0; i < MAX_CONNECTIONS + 10; i++) {
      scene.guest.sockets.length = 0;
      sockets.push(scene.guest.connect({ ...GUEST, port: 1024 + i }, SERVER));
      scene.settle();
    }
    assert.equal(sockets.filter(({ isOpen }) => isOpen).length, MAX_CONNECTIONS);
    assert.equal(scene.wire.nat.connections, MAX_CONNECTIONS);
    const [first] = sockets;
    assert.ok(first);
    scene.guest.sockets.push(first);
    scene.wire.sockets.all[0]?.end();
    scene.settle();
    first.end();
    scene.settle();
    const late = scene.guest.connect({ ...GUEST, port: 999 }, SERVER);
    scene.settle();
    assert.ok(late.isOpen);
  });

  it('of data that nobody takes fills the pool, and other connections go on', () => {
    const scene = new Scene({ tsoBytes: 65000 }, { poolBlocks: 32 });
    const stuck = Array.from({ length: 10 }, (_, i) => {
      const socket = scene.guest.connect({ ...GUEST, port: 41_000 + i }, SERVER);
      scene.settle();
      scene.last.roomBytes = 0;
      socket.write(bytesOf(WINDOW_BYTES));
      return socket;
    });
    scene.settle();
    assert.ok(scene.wire.nat.heldBlocks <= 32);
    const { socket, peer } = scene.open();
    socket.write(bytesOf(200_000));
    scene.settle();
    assert.deepEqual(peer.bytes(), bytesOf(200_000));
    for (const it of stuck) it.abort();
    scene.settle();
    peer.write(bytesOf(200_000));
    scene.settle();
    assert.deepEqual(socket.bytes(), bytesOf(200_000));
    assert.equal(scene.wire.nat.heldBlocks, 0);
  });
});

it('moves all, in order, over a wire that loses, repeats and reorders, while the host fails', () => {
  for (let seed = 0; seed < 20; seed++) transferRound(seed);
});

it('throws for no segments, and leaves nothing behind', () => {
  for (let seed = 0; seed < 20; seed++) hostileRound(seed);
});
