/**
 * TCP of the user network under stress, by seeds. `transferRound`: a guest and hosts move data both ways
 * while the wire to the guest loses, repeats and reorders frames, the guest's buffers run out and the host's
 * calls fail: all arrives, in order, and nothing is left behind. `hostileRound`: a guest that sends anything.
 */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { TH_ACK, TH_FIN, TH_PUSH, TH_RST, TH_SYN } from '../../vmm-core/abi/packets.ts';
import type { Endpoint } from '../../vmm-core/backends/net/user/tcp/tcpHost.ts';
import { seededRandom } from './bytes.ts';
import { Chances } from './chances.ts';
import type { FakeSocket, SocketCall, SocketFault } from './fakeSockets.ts';
import { GuestSocket, GuestTcp } from './guestTcp.ts';
import { ALL_OFFLOADS, TcpWire } from './tcpWire.ts';
import { NO_OFFLOADS } from './netFrames.ts';

const { EAGAIN, EINTR, EMFILE, ENOBUFS, ENOMEM } = constants.errno;
const STEPS = 20_000;

/** What one pair of ends sends each other. */
interface Transfer {
  readonly socket: GuestSocket;
  readonly peer: () => FakeSocket | undefined;
  readonly fromGuest: Uint8Array;
  readonly fromHost: Uint8Array;
  guestWrote: number;
  hostWrote: number;
  hasGuestEnded: boolean;
  hasHostEnded: boolean;
}

class Stress {
  readonly #chances: Chances;
  readonly #wire: TcpWire;
  readonly #guest: GuestTcp;
  readonly #transfers: Transfer[] = [];
  readonly #loss: number;
  readonly #faults: number;
  readonly #address: number;

