/**
 * Seeded drivers of a network interface, right and wrong: what a right one sends arrives bit by bit, what is
 * for it is there in order or counted as dropped, every chain comes back once, nothing is written where the
 * device has no buffer, and after whatever a wrong one does the next driver finds a device that works.
 */
import assert from 'node:assert/strict';
import * as abi from '../../vmm-core/abi/virtioNet.ts';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 } from '../../vmm-core/abi/virtioNetHdr.ts';
import type { NetworkKind } from '../../vmm-core/config/settings/networkOptions.ts';
import { randomNumbers } from './devices.ts';
import { NO_OFFLOAD } from './loopLink.ts';
import { type MockDriver, readable, type Segment, writable } from './mockDriver.ts';
import { HEADER_BYTES, NetMachine } from './netMachine.ts';

type Random = (below: number) => number;

const STEPS = 60;
const QUEUE_SIZE = 64;
const ETHERNET_BYTES = 14;
const MOST_BYTES = 65550;
const OWN = [0xfe, 0xe1, 0xbb, 0xd1, 0x12, 0x34];
/**
 * Buffers are in an arena for each pair, and one for all that the device is done with at once, over and over.
 * No more are out at a time than fit.
 */
const ARENA = 0x180_0000;
const ARENA_BYTES = 0x20_0000;
const AT_ONCE = 2;
/** The arenas of pairs: nobody but the device writes there. */
const RECEIVED_BYTES = AT_ONCE * ARENA_BYTES;
/** Features that a driver may do without, but for those that others need. */
const OPTIONAL = [
  abi.VIRTIO_NET_F_MRG_RXBUF,
  abi.VIRTIO_NET_F_CTRL_VLAN,
  abi.VIRTIO_NET_F_CTRL_RX_EXTRA,
  abi.VIRTIO_NET_F_GUEST_ANNOUNCE,
  abi.VIRTIO_NET_F_STATUS,
  abi.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
  abi.VIRTIO_NET_F_MQ,
  29, // VIRTIO_RING_F_EVENT_IDX
];

export function netRound(seed: number): void {
  new NetRound(seed).run();
}

interface Buffer {
  readonly places: readonly { readonly at: number; readonly lengthBytes: number }[];
}

class NetRound {
  readonly #random: Random;
  readonly #machine: NetMachine;
  #without: readonly number[] = [];
  /** By arena. */
  readonly #nextPlace = [0, 0, 0];
  // What the driver in charge has done.
  /** Chains for frames, by pair and head. */
  #buffers: Map<number, Buffer>[] = [];
  #bufferBytes = 0;
  #expected: Uint8Array[] = [];
  #delivered: Uint8Array[] = [];
  #receivedBefore = 0;
  #droppedBefore = 0;
  #sentBefore = 0;
  /** What the arenas of pairs hold, but for buffers that are the device's. */
  readonly #received = new Uint8Array(RECEIVED_BYTES);

