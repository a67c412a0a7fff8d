/**
 * An I/O engine without a kernel: files in memory, transfers that are done when the test says so and in the
 * order it chooses, and faults. What is asked for in one go may be carried out in any order, as by a disk.
 */
import type { IoEngine, IoEvents, Iovecs } from '../../vmm-core/bus/ioEngine.ts';
import type { IoSlots } from '../../vmm-core/devices/deviceService.ts';
import { FakePoller } from './fakePoller.ts';
import { gpa, type GuestMemory } from '../../vmm-core/memory/guestMemory.ts';

/** A file that grows, and what of it would be there after a power cut. */
export class FakeFile {
  bytes: Uint8Array;
  durable: Uint8Array;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
    this.durable = this.bytes.slice();
  }

  read(into: Uint8Array, offset: number): number {
    const found = this.bytes.subarray(offset, offset + into.length);
    into.set(found);
    return found.length;
  }

  write(from: Uint8Array, offset: number): void {
    if (offset + from.length > this.bytes.length) {
      const grown = new Uint8Array(offset + from.length);
      grown.set(this.bytes);
      this.bytes = grown;
    }
    this.bytes.set(from, offset);
  }

  sync(): void {
    this.durable = this.bytes.slice();
  }
}

export type FakeCall = 'readv' | 'writev' | 'writevNow' | 'fdatasync';

/** An errno, or how many bytes are transferred; undefined: all goes well. */
export type FakeFault = { readonly errno: number } | { readonly shortBytes: number } | undefined;

interface Pending {
  readonly slot: number;
  readonly call: FakeCall;
  readonly perform: () => number;
}

export class FakeIoEngine implements IoEngine {
  readonly name = 'fake';
  readonly slots: number;
  readonly iovecs: FakeIovecs;
  readonly files = new Map<number, FakeFile>();
  /** Every call with its length, for tests of what is asked for. */
  readonly calls: { readonly call: FakeCall; readonly lengthBytes: number; readonly offset: number }[] = [];
  fault: (call: FakeCall, lengthBytes: number) => FakeFault = () => undefined;
  /** O_DIRECT: what is not a multiple of it is an error. */
  alignmentBytes = 1;
  readonly #pending: Pending[] = [];

  constructor(memory: GuestMemory, slots = 8) {
    this.slots = slots;
    this.iovecs = new FakeIovecs(memory, slots);
  }

  get pending(): number {
    return this.#pending.length;
  }

  readv(slot: number, fd: number, offset: number): void {
    this.#ask('readv', slot, offset, () => this.#transfer('readv', slot, fd, offset));
  }

  writev(slot: number, fd: number, offset: number): void {
    this.#ask('writev', slot, offset, () => this.#transfer('writev', slot, fd, offset));
  }

  writevNow(slot: number, fd: number, offset: number): number {
    this.calls.push({ call: 'writevNow', lengthBytes: this.iovecs.lengthBytes(slot), offset });
    return this.#transfer('writevNow', slot, fd, offset);
  }