  constructor(seed: number) {
    const chances = new Chances(seededRandom(seed));
    this.#chances = chances;
    this.#loss = chances.of([0, 0, 0.01, 0.1]);
    this.#faults = chances.of([0, 0.02, 0.2]);
    this.#address = chances.of([4, 16]);
    this.#wire = new TcpWire({ poolBlocks: chances.of([64, 1024]) });
    this.#guest = new GuestTcp(() => this.#wire.nowMs, {
      mss: chances.of([1460, 536, 1440, 9000]),
      windowShift: chances.of([-1, 0, 7]),
      hasSack: chances.chance(0.5),
      tsoBytes: chances.of([0, 0, 30000, 65000]),
      csum: chances.chance(0.5),
      windowBytes: chances.of([2000, 0x10000, 0x80000]),
    });
    this.#wire.port.mtu = chances.of([1500, 1500, 576, 65520]);
    this.#wire.port.offloads = chances.of([ALL_OFFLOADS, NO_OFFLOADS, { ...NO_OFFLOADS, csum: true }]);
    this.#guest.mostSegment = this.#wire.port.mtu - (this.#address === 4 ? 40 : 60);
    this.#wire.sockets.onConnect = () => chances.of(['now', 'later']);
    this.#wire.sockets.fault = (call, socket) => this.#fault(call, socket);
    this.#guest.listens.add(80);
  }

  run(): void {
    const count = 1 + this.#chances.below(3);
    for (let i = 0; i < count; i++) this.#begin(i);
    let steps = 0;
    while (!this.#isDone()) {
      assert.ok(steps++ < STEPS, `all is done some time: ${JSON.stringify(this.#wire.nat.report())}`);
      this.#step();
    }
    this.#wire.port.roomFrames = Infinity;
    this.#wire.nat.onRoom();
    for (let i = 0; i < 40; i++) {
      this.#carry(0);
      this.#wire.advance(1000);
      this.#guest.tick();
    }
    for (const it of this.#transfers) this.#check(it);
    assert.equal(this.#wire.nat.connections, 0, 'no connection is left');
    assert.equal(this.#wire.sockets.openFds, 0, 'no descriptor is left');
    assert.equal(this.#wire.nat.heldBlocks, 0, 'no memory is left');
  }

  #begin(index: number): void {
    const { sockets, nat } = this.#wire;
    const sizes = [0, 1, 1000, 70_000, 300_000];
    const bytes = (salt: number): Uint8Array => {
      const random = seededRandom(salt);
      return Uint8Array.from({ length: this.#chances.of(sizes) }, () => random() * 256);
    };
    const guest = endpoint(this.#address, 15, 40000 + index);
    const host = endpoint(this.#address, 2, 7000 + index);
    const rest = {
      fromGuest: bytes(2 * index),
      fromHost: bytes(2 * index + 1),
      guestWrote: 0,
      hostWrote: 0,
      hasGuestEnded: false,
      hasHostEnded: false,
    };
    if (this.#chances.chance(0.5)) {
      const socket = this.#guest.connect(guest, host);
      const peer = (): FakeSocket | undefined =>
        sockets.all.find(({ address }) => address?.family !== 'unix' && address?.port === host.port);
      this.#transfers.push({ socket, peer, ...rest });
      return;
    }
    const accepted = sockets.accepted();
    const to = endpoint(this.#address, 15, 80);
    nat.openToGuest(accepted.fd, host, to);
    const none = new GuestSocket(this.#guest, to, host, 0);
    const find = (): GuestSocket => this.#guest.sockets.find((it) => it.to.port === host.port) ?? none;
    this.#transfers.push({
      get socket() {
        return find();
      },
      peer: () => accepted,
      ...rest,
    });
  }

  #step(): void {
    const chances = this.#chances;
    for (const it of this.#transfers) this.#write(it);
    for (const socket of this.#wire.sockets.all) {
      if (socket.isClosed) continue;
      if (socket.state === 'connecting' && chances.chance(0.5)) socket.answer(true);
      if (socket.roomBytes === Infinity && chances.chance(0.3)) socket.roomBytes = chances.below(5000);
      else if (chances.chance(0.3)) socket.giveRoom(chances.below(50_000));
    }
    for (const socket of this.#guest.sockets)
      if (chances.chance(0.05)) {
        if (socket.isPaused) socket.resume();
        else socket.isPaused = true;
      }
    this.#carry(this.#loss);
    if (chances.chance(0.2)) this.#wire.port.roomFrames = chances.below(8);
    else if (chances.chance(0.5)) this.#wire.giveRoom(chances.of([1, 10, Infinity]));
    this.#wire.advance(chances.of([0, 0, 1, 20, 300]));
    this.#guest.tick();
  }

  #write(transfer: Transfer): void {
    const chances = this.#chances;
    const { socket, fromGuest, fromHost } = transfer;
    const peer = transfer.peer();
    if (socket.isOpen && transfer.guestWrote < fromGuest.length && chances.chance(0.3)) {
      const end = Math.min(fromGuest.length, transfer.guestWrote + 1 + chances.below(60_000));
      socket.write(fromGuest.subarray(transfer.guestWrote, end));
      transfer.guestWrote = end;
    }
    if (peer?.state === 'open' && transfer.hostWrote < fromHost.length && chances.chance(0.3)) {
      const end = Math.min(fromHost.length, transfer.hostWrote + 1 + chances.below(60_000));
      peer.write(fromHost.subarray(transfer.hostWrote, end));
      transfer.hostWrote = end;
    }
    if (
      socket.isOpen &&
      transfer.guestWrote === fromGuest.length &&
      !transfer.hasGuestEnded &&
      chances.chance(0.1)
    ) {
      transfer.hasGuestEnded = true;
      socket.end();
    }
    if (
      peer?.state === 'open' &&
      transfer.hostWrote === fromHost.length &&
      !transfer.hasHostEnded &&
      chances.chance(0.1)
    ) {
      transfer.hasHostEnded = true;
      peer.end();
    }
  }

  /** Frames that are under way, both ways. */
  #carry(loss: number): void {
    for (const { bytes, offload } of this.#damaged(this.#guest.outgoing.splice(0), loss))
      this.#wire.send(bytes, offload);
    this.#wire.sent();
    for (const frame of this.#damaged(this.#wire.take(), loss)) this.#guest.onFrame(frame);
  }

  #damaged<T>(frames: readonly T[], loss: number): T[] {
    const chances = this.#chances;
    const left = frames.filter(() => !chances.chance(loss));
    if (loss === 0) return left;
    const repeated = left.flatMap((it) => (chances.chance(loss) ? [it, it] : [it]));
    for (let i = 1; i < repeated.length; i++)
      if (chances.chance(loss)) [repeated[i - 1], repeated[i]] = [repeated[i] as T, repeated[i - 1] as T];
    return repeated;
  }

  #fault(call: SocketCall, socket: FakeSocket | undefined): SocketFault {
    const chances = this.#chances;
    if (!chances.chance(this.#faults)) return undefined;
    if (call === 'open') return { errno: EMFILE };
    if (call === 'connect' || socket === undefined) return undefined;
    if (chances.chance(0.5)) return { shortBytes: 1 + chances.below(3000) };
    const errno = chances.of([EAGAIN, EINTR, ENOBUFS, ENOMEM]);
    if (errno === EAGAIN) socket.againSoon();
    return { errno };
  }

  #isDone(): boolean {
    return this.#transfers.every((it) => {
      const peer = it.peer();
      return (
        it.hasGuestEnded &&
        it.hasHostEnded &&
        it.socket.isEnded &&
        (it.socket.isFinAcked || it.socket.isEndLost) &&
        peer?.isEnded === true
      );
    });
  }

  #check({ socket, peer, fromGuest, fromHost }: Transfer): void {
    assert.deepEqual(socket.bytes(), fromHost, 'the guest has what the host sent');
    assert.deepEqual(peer()?.bytes(), fromGuest, 'the host has what the guest sent');
    assert.ok(!socket.isReset || socket.isEndLost, 'nothing was broken off');
  }
}

export function transferRound(seed: number): void {
  new Stress(seed).run();
}

/** Any segments, many of them nearly right: nothing throws, and what is held is bounded. */
export function hostileRound(seed: number): void {
  const chances = new Chances(seededRandom(seed));
  const wire = new TcpWire({ poolBlocks: 32 });
  const guest = new GuestTcp(() => wire.nowMs, { windowBytes: 0x10000 });
  wire.sockets.onConnect = () => chances.of(['now', 'later', 'refuse']);
  let sequence = 0;
  let acknowledgement = 0;
  for (let i = 0; i < 400; i++) {
    const socket = new GuestSocket(
      guest,
      endpoint(4, 15, 40000 + chances.below(4)),
      endpoint(4, 2, 80 + chances.below(2)),
      0,
    );
    const flags = chances.of([
      TH_SYN,
      TH_ACK,
      TH_ACK | TH_PUSH,
      TH_ACK | TH_FIN,
      TH_RST,
      TH_SYN | TH_ACK,
      chances.below(64),
    ]);
    socket.rcvNxt = (acknowledgement + chances.of([0, 0, 1, -1, 1000, chances.below(2 ** 31)])) | 0;
    const at = (sequence + chances.of([0, 0, 0, 1, -1, 5000, 0x10_0000, chances.below(2 ** 31)])) | 0;
    const data = new Uint8Array(chances.of([0, 0, 1, 1460, 60_000]));
    socket.emit(flags, at, data);
    const frame = guest.outgoing.splice(0)[0];
    assert.ok(frame !== undefined);
    if (chances.chance(0.1)) frame.bytes[14 + chances.below(40)] = chances.below(256);
    wire.send(frame.bytes, frame.offload);
    if (chances.chance(0.7)) wire.sent();
    for (const it of wire.take()) {
      const view = new DataView(it.bytes.buffer);
      sequence = view.getInt32(42);
      acknowledgement = view.getInt32(38) + (it.bytes.length > 54 ? 1 : 0);
    }
    for (const it of wire.sockets.all) {
      if (it.isClosed) continue;
      if (it.state === 'connecting' && chances.chance(0.5)) it.answer(chances.chance(0.7));
      else if (it.state === 'open' && chances.chance(0.2)) it.write(new Uint8Array(chances.below(100_000)));
      else if (chances.chance(0.05)) it.end();
      else if (chances.chance(0.05)) it.reset();
    }
    if (chances.chance(0.2)) wire.giveRoom(chances.of([0, 1, 10, Infinity]));
    wire.advance(chances.of([0, 1, 200, 5000]));
    assert.ok(wire.nat.connections <= 100);
  }
  wire.nat.report();
  wire.nat.close();
  assert.equal(wire.nat.connections, 0);
  assert.equal(wire.sockets.openFds, 0);
  assert.equal(wire.nat.heldBlocks, 0);
}

function endpoint(bytes: number, last: number, port: number): Endpoint {
  const address = new Uint8Array(bytes);
  address.set([10, 0, 2]);
  address[bytes - 1] = last;
  return { address, port };
}
