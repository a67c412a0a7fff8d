/**
 * Seeded requests to a block device, beside a disk that is an array: mostly what a driver would ask for, in
 * any framing and with many under way, finished in any order; a few are wrong, and in some rounds the host
 * refuses this and that. Requests that are under way at a time do not overlap, so every answer is known.
 */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import {
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_WRITE_ZEROES,
} from '../../vmm-core/abi/virtioBlk.ts';
import { DiskError } from '../../vmm-core/backends/disk/diskError.ts';
import { type Answer, BlkMachine, header, rangeBytes } from './blkMachine.ts';
import { seededRandom } from './bytes.ts';
import type { FakeFault } from './fakeIoEngine.ts';
import { readable, type Segment, writable } from './mockDriver.ts';
import type { ClusterKind } from './patchworkImage.ts';

const SECTOR = 512;
const STEPS = 150;
const KINDS: readonly ClusterKind[] = ['data', 'data', 'zero', 'packed'];
const { EIO, ENOSPC, EAGAIN } = constants.errno;

type Kind = 'read' | 'write' | 'flush' | 'id' | 'discard' | 'zeroes' | 'wrong';
const REQUESTS: readonly Kind[] = [
  ...['read', 'read', 'read', 'write', 'write', 'write', 'write', 'flush'],
  ...['id', 'discard', 'zeroes'],
] as const;

interface Request {
  readonly kind: Kind;
  readonly sector: number;
  readonly sectors: number;
  readonly data: Uint8Array;
  readonly atStep: number;
}

export function blkRound(seed: number): void {
  new BlkRound(seed).run();
}

