/** A guest's TCP, sockets of the host, and what carries frames between them and the product. */
import assert from 'node:assert/strict';
import type { Endpoint } from '../../vmm-core/backends/net/user/tcp/tcpHost.ts';
import type { FakeSocket } from './fakeSockets.ts';
import { type GuestSocket, GuestTcp, type GuestTcpOptions } from './guestTcp.ts';
import { TcpWire, type WireOptions } from './tcpWire.ts';

export const GUEST: Endpoint = { address: Uint8Array.of(10, 0, 2, 15), port: 40000 };
export const SERVER: Endpoint = { address: Uint8Array.of(192, 0, 2, 7), port: 80 };

export class Scene {
  readonly wire: TcpWire;
  readonly guest: GuestTcp;

  constructor(options?: GuestTcpOptions, wireOptions?: WireOptions) {
    this.wire = new TcpWire(wireOptions);
    this.guest = new GuestTcp(() => this.wire.nowMs, options);
  }

  /** Until nobody has anything to send. */
  settle(): void {
    for (let i = 0; i < 10_000; i++) {
      const out = this.guest.outgoing.splice(0);
      for (const { bytes, offload } of out) this.wire.send(bytes, offload);
      this.wire.sent();
      if (this.wire.wantsTurn) this.wire.advance(0);
      const back = this.wire.take();
      for (const it of back) this.guest.onFrame(it);
      if (out.length + back.length + this.guest.outgoing.length === 0 && !this.wire.wantsTurn) return;
    }
    throw new Error('there is no end of frames');
  }

  wait(ms: number): void {
    this.wire.advance(ms);
    this.guest.tick();
    this.settle();
  }

  /** An open connection to SERVER. */
  open(): { socket: GuestSocket; peer: FakeSocket } {
    const socket = this.guest.connect(GUEST, SERVER);
    this.settle();
    assert.ok(socket.isOpen);
    return { socket, peer: this.last };
  }

  get last(): FakeSocket {
    const socket = this.wire.sockets.all.at(-1);
    assert.ok(socket);
    return socket;
  }

  assertEmpty(): void {
    assert.equal(this.wire.nat.connections, 0, 'no connection is left');
    assert.equal(this.wire.sockets.openFds, 0, 'no descriptor is left');
    assert.equal(this.wire.nat.heldBlocks, 0, 'no memory is left');
  }
}

/** None like its neighbours. */
export function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7) ^ (i >> 8));
}
