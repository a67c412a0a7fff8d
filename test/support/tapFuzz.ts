/**
 * A tap whose host sends frames of any length behind any header, refuses what the guest sends and has no
 * memory at times, and a guest that has room or not. A socket that keeps records is in the tap's place: it
 * keeps frames apart, and cuts those that are too long, as a tap does.
 */
import assert from 'node:assert/strict';
import { SOCK_SEQPACKET } from '../../vmm-core/abi/socket.ts';
import { MAX_FRAME_BYTES } from '../../vmm-core/backends/net/netLink.ts';
import { noOffload, OFFLOAD_HEADER_BYTES, readOffload } from '../../vmm-core/backends/net/offloadHeader.ts';
import { TapLink } from '../../vmm-core/backends/net/tap/tapLink.ts';
import { EAGAIN, EINTR, EINVAL, EIO, ENOBUFS, ENOMEM } from '../../vmm-core/kvm/errno.ts';
import { type Fault, injectFaults, type IoRequest } from '../../vmm-core/kvm/io/faults.ts';
import { closeFd } from '../../vmm-core/kvm/libc.ts';
import { KernelMessage } from '../../vmm-core/kvm/net/messageIo.ts';
import { socketPair } from '../../vmm-core/kvm/net/sockets.ts';
import { IoBuffer } from '../../vmm-core/memory/ioBuffer.ts';
import { seededRandom } from './bytes.ts';
import { Chances } from './chances.ts';
import { FakeGuestPort } from './fakeGuestPort.ts';
import { PlannedFaults } from './ioFaults.ts';
import { NO_OFFLOADS } from './netFrames.ts';

const STEPS = 80;
const MTU = 1500;
/** The longest that a driver without offloads takes: a frame with a VLAN tag. */
const LONGEST_BYTES = MTU + 18;

export function tapRound(seed: number): void {
  const round = new TapRound(new Chances(seededRandom(seed)));
  try {
    for (let step = 0; step < STEPS; step++) round.step();
    round.finish();
  } finally {
    injectFaults(undefined);
    round.close();
  }
}

class TapRound {
  readonly #chances: Chances;
  readonly #port = new FakeGuestPort({ mtu: MTU, offloads: NO_OFFLOADS });
  readonly #link: TapLink;
  /** The other end of each queue. */
  readonly #hostFds: readonly number[];
  readonly #message = new KernelMessage([]);
  readonly #buffer = new IoBuffer(OFFLOAD_HEADER_BYTES + MAX_FRAME_BYTES);
  /** By queue, in order: what the guest has to get. A frame that it must not get is only counted. */
  readonly #expected: Uint8Array[][];
  #wrong = 0;
  /** What the guest sent and was not told to be dropped, in order. */
  readonly #sent: Uint8Array[] = [];
  readonly #heard: Uint8Array[] = [];
  #number = 0;

