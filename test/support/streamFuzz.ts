/**
 * A link over a stream whose peer takes and gives bytes in whatever pieces, with a small socket between them,
 * calls that are interrupted, cut short or short of memory, and a guest that has room or not: all frames
 * arrive whole and in order, and what is no frame ends the connection there.
 */
import assert from 'node:assert/strict';
import { ENOBUFS, EINTR } from '../../vmm-core/kvm/errno.ts';
import { StreamLink } from '../../vmm-core/backends/net/stream/streamLink.ts';
import { takesOffload } from '../../vmm-core/backends/net/tap/tapOffloads.ts';
import { type GuestOffloads, MAX_FRAME_BYTES } from '../../vmm-core/backends/net/netLink.ts';
import { noOffload, OFFLOAD_HEADER_BYTES, readOffload } from '../../vmm-core/backends/net/offloadHeader.ts';
import { SO_SNDBUF, SOCK_STREAM, SOL_SOCKET } from '../../vmm-core/abi/socket.ts';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM } from '../../vmm-core/abi/virtioNetHdr.ts';
import { injectFaults } from '../../vmm-core/kvm/io/faults.ts';
import { closeFd } from '../../vmm-core/kvm/libc.ts';
import { KernelMessage } from '../../vmm-core/kvm/net/messageIo.ts';
import { setOption, socketPair } from '../../vmm-core/kvm/net/sockets.ts';
import { IoBuffer } from '../../vmm-core/memory/ioBuffer.ts';
import { seededRandom } from './bytes.ts';
import { Chances } from './chances.ts';
import { FakeGuestPort } from './fakeGuestPort.ts';
import { PlannedFaults } from './ioFaults.ts';

const STEPS = 60;
const PEER_BYTES = 0x40000;

export function streamRound(seed: number): void {
  const stream = new Stream(new Chances(seededRandom(seed)));
  try {
    for (let step = 0; step < STEPS; step++) stream.step();
    stream.finish();
  } finally {
    injectFaults(undefined);
    stream.close();
  }
}

class Stream {
  readonly #chances: Chances;
  readonly #port = new FakeGuestPort();
  readonly #peerFd: number;
  readonly #message = new KernelMessage([]);
  readonly #buffer = new IoBuffer(PEER_BYTES);
  /** What the guest sent and was not told to be lost, and what the peer has of it. */
  #sent: Uint8Array = new Uint8Array();
  #received: Uint8Array = new Uint8Array();
  /** What the peer will say, and the frames in it. */
  #toSay: Uint8Array = new Uint8Array();
  readonly #said: Uint8Array[] = [];
  #isNonsense = false;