class BlkRound {
  readonly #random: () => number;
  readonly #disk: BlkMachine;
  readonly #clusterBytes: number;
  readonly #queues: number;
  readonly #hasFaults: boolean;
  readonly #isReadOnly: boolean;
  /** What the disk has, as far as the driver can know. */
  readonly #content: Uint8Array;
  /** By sector: 1 where a write has failed, and anything may be. */
  readonly #isTorn: Uint8Array;
  /** By sector: the step in which something was begun or done there last. */
  readonly #touched: Int32Array;
  readonly #underWay = new Map<string, Request>();
  #step = 1;
  #free: number[];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#queues = this.#pick([1, 1, 2]);
    this.#clusterBytes = this.#pick([4096, 8192]);
    this.#hasFaults = this.#chance(0.5);
    this.#isReadOnly = this.#chance(0.05);
    const kinds = Array.from({ length: 2 + this.#below(12) }, () => this.#pick(KINDS));
    this.#disk = new BlkMachine({
      kinds,
      queues: this.#queues,
      clusterBytes: this.#clusterBytes,
      alignmentBytes: this.#pick([1, 1, 512, 4096]),
      isReadOnly: this.#isReadOnly,
      slots: 1 + this.#below(8),
      queueSize: 64,
      memoryBytes: 16 << 20,
    });
    kinds.forEach((kind, i) => {
      if (kind === 'packed') this.#disk.image.pack(i, this.#bytes(this.#clusterBytes));
    });
    this.#disk.isWriteThrough = this.#chance(0.2);
    this.#disk.engine.fault = () => this.#fault();
    this.#content = this.#disk.image.content().slice();
    this.#isTorn = new Uint8Array(this.#content.length / SECTOR);
    this.#touched = new Int32Array(this.#isTorn.length);
    this.#free = Array.from({ length: this.#queues }, () => 64);
  }

  run(): void {
    for (; this.#step <= STEPS; this.#step++) {
      this.#act();
      this.#check();
    }
    this.#disk.requests.resume();
    for (let i = 0; i < this.#queues; i++) this.#disk.kick(i);
    this.#disk.run();
    this.#check();
    this.#checkEnd();
  }

  #act(): void {
    const { requests, engine } = this.#disk;
    const what = this.#random();
    if (what < 0.5) this.#add(this.#below(this.#queues));
    else if (what < 0.7) this.#disk.kick(this.#below(this.#queues));
    else if (what < 0.95 && engine.pending > 0) this.#disk.finish(this.#below(engine.pending));
    else if (what < 0.97) requests.pause();
    else requests.resume();
    if (this.#hasFaults && this.#chance(0.02))
      this.#disk.image.failNext = new DiskError('the image fails', this.#pick([EIO, ENOSPC]));
  }

  #fault(): FakeFault {
    if (!this.#hasFaults || !this.#chance(0.05)) return undefined;
    const shortBytes = this.#below(4) * SECTOR + this.#pick([0, 0, 1]);
    return this.#pick([{ errno: EIO }, { errno: ENOSPC }, { errno: EAGAIN }, { shortBytes }]);
  }

  // Requests.

  #add(queue: number): void {
    const kind = this.#chance(0.04) ? 'wrong' : this.#pick(REQUESTS);
    const sectors = this.#chance(0.1) ? 0 : 1 + this.#below(Math.min(40, this.#isTorn.length));
    const sector = this.#below(this.#isTorn.length - sectors + 1);
    const isRange = kind === 'read' || kind === 'write' || kind === 'discard' || kind === 'zeroes';
    if (isRange && this.#isTaken(sector, sectors)) return;
    const data = this.#bytes(kind === 'write' ? sectors * SECTOR : 0);
    const segments = this.#chain({ kind, sector, sectors, data, atStep: this.#step });
    if (segments.length > (this.#free[queue] ?? 0)) return;
    this.#free[queue] = (this.#free[queue] ?? 0) - segments.length;
    const head = this.#disk.add(segments, queue);
    const request = { kind, sector, sectors: isRange ? sectors : 0, data, atStep: this.#step };
    this.#underWay.set(`${queue} ${head} ${segments.length}`, request);
    if (kind !== 'read') this.#touch(request);
  }

  #chain({ kind, sector, sectors, data }: Request): readonly Segment[] {
    const range = { sector, sectors, flags: kind === 'zeroes' ? this.#below(2) : 0 };
    switch (kind) {
      case 'read':
        return this.#framed(header(VIRTIO_BLK_T_IN, sector), undefined, sectors * SECTOR);
      case 'write':
        return this.#framed(header(VIRTIO_BLK_T_OUT, sector), data, 0);
      case 'flush':
        return this.#framed(header(VIRTIO_BLK_T_FLUSH), undefined, 0);
      case 'id':
        return this.#framed(header(VIRTIO_BLK_T_GET_ID), undefined, 20);
      case 'discard':
        return this.#framed(header(VIRTIO_BLK_T_DISCARD), rangeBytes([range]), 0);
      case 'zeroes':
        return this.#framed(header(VIRTIO_BLK_T_WRITE_ZEROES), rangeBytes([range]), 0);
      case 'wrong':
        return this.#wrong(sector);
    }
  }

  /** One thing is wrong, for which there is a status that is not OK. */
  #wrong(sector: number): readonly Segment[] {
    const end = this.#isTorn.length;
    const odd = 1 + this.#below(511);
    const flags = 2 << this.#below(30);
    return this.#pick([
      () => this.#framed(header(this.#pick([2, 3, 14, 0x8000_0001])), undefined, SECTOR),
      () => this.#framed(header(VIRTIO_BLK_T_IN, sector), undefined, odd),
      () => this.#framed(header(VIRTIO_BLK_T_OUT, sector), this.#bytes(odd), 0),
      () => this.#framed(header(VIRTIO_BLK_T_IN, end), undefined, SECTOR),
      () => this.#framed(header(VIRTIO_BLK_T_OUT, 2n ** 55n + BigInt(sector)), this.#bytes(SECTOR), 0),
      () => this.#framed(header(VIRTIO_BLK_T_DISCARD), rangeBytes([{ sector: end, sectors: 1 }]), 0),
      () => this.#framed(header(VIRTIO_BLK_T_DISCARD), rangeBytes([{ sector, sectors: 1, flags }]), 0),
      () => this.#framed(header(VIRTIO_BLK_T_GET_ID), undefined, 19),
      () => [readable(1 + this.#below(15)), writable(1)],
    ])();
  }

  /** The device's and the driver's parts, cut anywhere, with the status at the end. */
  #framed(first: Segment, data: Uint8Array | undefined, writableBytes: number): readonly Segment[] {
    const head = first.bytes ?? new Uint8Array();
    const all = data === undefined ? head : Uint8Array.from([...head, ...data]);
    if (this.#chance(0.6)) {
      const body = data === undefined || data.length === 0 ? [] : [readable(data)];
      return [readable(head), ...body, ...(writableBytes > 0 ? [writable(writableBytes)] : []), writable(1)];
    }
    return [
      ...this.#cut(all.length).map(([start, end]) => readable(all.slice(start, end))),
      ...this.#cut(writableBytes + 1).map(([start, end]) => writable(end - start)),
    ];
  }

  #cut(lengthBytes: number): (readonly [number, number])[] {
    const inside = Array.from({ length: this.#below(4) }, () => 1 + this.#below(lengthBytes));
    const ends = [...new Set([...inside, lengthBytes])].sort((one, other) => one - other);
    return ends.map((end, i) => [ends[i - 1] ?? 0, end] as const);
  }

  #isTaken(sector: number, sectors: number): boolean {
    return [...this.#underWay.values()].some(
      (it) => it.sector < sector + sectors && sector < it.sector + it.sectors,
    );
  }

  /** And all that shares a cluster with it, which may move. */
  #touch({ sector, sectors }: Request): void {
    const unit = this.#clusterBytes / SECTOR;
    const start = Math.floor(sector / unit) * unit;
    this.#touched.fill(this.#step, start, Math.ceil((sector + sectors) / unit) * unit);
  }

  // Answers.

  #check(): void {
    for (let queue = 0; queue < this.#queues; queue++) {
      for (const answer of this.#disk.answers(queue)) {
        const found = [...this.#underWay].find(([key]) => key.startsWith(`${queue} ${answer.head} `));
        assert.ok(found !== undefined, 'an answer to what was asked for, once');
        const [key, request] = found;
        this.#underWay.delete(key);
        this.#free[queue] = (this.#free[queue] ?? 0) + Number(key.split(' ')[2]);
        this.#checkAnswer(request, answer);
        if (request.kind !== 'read') this.#touch(request);
      }
    }
  }

  #checkAnswer(request: Request, { status, data, writtenBytes }: Answer): void {
    const { kind, sector, sectors } = request;
    assert.ok([VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_UNSUPP].includes(status), `${status}`);
    if (kind === 'wrong') return assert.notEqual(status, VIRTIO_BLK_S_OK, 'what is wrong is refused');
    const isChange = kind === 'write' || kind === 'discard' || kind === 'zeroes';
    if (this.#isReadOnly && isChange) return assert.equal(status, VIRTIO_BLK_S_IOERR);
    if (status !== VIRTIO_BLK_S_OK) {
      assert.ok(this.#hasFaults, `${kind} failed and nothing was wrong`);
      if (isChange) this.#isTorn.fill(1, sector, sector + sectors);
      return;
    }
    const start = sector * SECTOR;
    const end = start + sectors * SECTOR;
    assert.equal(writtenBytes, (kind === 'read' ? end - start : kind === 'id' ? 20 : 0) + 1);
    if (kind === 'read') this.#expectSame(data, sector, sector + sectors, sector);
    if (kind === 'write') this.#content.set(request.data, start);
    if (kind === 'zeroes') this.#content.fill(0, start, end);
    if (kind === 'write' || kind === 'zeroes') this.#isTorn.fill(0, sector, sector + sectors);
    if (kind === 'discard') this.#discard(start, end);
    for (const it of this.#underWay.values()) if (it.kind !== 'read') this.#touch(it);
    const isSettled = (it: number, step: number): boolean => (this.#touched[it] ?? 0) < step;
    if (kind === 'flush') this.#checkDurable((it) => isSettled(it, request.atStep));
    // a neighbour that is under way may be moving the cluster
    if (isChange && this.#disk.isWriteThrough)
      this.#checkDurable((it) => it >= sector && it < sector + sectors && isSettled(it, this.#step));
  }

  /** As PatchworkImage does it. */
  #discard(start: number, end: number): void {
    const first = Math.ceil(start / this.#clusterBytes) * this.#clusterBytes;
    const last = Math.floor(end / this.#clusterBytes) * this.#clusterBytes;
    if (first >= last) return;
    this.#content.fill(0, first, last);
    this.#isTorn.fill(0, first / SECTOR, last / SECTOR);
  }

  #checkDurable(isOfInterest: (sector: number) => boolean): void {
    const durable = this.#disk.image.content(this.#disk.file.durable);
    for (let i = 0; i < this.#isTorn.length; i++) if (isOfInterest(i)) this.#expectSame(durable, i, i + 1, 0);
  }

  /** `bytes` are of the disk from sector `origin` on. */
  #expectSame(bytes: Uint8Array, from: number, to: number, origin: number): void {
    for (let i = from; i < to; i++) {
      if (this.#isTorn[i] === 1) continue;
      const found = bytes.subarray((i - origin) * SECTOR, (i - origin + 1) * SECTOR);
      const expected = this.#content.subarray(i * SECTOR, (i + 1) * SECTOR);
      assert.ok(Buffer.compare(found, expected) === 0, `sector ${i} is not what was written`);
    }
  }

  #checkEnd(): void {
    assert.equal(this.#underWay.size, 0, 'every request is answered');
    assert.equal(this.#disk.io.taken, 0, 'every slot is free again');
    assert.deepEqual(this.#disk.broken, []);
    assert.equal(this.#disk.requests.isIdle, true);
    this.#expectSame(this.#disk.image.content(), 0, this.#isTorn.length, 0);
  }

  // Chances.

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }

  #bytes(lengthBytes: number): Uint8Array {
    const seed = this.#below(1 << 16);
    return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 31 + seed + (i >> 9) * 7) & 0xff);
  }
}