  constructor(seed: number) {
    const random = randomNumbers(seed + 1);
    this.#random = random;
    const kind: NetworkKind = random(2) === 0 ? 'user' : 'tap';
    const isLocked = random(4) === 0;
    const network = { kind, transport: 'mmio', lladdr: 'fe:e1:bb:d1:12:34', isLocked } as const;
    this.#machine = new NetMachine({ network, cpus: 1 + random(2), queueSize: QUEUE_SIZE, isIdle: true });
    this.#restart();
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) {
      const what = this.#random(100);
      if (what < 30) this.#send();
      else if (what < 50) this.#offer();
      else if (what < 70) this.#deliver();
      else if (what < 82) this.#command();
      else if (what < 86) this.#flipLink();
      else if (what < 90) this.#pause();
      else if (what < 93) this.#restart();
      else this.#spoil();
      this.#check();
    }
  }

  get #pairs(): number {
    return this.#machine.instance.pairs;
  }

  #has(bit: number): boolean {
    return !this.#without.includes(bit);
  }

  #restart(): void {
    this.#without = OPTIONAL.filter(() => this.#random(4) === 0);
    this.#machine.restart(this.#without);
    this.#buffers = Array.from({ length: this.#pairs }, () => new Map<number, Buffer>());
    this.#bufferBytes = 0;
    this.#expected = [];
    this.#delivered = [];
    this.#machine.link.sent.length = 0;
    this.#receivedBefore = this.#counted('received');
    this.#droppedBefore = this.#counted('dropped');
    this.#sentBefore = Number(this.#machine.state.regs.framesSent);
    this.#received.set(this.#receivedNow);
  }

  /** A frame, in most cases one; a wrong one is not sent. */
  #send(): void {
    const machine = this.#machine;
    const lengthBytes = this.#pick([0, 1, 13, 14, 60, 1514, this.#random(3000), 65550, 65551]);
    const bytes = this.#bytes(lengthBytes);
    if (lengthBytes >= ETHERNET_BYTES && this.#random(2) === 0) bytes.set(OWN, 6);
    const isWhole = this.#random(8) !== 0;
    const { header, isGood } = this.#header(lengthBytes);
    const all = Uint8Array.of(...header, ...bytes).subarray(0, isWhole ? undefined : this.#random(12));
    const pair = this.#has(abi.VIRTIO_NET_F_MQ) ? this.#random(this.#pairs) : 0;
    const isFrame = isWhole && isGood && lengthBytes >= ETHERNET_BYTES && lengthBytes <= MOST_BYTES;
    if (isFrame && this.#isOpen && !this.#isFiltered(bytes)) this.#expected.push(bytes);
    machine.sendChain(this.#cut(all), pair);
    assert.deepEqual(
      machine
        .driver(2 * pair + 1)
        .used()
        .map((it) => it.writtenBytes),
      [0],
    );
  }

  #isFiltered(bytes: Uint8Array): boolean {
    const { network } = this.#machine.instance;
    return network.isLocked === true && OWN.some((it, i) => bytes[6 + i] !== it);
  }

  get #isOpen(): boolean {
    return this.#machine.network.isUp;
  }

  #header(lengthBytes: number): { readonly header: Uint8Array; readonly isGood: boolean } {
    const header = new Uint8Array(HEADER_BYTES);
    const view = new DataView(header.buffer);
    const kind = this.#random(6);
    if (kind < 3) return { header, isGood: true };
    const isSegment = kind === 4;
    const [start, offset] = [this.#random(100), this.#random(40)];
    const size = this.#random(3) === 0 ? 0 : 1 + this.#random(1460);
    if (kind === 5) {
      for (let i = 0; i < 10; i++) header[i] = this.#random(256);
      header[0] = (header[0] ?? 0) & ~VIRTIO_NET_HDR_F_NEEDS_CSUM;
      header[1] = 1 + this.#random(255);
      return { header, isGood: false };
    }
    header[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header[1] = isSegment ? VIRTIO_NET_HDR_GSO_TCPV4 : 0;
    view.setUint16(4, size, true);
    view.setUint16(6, start, true);
    view.setUint16(8, offset, true);
    return { header, isGood: start + offset + 2 <= lengthBytes && (!isSegment || size > 0) };
  }

  /** Into descriptors, anywhere. */
  #cut(all: Uint8Array): Segment[] {
    const segments: Segment[] = [];
    for (let at = 0; at < all.length;) {
      const most =
        segments.length < 6 ? 1 + this.#random(this.#random(3) === 0 ? 20 : all.length) : all.length;
      const part = all.subarray(at, at + most);
      segments.push(readable(part, this.#place(part.length)));
      at += part.length;
    }
    return segments.length === 0 ? [readable(1, this.#place(1))] : segments;
  }

  #offer(): void {
    const pair = this.#has(abi.VIRTIO_NET_F_MQ) ? this.#random(this.#pairs) : 0;
    const driver = this.#machine.driver(2 * pair);
    for (let i = this.#random(6); i > 0; i--) {
      const pieces = Array.from(
        { length: 1 + this.#random(3) },
        () => 12 + this.#random(this.#random(3) === 0 ? 9000 : 1600),
      );
      const places = pieces.map((lengthBytes) => ({ lengthBytes, at: this.#place(lengthBytes, pair) }));
      const bytes = pieces.reduce((sum, it) => sum + it, 0);
      const held = this.#buffers.reduce((sum, it) => sum + it.size, 0);
      if (held * 3 > QUEUE_SIZE - 6 || this.#bufferBytes + bytes > ARENA_BYTES / 4) break;
      const head = driver.addChain(places.map(({ lengthBytes, at }) => writable(lengthBytes, at)));
      this.#buffers[pair]?.set(head, { places });
      this.#bufferBytes += bytes;
    }
    this.#machine.kick(2 * pair);
  }

  #deliver(): void {
    const bytes = this.#bytes(this.#pick([14, 60, 100, 1514, 14 + this.#random(4000), 20000]));
    if (this.#random(2) === 0) bytes.set(OWN);
    this.#delivered.push(bytes);
    const pair = this.#random(3) === 0 ? undefined : this.#random(this.#pairs);
    this.#machine.link.deliver(bytes, NO_OFFLOAD, pair);
  }

  /** Any; of some it is known how they end. */
  #command(): void {
    const index = this.#has(abi.VIRTIO_NET_F_MQ) && this.#pairs > 1 ? 2 * this.#pairs : 2;
    const commandClass = this.#random(7);
    const length = this.#pick([0, 1, 2, 6, 8, 8 + 6 * this.#random(4), this.#random(500)]);
    const data = Uint8Array.from({ length }, () => this.#random(this.#random(2) === 0 ? 3 : 256));
    const driver = this.#machine.driver(index);
    const answer = this.#place(1);
    driver.addChain([
      ...this.#cut(Uint8Array.of(commandClass, this.#random(4), ...data)),
      writable(1, answer),
    ]);
    driver.view.setUint8(answer, 0xff);
    this.#machine.kick(index);
    assert.equal(driver.used().length, 1);
    assert.ok(driver.view.getUint8(answer) <= abi.VIRTIO_NET_ERR);
  }

  #flipLink(): void {
    this.#machine.network.setUp(!this.#machine.network.isUp);
    this.#machine.run();
  }

  #pause(): void {
    this.#machine.service.pause();
    this.#deliver();
    this.#machine.service.resume();
    this.#machine.run();
  }

  /** What no driver should do; then comes another. */
  #spoil(): void {
    for (let i = 0; i < 3; i++) {
      const index = this.#random(this.#machine.drivers.length);
      const driver = this.#machine.driver(index);
      this.#spoilRing(driver);
      this.#machine.kick(index);
      this.#machine.link.deliver(this.#bytes(14 + this.#random(3000)), NO_OFFLOAD);
      if (this.#random(3) === 0) this.#machine.service.onTimer?.();
    }
    this.#restart();
  }

  #spoilRing(driver: MockDriver): void {
    const { size } = driver.rings;
    for (let i = 0; i < size; i++) {
      if (this.#random(4) === 0) continue;
      driver.writeDescriptor(i, {
        gpa: this.#random(20) === 0 ? 2 ** 40 + this.#random(1000) : ARENA + this.#random(ARENA_BYTES / 2),
        lengthBytes: this.#pick([0, 1, 2, 11, 12, 13, 600, this.#random(0x1_0000), 0xffff_ffff]),
        flags: this.#random(8),
        next: this.#random(size + 1),
      });
    }
    for (let i = 0; i < 4; i++)
      driver.offer(this.#random(4) === 0 ? this.#random(0x1_0000) : this.#random(size));
    if (this.#random(6) === 0) driver.setAvailIdx(this.#random(0x1_0000));
  }

  #check(): void {
    const { link, state } = this.#machine;
    assert.equal(link.sent.length, this.#expected.length, 'frames that were sent');
    link.sent.forEach((it, i) => assert.ok(Buffer.compare(it.bytes, this.#expected[i] ?? it.head) === 0));
    assert.equal(Number(state.regs.framesSent) - this.#sentBefore, link.sent.length);
    this.#checkUntouched();
    this.#takeReceived();
    const left = this.#delivered.length + this.#lostOrTaken();
    assert.ok(left >= 0, 'a frame that nobody has delivered');
  }

  /** Once a chain is back, or the device was reset, its buffers are the driver's alone. */
  #checkUntouched(): void {
    const now = this.#receivedNow;
    for (const { places } of this.#buffers.flatMap((it) => [...it.values()]))
      for (const { at, lengthBytes } of places)
        this.#received.set(now.subarray(at - ARENA, at - ARENA + lengthBytes), at - ARENA);
    assert.ok(Buffer.compare(now, this.#received) === 0, 'a write outside the buffers of the device');
  }

  get #receivedNow(): Uint8Array {
    return this.#machine.driver(0).bytes.subarray(ARENA, ARENA + RECEIVED_BYTES);
  }

  /** What the driver finds, in each pair: frames that were delivered, in their order. */
  #takeReceived(): void {
    for (let pair = 0; pair < this.#pairs; pair++) {
      const used = this.#machine.driver(2 * pair).used();
      let from = 0;
      for (let i = 0; i < used.length;) {
        const first = this.#bytesOf(pair, used[i]);
        const count = new DataView(first.buffer).getUint16(10, true);
        assert.ok(
          count >= 1 && i + count <= used.length,
          `a frame of ${count} buffers, ${used.length - i} seen`,
        );
        const rest = used.slice(i + 1, i + count).map((it) => this.#bytesOf(pair, it));
        const bytes = Buffer.concat([first, ...rest]).subarray(HEADER_BYTES);
        const at = this.#delivered.findIndex((it, place) => place >= from && Buffer.compare(it, bytes) === 0);
        assert.ok(at >= 0, 'a frame that nobody has delivered, or not in its order');
        this.#delivered.splice(at, 1);
        from = at;
        i += count;
      }
    }
  }

  #bytesOf(
    pair: number,
    used: { readonly head: number; readonly writtenBytes: number } | undefined,
  ): Uint8Array {
    const buffer = this.#buffers[pair]?.get(used?.head ?? -1);
    assert.ok(buffer !== undefined && used !== undefined, 'a chain that the device does not have');
    this.#buffers[pair]?.delete(used.head);
    const { bytes } = this.#machine.driver(0);
    const all = Buffer.concat(
      buffer.places.map(({ at, lengthBytes }) => bytes.subarray(at, at + lengthBytes)),
    );
    this.#bufferBytes -= all.length;
    assert.ok(used.writtenBytes <= all.length);
    return Uint8Array.from(all.subarray(0, used.writtenBytes));
  }

  /** Every frame is with the driver, counted as dropped, or waits. */
  #lostOrTaken(): number {
    const dropped = this.#counted('dropped') - this.#droppedBefore;
    const { link } = this.#machine;
    assert.equal(this.#delivered.length, dropped + link.waiting, 'frames that are neither here nor there');
    assert.ok(this.#counted('received') >= this.#receivedBefore);
    return 0;
  }

  #counted(what: 'received' | 'dropped'): number {
    const { regs } = this.#machine.state;
    if (what === 'received') return Number(regs.framesReceived);
    const { receivedNoRoom, receivedMalformed, receivedFiltered, receivedLinkDown } = regs;
    return receivedNoRoom + receivedMalformed + receivedFiltered + receivedLinkDown;
  }

  #place(lengthBytes: number, arena = AT_ONCE): number {
    const next = this.#nextPlace[arena] ?? 0;
    const at = next + lengthBytes > ARENA_BYTES ? 0 : next;
    this.#nextPlace[arena] = at + lengthBytes + this.#random(4);
    return ARENA + arena * ARENA_BYTES + at;
  }

  #bytes(length: number): Uint8Array {
    const [start, step] = [this.#random(256), 1 + 2 * this.#random(100)];
    return Uint8Array.from({ length }, (_, i) => (start + i * step + (i >> 8)) & 0xff);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random(list.length)] as T;
  }
}