  fdatasync(slot: number, fd: number): void {
    this.#ask('fdatasync', slot, 0, () => {
      const fault = this.fault('fdatasync', 0);
      if (fault !== undefined && 'errno' in fault) return -fault.errno;
      this.#file(fd).sync();
      return 0;
    });
  }

  openPoller(onReady: (tag: number, events: number) => void): FakePoller {
    return new FakePoller(onReady);
  }

  watch(): void {}
  unwatch(): void {}
  close(): void {}

  wait(_timeoutMs: number, events: IoEvents): void {
    while (this.#pending.length > 0) this.finish(0, events);
  }

  /** The one at this place among those that are pending. */
  finish(place: number, events: Pick<IoEvents, 'onDone'>): void {
    const [it] = this.#pending.splice(place, 1);
    if (it !== undefined) events.onDone(it.slot, it.perform());
  }

  #ask(call: FakeCall, slot: number, offset: number, perform: () => number): void {
    if (this.#pending.some((it) => it.slot === slot)) throw new Error(`slot ${slot} is under way already`);
    this.calls.push({ call, lengthBytes: this.iovecs.lengthBytes(slot), offset });
    this.#pending.push({ slot, call, perform });
  }

  #transfer(call: FakeCall, slot: number, fd: number, offset: number): number {
    if (!this.#isAligned(slot, offset)) return -22;
    const fault = this.fault(call, this.iovecs.lengthBytes(slot));
    if (fault !== undefined && 'errno' in fault) return -fault.errno;
    let left = fault?.shortBytes ?? Infinity;
    let done = 0;
    for (const whole of this.iovecs.row(slot)) {
      const bytes = whole.subarray(0, Math.min(whole.length, left));
      const count = call === 'readv' ? this.#file(fd).read(bytes, offset + done) : bytes.length;
      if (call !== 'readv') this.#file(fd).write(bytes, offset + done);
      done += count;
      left -= count;
      if (count < whole.length) break;
    }
    this.iovecs.consume(slot, done);
    return done;
  }

  #isAligned(slot: number, offset: number): boolean {
    const unit = this.alignmentBytes;
    const isRow = this.iovecs.row(slot).every((it) => (it.byteOffset | it.length) % unit === 0);
    return isRow && offset % unit === 0;
  }

  #file(fd: number): FakeFile {
    const file = this.files.get(fd);
    if (file === undefined) throw new Error(`there is no file ${fd}`);
    return file;
  }
}

class FakeIovecs implements Iovecs {
  readonly #memory: GuestMemory;
  readonly #rows: Uint8Array[][];

  constructor(memory: GuestMemory, slots: number) {
    this.#memory = memory;
    this.#rows = Array.from({ length: slots }, () => []);
  }

  row(slot: number): Uint8Array[] {
    return this.#rows[slot] ?? [];
  }

  clear(slot: number): void {
    this.row(slot).length = 0;
  }

  /** What a transfer has done with it. */
  consume(slot: number, lengthBytes: number): void {
    const row = this.row(slot);
    for (let left = lengthBytes; left > 0;) {
      const [first = new Uint8Array()] = row;
      if (left < first.length) row[0] = first.subarray(left);
      else row.shift();
      left -= Math.min(left, first.length);
    }
  }

  zeroRest(slot: number): void {
    for (const it of this.row(slot)) it.fill(0);
  }

  addGuest(slot: number, address: number, lengthBytes: number): boolean {
    if (!this.#memory.contains(address, lengthBytes)) return false;
    this.row(slot).push(this.#memory.slice(gpa(address), lengthBytes));
    return true;
  }

  lengthBytes(slot: number): number {
    return this.row(slot).reduce((sum, it) => sum + it.length, 0);
  }
}

/** All slots of an engine for one device. One that is given back is offered at once: the worst case. */
export class FakeIoSlots implements IoSlots {
  readonly engine: FakeIoEngine;
  readonly timers: number[] = [];
  onSlotFree: () => void = () => undefined;
  onReady: (tag: number, events: number) => void = () => undefined;
  readonly poller: FakePoller;
  readonly #free: number[];
  #isWanted = false;

  constructor(engine: FakeIoEngine) {
    this.engine = engine;
    this.poller = engine.openPoller((tag, events) => this.onReady(tag, events));
    this.#free = Array.from({ length: engine.slots }, (_, i) => i);
  }

  get taken(): number {
    return this.engine.slots - this.#free.length;
  }

  takeSlot(): number {
    const slot = this.#free.shift();
    if (slot === undefined) this.#isWanted = true;
    return slot ?? -1;
  }

  giveSlot(slot: number): void {
    if (this.#free.includes(slot)) throw new Error(`slot ${slot} is given back twice`);
    this.#free.push(slot);
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.onSlotFree();
  }

  arm(delayMs: number): void {
    this.timers.push(delayMs);
  }

  lendDoorbell(): never {
    throw new Error('no doorbells in this test');
  }

  takeBackDoorbell(): void {}
}