  constructor(chances: Chances) {
    this.#chances = chances;
    const pairs = Array.from({ length: 1 + chances.below(2) }, () => {
      const pair = socketPair(SOCK_SEQPACKET);
      assert.ok(typeof pair !== 'number');
      return pair;
    });
    const fds = pairs.map(([fd]) => fd);
    this.#hostFds = pairs.map(([, fd]) => fd);
    this.#expected = pairs.map(() => []);
    this.#link = new TapLink({ name: 'tap7', fds, offloads: 0, vhostFds: [] }, this.#port);
    this.#port.connect(this.#link);
    const isFaulty = chances.chance(0.7);
    injectFaults(
      isFaulty ? new PlannedFaults((it) => (fds.includes(it.fd) ? this.#fault(it) : undefined)) : undefined,
    );
  }

  step(): void {
    const chances = this.#chances;
    if (chances.chance(0.2)) this.#port.room = chances.of([0, 1, 3, Infinity]);
    if (chances.chance(0.1)) this.#port.roomBytes = chances.of([60, 1000, MAX_FRAME_BYTES]);
    if (chances.chance(0.6)) this.#hostSends();
    if (chances.chance(0.4)) this.#guestSends();
    if (chances.chance(0.4)) this.#hostHears();
    if (chances.chance(0.3)) this.#port.tellRoom();
    if (chances.chance(0.5)) this.#port.turn();
    if (chances.chance(0.02)) this.#reset();
  }

  /** All that is under way arrives, once. */
  finish(): void {
    injectFaults(undefined);
    const port = this.#port;
    port.room = Infinity;
    port.roomBytes = MAX_FRAME_BYTES;
    port.tellRoom();
    const wanted = this.#expected.flat().length;
    const isOver = (): boolean => port.frames.length >= wanted && port.drops.length >= this.#wrong;
    assert.ok(port.waitFor(isOver), `${port.frames.length} of ${wanted} frames have come`);
    port.turn();
    assert.equal(port.frames.length, wanted);
    assert.deepEqual(port.drops, Array<string>(this.#wrong).fill('malformed'));
    for (const [queue, expected] of this.#expected.entries()) {
      const came = port.frames.filter(({ bytes }) => bytes[0] === queue).map(({ bytes }) => bytes);
      assert.deepEqual(came, expected, 'the frames of a queue, in order');
    }
    this.#hostHears();
    assert.deepEqual(this.#heard, this.#sent);
    assert.deepEqual(port.troubles, []);
    assert.equal(port.isUp, true);
  }

  close(): void {
    this.#port.close();
    this.#hostFds.forEach(closeFd);
  }

  #hostSends(): void {
    const chances = this.#chances;
    const queue = chances.below(this.#hostFds.length);
    const lengthBytes = chances.chance(0.1)
      ? LONGEST_BYTES - 1 + chances.below(4)
      : 14 + chances.below(chances.of([100, 1500, 4000]));
    const frame = this.#frame(queue, lengthBytes);
    const header = new Uint8Array(OFFLOAD_HEADER_BYTES);
    if (chances.chance(0.2)) for (let i = 0; i < 10; i++) header[i] = chances.below(chances.of([3, 256]));
    if (this.#put(queue, header, frame) < 0) return; // nobody reads just now
    if (lengthBytes <= LONGEST_BYTES && isPlain(header, lengthBytes)) this.#expected[queue]?.push(frame);
    else this.#wrong++;
  }

  /** The first byte is the queue's, the next its number's. */
  #frame(queue: number, lengthBytes: number): Uint8Array {
    const number = this.#number++;
    const frame = Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 7 + number * 13) & 0xff);
    frame[0] = queue;
    return frame;
  }

  #put(queue: number, header: Uint8Array, frame: Uint8Array): number {
    this.#buffer.bytes.set(header);
    this.#buffer.bytes.set(frame, header.length);
    this.#message.clear();
    this.#message.addBuffer(this.#buffer, 0, header.length + frame.length);
    return this.#message.send(this.#hostFds[queue] ?? -1);
  }

  #guestSends(): void {
    const frame = this.#frame(0, 14 + this.#chances.below(3000));
    const drops = this.#port.drops.length;
    this.#port.send(frame);
    const told = this.#port.drops.splice(drops);
    assert.match(told.join(), /^(hostBusy|linkDown|malformed)?$/, 'a frame is dropped once, and why');
    if (told.length === 0) this.#sent.push(frame);
  }

  #hostHears(): void {
    for (;;) {
      this.#message.clear();
      this.#message.addBuffer(this.#buffer, 0, this.#buffer.bytes.length);
      const result = this.#message.receive(this.#hostFds[0] ?? -1);
      if (result < 0) return;
      const record = this.#buffer.bytes.slice(0, result);
      assert.deepEqual(record.subarray(0, 10), new Uint8Array(10), 'the header of a plain frame');
      this.#heard.push(record.subarray(OFFLOAD_HEADER_BYTES));
    }
  }

  /** The guest's driver begins anew, once it has all that is its. */
  #reset(): void {
    this.#port.room = Infinity;
    this.#port.roomBytes = MAX_FRAME_BYTES;
    this.#port.tellRoom(); // a frame that waits would be lost
    this.#link.reset();
  }

  /** What taps do: none is cut short, and -EAGAIN says that there is no frame. */
  #fault({ call }: IoRequest): Fault | undefined {
    const chances = this.#chances;
    if (call === 'receive' && chances.chance(0.2)) return { errno: chances.of([EINTR, ENOBUFS, ENOMEM]) };
    if (call === 'send' && chances.chance(0.3))
      return { errno: chances.of([EINTR, EAGAIN, ENOBUFS, EIO, EINVAL, ENOMEM]) };
    return undefined;
  }
}

/** Of a frame for a driver that takes no offloads. */
function isPlain(header: Uint8Array, lengthBytes: number): boolean {
  const offload = noOffload();
  if (!readOffload(new DataView(header.buffer), lengthBytes, offload)) return false;
  return offload.gsoType === 0 && (offload.flags & 1) === 0;
}