  constructor(chances: Chances) {
    this.#chances = chances;
    const pair = socketPair(SOCK_STREAM);
    assert.ok(typeof pair !== 'number');
    const [fd, peerFd] = pair;
    this.#peerFd = peerFd;
    for (const it of pair) setOption(it, SOL_SOCKET, SO_SNDBUF, chances.of([4096, 65536]));
    this.#port.connect(new StreamLink({ fd, program: 'the peer' }, this.#port));
    const isFaulty = chances.chance(0.5);
    injectFaults(
      isFaulty ? new PlannedFaults(({ fd: of }) => (of === fd ? this.#fault() : undefined)) : undefined,
    );
  }

  step(): void {
    const chances = this.#chances;
    if (chances.chance(0.1)) this.#port.room = chances.of([0, 1, 5, Infinity]);
    if (chances.chance(0.4)) this.#guestSends();
    if (chances.chance(0.4) && !this.#isNonsense) this.#peerPlans();
    if (chances.chance(0.5)) this.#peerSays();
    if (chances.chance(0.5)) this.#peerHears();
    if (chances.chance(0.2)) this.#port.tellRoom();
    this.#port.turn();
  }

  /** All that is under way arrives. */
  finish(): void {
    this.#port.room = Infinity;
    this.#port.tellRoom();
    const isOver = (): boolean => {
      this.#peerSays();
      this.#peerHears();
      const isHeard = this.#isNonsense || this.#received.length >= this.#sent.length;
      return isHeard && this.#toSay.length === 0 && this.#port.frames.length === this.#said.length;
    };
    for (let turn = 0; !isOver(); turn++) {
      this.#port.turn(turn < 100 ? 0 : 1);
      if (turn > 5000) assert.fail('it does not come to an end');
    }
    assert.deepEqual(this.#received, this.#sent.subarray(0, this.#received.length));
    this.#port.frames.forEach(({ bytes }, i) => assert.deepEqual(bytes, this.#said[i]));
    if (!this.#isNonsense) return assert.deepEqual(this.#port.troubles, []);
    for (let turn = 0; this.#port.isUp && turn < 5000; turn++) this.#port.turn();
    assert.equal(this.#port.isUp, false);
    assert.equal(this.#port.troubles.length, 1);
  }

  close(): void {
    this.#port.close();
    closeFd(this.#peerFd);
  }

  #guestSends(): void {
    const lengthBytes = this.#length();
    const first = this.#sent.length;
    const drops = this.#port.drops.length;
    this.#port.send(pattern(lengthBytes, first));
    if (this.#port.drops.length > drops) return; // it had no room for it: that is told
    this.#sent = joined(this.#sent, framed(pattern(lengthBytes, first)));
  }

  #peerPlans(): void {
    const chances = this.#chances;
    const frame = pattern(this.#length(), this.#said.length);
    if (chances.chance(0.02)) {
      const length = chances.of([0, MAX_FRAME_BYTES + 1, 0x7fff_ffff, 0xffff_ffff]);
      const bytes = new Uint8Array(4 + chances.below(100));
      new DataView(bytes.buffer).setUint32(0, length);
      this.#toSay = joined(this.#toSay, bytes);
      this.#isNonsense = true;
      return;
    }
    this.#said.push(frame);
    this.#toSay = joined(this.#toSay, framed(frame));
  }

  #peerSays(): void {
    const { length } = this.#toSay;
    if (length === 0) return;
    const count = this.#chances.chance(0.3)
      ? 1 + this.#chances.below(6)
      : 1 + this.#chances.below(PEER_BYTES);
    const part = this.#toSay.subarray(0, Math.min(count, length));
    this.#buffer.bytes.set(part);
    this.#message.clear();
    this.#message.addBuffer(this.#buffer, 0, part.length);
    const result = this.#message.send(this.#peerFd);
    if (result > 0) this.#toSay = this.#toSay.subarray(result);
    else if (this.#isNonsense && !this.#port.isUp) this.#toSay = new Uint8Array();
  }

  #peerHears(): void {
    this.#message.clear();
    this.#message.addBuffer(this.#buffer, 0, 1 + this.#chances.below(PEER_BYTES));
    const result = this.#message.receive(this.#peerFd);
    if (result > 0) this.#received = joined(this.#received, this.#buffer.bytes.subarray(0, result));
  }

  #length(): number {
    return this.#chances.chance(0.1)
      ? 1 + this.#chances.below(MAX_FRAME_BYTES)
      : 1 + this.#chances.below(1514);
  }

  #fault(): { readonly errno: number } | { readonly shortBytes: number } | undefined {
    const chances = this.#chances;
    if (chances.chance(0.1)) return { errno: chances.of([EINTR, ENOBUFS]) };
    return chances.chance(0.3) ? { shortBytes: 1 + chances.below(2000) } : undefined;
  }
}

/** Whatever a tap says of a frame, the guest gets what it can be, and what its driver takes. */
export function tapHeaderRound(seed: number): void {
  const chances = new Chances(seededRandom(seed));
  const bytes = new Uint8Array(OFFLOAD_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < bytes.length; i++)
      bytes[i] = chances.chance(0.5) ? chances.below(8) : chances.below(256);
    const lengthBytes = 14 + chances.below(chances.of([60, MAX_FRAME_BYTES]));
    const guest = guestOf(chances);
    const offload = noOffload();
    if (!readOffload(view, lengthBytes, offload) || !takesOffload(guest, offload)) continue;
    const isPartial = (offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0;
    if (isPartial) assert.ok(offload.csumStart + offload.csumOffset + 2 <= lengthBytes);
    if (!guest.csum) assert.equal(offload.flags, 0);
    if (offload.gsoType === 0) continue;
    assert.ok(isPartial && offload.gsoSize > 0);
    assert.ok(guest.tso4 || guest.tso6 || guest.ufo || guest.uso4);
  }
}

function guestOf(chances: Chances): GuestOffloads {
  const some = (): boolean => chances.chance(0.5);
  return { csum: some(), tso4: some(), tso6: some(), ecn: some(), ufo: some(), uso4: some(), uso6: some() };
}

function pattern(lengthBytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 7 + seed * 13) & 0xff);
}

function framed(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + frame.length);
  new DataView(bytes.buffer).setUint32(0, frame.length);
  bytes.set(frame, 4);
  return bytes;
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(one.length + other.length);
  bytes.set(one);
  bytes.set(other, one.length);
  return bytes;
}
