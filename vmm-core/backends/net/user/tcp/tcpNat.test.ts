import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GuestTcp, type GuestTcpOptions } from '../../../../../test/support/guestTcp.ts';
import { TcpWire, type WireOptions } from '../../../../../test/support/tcpWire.ts';

const GUEST = { address: Uint8Array.of(10, 0, 2, 15), port: 40000 };
const SERVER = { address: Uint8Array.of(192, 0, 2, 7), port: 80 };

interface Scene {
  readonly wire: TcpWire;
  readonly guest: GuestTcp;
  readonly settle: () => void;
}

function start(options?: GuestTcpOptions, wireOptions?: WireOptions): Scene {
  const wire = new TcpWire(wireOptions);
  const guest = new GuestTcp(() => wire.nowMs, options);
  /** Carries frames until nobody has any. */
  const settle = (): void => {
    for (let i = 0; i < 10000; i++) {
      const out = guest.outgoing.splice(0);
      for (const { bytes, offload } of out) wire.send(bytes, offload);
      wire.sent();
      if (wire.wantsTurn) wire.advance(0);
      const back = wire.take();
      for (const it of back) guest.onFrame(it);
      if (out.length === 0 && back.length === 0 && guest.outgoing.length === 0 && !wire.wantsTurn) return;
    }
    throw new Error('no end of frames');
  };
  return { wire, guest, settle };
}

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7) ^ (i >> 8));

describe('TCP', () => {
  it('splices', () => {
    const { wire, guest, settle } = start();
    const socket = guest.connect(GUEST, SERVER);
    settle();
    assert.ok(socket.isOpen);
    const [peer] = wire.sockets.all;
    assert.ok(peer);
    const data = bytesOf(300000);
    socket.write(data);
    socket.end();
    settle();
    assert.deepEqual(peer.bytes(), data);
    assert.ok(peer.isEnded);
    peer.write(data);
    peer.end();
    settle();
    assert.deepEqual(socket.bytes(), data);
    assert.ok(socket.isEnded && socket.isFinAcked);
    assert.equal(wire.nat.connections, 0);
    assert.equal(wire.sockets.openFds, 0);
    assert.equal(wire.nat.heldBlocks, 0);
  });
});
