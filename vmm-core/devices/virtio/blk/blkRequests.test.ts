import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import { BlkMachine, header, idOf, rangeBytes } from '../../../../test/support/blkMachine.ts';
import { readable, writable } from '../../../../test/support/mockDriver.ts';
import { PatchworkImage } from '../../../../test/support/patchworkImage.ts';
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
  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
} from '../../../abi/virtioBlk.ts';
import { DiskError } from '../../../backends/disk/diskError.ts';
import { MAX_DISCARD_SECTORS, MAX_DISCARD_SEG, MAX_WRITE_ZEROES_SECTORS } from './sectorRanges.ts';

const { EIO, ENOSPC } = constants.errno;
const SECTOR = 512;
const OK = VIRTIO_BLK_S_OK;
const IOERR = VIRTIO_BLK_S_IOERR;
const UNSUPP = VIRTIO_BLK_S_UNSUPP;
const UNMAP = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

function pattern(lengthBytes: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 0xff);
}

function zeroes(sector: number, sectors: number, flags = 0) {
  return [header(VIRTIO_BLK_T_WRITE_ZEROES), readable(rangeBytes([{ sector, sectors, flags }])), writable(1)];
}

describe('reads and writes (§5.2.6)', () => {
  it('move whole sectors, and used.len counts what was written to the guest', () => {
    const disk = new BlkMachine();
    const data = pattern(3 * SECTOR);
    assert.equal(disk.write(2, data), OK);
    const answer = disk.read(2, 3 * SECTOR);
    assert.deepEqual(answer.data, data);
    assert.equal(answer.status, OK);
    assert.equal(answer.writtenBytes, 3 * SECTOR + 1);
    assert.deepEqual(disk.image.content().subarray(2 * SECTOR, 5 * SECTOR), data);
  });

  it('take a header, data and status in any framing (§2.7.4)', () => {
    const disk = new BlkMachine();
    const data = pattern(SECTOR);
    const request = header(VIRTIO_BLK_T_OUT, 1).bytes ?? new Uint8Array();
    const all = Uint8Array.from([...request, ...data]);
    const parts = [7, 8, 15, 100, 300].map((end, i, ends) => all.subarray(i === 0 ? 0 : ends[i - 1], end));
    const chain = [...parts, all.subarray(300)].map((it) => readable(it));
    assert.equal(disk.ask(...chain, writable(1)).status, OK);
    const { status, data: read } = disk.ask(
      header(VIRTIO_BLK_T_IN, 1),
      ...[writable(1), writable(200), writable(SECTOR - 201 + 1)], // the last has the status too
    );
    assert.equal(status, OK);
    assert.deepEqual(read, data);
  });

  it('go over extents of every kind in one request', () => {
    const disk = new BlkMachine({ kinds: ['data', 'zero', 'packed', 'data', 'zero', 'data'] });
    disk.image.pack(2, pattern(4096, 9));
    const before = disk.image.content().slice();
    assert.deepEqual(disk.read(1, 44 * SECTOR).data, before.slice(SECTOR, 45 * SECTOR));
    const data = pattern(30 * SECTOR, 3);
    assert.equal(disk.write(5, data), OK);
    before.set(data, 5 * SECTOR);
    assert.deepEqual(disk.image.content(), before);
    assert.deepEqual(disk.read(0, 48 * SECTOR).data, before);
  });

  it('that are not whole sectors get IOERR, and touch nothing', () => {
    const disk = new BlkMachine();
    assert.equal(disk.read(0, 511).status, IOERR);
    assert.equal(disk.write(0, pattern(513)), IOERR);
    assert.deepEqual(disk.engine.calls, []);
  });

  it('of no sector at all succeed', () => {
    const disk = new BlkMachine();
    assert.equal(disk.ask(header(VIRTIO_BLK_T_IN), writable(1)).status, OK);
    assert.equal(disk.ask(header(VIRTIO_BLK_T_OUT), writable(1)).status, OK);
    assert.deepEqual(disk.engine.calls, []);
  });

  it('beyond the end get IOERR, however their sector wraps', () => {
    const disk = new BlkMachine(); // 32 sectors
    const last = 31;
    assert.equal(disk.read(last, SECTOR).status, OK);
    for (const sector of [last + 1, 2 ** 32 + 1, 2n ** 53n + 1n, 2n ** 55n, 2n ** 63n, 2n ** 64n - 1n]) {
      const read = disk.ask(header(VIRTIO_BLK_T_IN, sector), writable(SECTOR), writable(1));
      assert.equal(read.status, IOERR, `sector ${sector}`);
      const write = disk.ask(header(VIRTIO_BLK_T_OUT, sector), readable(SECTOR), writable(1));
      assert.equal(write.status, IOERR, `sector ${sector}`);
    }
    assert.equal(disk.read(last, 2 * SECTOR).status, IOERR);
    assert.equal(disk.engine.calls.length, 1);
  });

  it('of an unknown type get UNSUPP', () => {
    const disk = new BlkMachine();
    for (const type of [2, 3, 5, 10, 14, 0x8000_0000, 0xffff_ffff])
      assert.equal(disk.ask(header(type), writable(1)).status, UNSUPP, `type ${type}`);
  });

  it('do not go by what the guest writes over the header or the descriptors later', () => {
    const disk = new BlkMachine({ kinds: ['data', 'data'] });
    const head = disk.add([header(VIRTIO_BLK_T_IN, 0), writable(SECTOR), writable(1)]);
    disk.kick();
    for (let i = 0; i < 3; i++)
      disk.driver.writeDescriptor(disk.driver.descriptorOf(head, i), { gpa: 0, lengthBytes: 1, flags: 0 });
    disk.run();
    assert.deepEqual(
      disk.answers().map((it) => [it.head, it.status, it.writtenBytes]),
      [[head, OK, SECTOR + 1]],
    );
  });
});

describe('chains that are not requests', () => {
  it('without a byte for the status break the device: there is no other way to tell', () => {
    const disk = new BlkMachine();
    disk.add([header(VIRTIO_BLK_T_IN)]);
    disk.kick();
    assert.equal(disk.broken.length, 1);
    assert.match(disk.broken[0] ?? '', /^§5\.2\.6: /);
  });

  it('with a part of a header get IOERR', () => {
    const disk = new BlkMachine();
    assert.equal(disk.ask(readable(15), writable(SECTOR), writable(1)).status, IOERR);
    assert.equal(disk.ask(writable(SECTOR)).status, IOERR);
  });
});

describe('a read-only disk', () => {
  it('answers writes, discards and zeroes with IOERR and writes no data (§5.2.6.2)', () => {
    const disk = new BlkMachine({ isReadOnly: true });
    assert.equal(disk.write(0, pattern(SECTOR)), IOERR);
    assert.equal(disk.discard({ sector: 0, sectors: 8 }), IOERR);
    assert.equal(disk.ask(...zeroes(0, 8)).status, IOERR);
    assert.equal(disk.read(0, SECTOR).status, OK);
    assert.equal(disk.flush(), OK);
    assert.deepEqual(
      disk.engine.calls.map((it) => it.call),
      ['readv', 'fdatasync'],
    );
  });
});

describe('GET_ID', () => {
  it('gives 20 bytes, padded with zeros', () => {
    const disk = new BlkMachine();
    const { status, data, writtenBytes } = disk.getId();
    assert.deepEqual([status, writtenBytes], [OK, 21]);
    assert.deepEqual(data, idOf('TRAP-1'));
  });

  it('writes no more than that into more room, and nothing into less', () => {
    const disk = new BlkMachine();
    assert.deepEqual(disk.getId(64).data.subarray(20), new Uint8Array(44));
    const short = disk.getId(19);
    assert.deepEqual([short.status, short.data], [IOERR, new Uint8Array(19)]);
    assert.equal(disk.ask(header(VIRTIO_BLK_T_GET_ID), writable(1)).status, IOERR);
  });
});

describe('discard and write zeroes (§5.2.6.2)', () => {
  it('give clusters back, and read as zeros after write zeroes, with unmap or without', () => {
    const disk = new BlkMachine({ kinds: ['data', 'data', 'packed', 'data'] });
    disk.write(0, pattern(32 * SECTOR));
    assert.equal(disk.discard({ sector: 8, sectors: 8 }), OK);
    assert.equal(disk.image.kindAt(8 * SECTOR), 'zero');
    assert.equal(disk.ask(...zeroes(0, 8, UNMAP)).status, OK);
    assert.equal(disk.image.kindAt(0), 'zero');
    assert.equal(disk.ask(...zeroes(20, 9)).status, OK);
    assert.deepEqual(disk.read(0, 16 * SECTOR).data, new Uint8Array(16 * SECTOR));
    assert.deepEqual(disk.read(20, 9 * SECTOR).data, new Uint8Array(9 * SECTOR));
    assert.deepEqual(disk.read(29, 3 * SECTOR).data, pattern(32 * SECTOR).slice(29 * SECTOR));
  });

  it('with an unknown flag get UNSUPP, and discards with unmap', () => {
    const disk = new BlkMachine();
    assert.equal(disk.discard({ sector: 0, sectors: 8, flags: UNMAP }), UNSUPP);
    assert.equal(disk.discard({ sector: 0, sectors: 8 }, { sector: 8, sectors: 8, flags: 2 }), UNSUPP);
    assert.equal(disk.ask(...zeroes(0, 8, 2)).status, UNSUPP);
    assert.equal(disk.image.kindAt(0), 'data');
  });

  it('that are not negotiated get UNSUPP', () => {
    const disk = new BlkMachine();
    disk.mayDiscard = false;
    assert.equal(disk.discard({ sector: 0, sectors: 8 }), UNSUPP);
    assert.equal(disk.ask(...zeroes(0, 8)).status, UNSUPP);
  });

  it('beyond the end or the limits get IOERR, and none of their ranges is touched', () => {
    const disk = new BlkMachine();
    const good = { sector: 0, sectors: 8 };
    assert.equal(disk.discard(good, { sector: 31, sectors: 2 }), IOERR);
    assert.equal(disk.discard(good, { sector: 2n ** 64n - 1n, sectors: 2 }), IOERR);
    assert.equal(disk.discard(good, { sector: 0, sectors: MAX_DISCARD_SECTORS + 1 }), IOERR);
    assert.equal(disk.ask(...zeroes(0, MAX_WRITE_ZEROES_SECTORS + 1)).status, IOERR);
    assert.equal(disk.discard(...Array.from({ length: MAX_DISCARD_SEG + 1 }, () => good)), IOERR);
    assert.equal(disk.discard(), IOERR);
    assert.equal(disk.ask(header(VIRTIO_BLK_T_DISCARD), readable(17), writable(1)).status, IOERR);
    assert.equal(disk.image.kindAt(0), 'data');
    assert.equal(disk.discard(...Array.from({ length: MAX_DISCARD_SEG }, () => good)), OK);
    assert.equal(disk.image.kindAt(0), 'zero');
  });

  it('wait until nothing is under way: its place could become that of other data', () => {
    const disk = new BlkMachine();
    disk.write(0, pattern(8 * SECTOR));
    disk.add([header(VIRTIO_BLK_T_IN, 0), writable(8 * SECTOR), writable(1)]);
    disk.add([header(VIRTIO_BLK_T_DISCARD), readable(rangeBytes([{ sector: 0, sectors: 8 }])), writable(1)]);
    disk.add([header(VIRTIO_BLK_T_IN, 0), writable(8 * SECTOR), writable(1)]);
    disk.kick();
    assert.equal(disk.image.kindAt(0), 'data');
    disk.run();
    const [before, , after] = disk.answers();
    assert.deepEqual(before?.data, pattern(8 * SECTOR));
    assert.deepEqual(after?.data, new Uint8Array(8 * SECTOR));
  });
});

describe('stable writes (§5.2.6.2)', () => {
  it('a flush makes durable what was done before it', () => {
    const disk = new BlkMachine({ kinds: ['data', 'zero'] });
    const data = pattern(16 * SECTOR);
    disk.write(0, data);
    assert.notDeepEqual(disk.image.content(disk.file.durable), data);
    assert.equal(disk.flush(), OK);
    assert.deepEqual(disk.image.content(disk.file.durable), data);
  });

  it('while writes go through, each is durable before it is done', () => {
    const disk = new BlkMachine();
    disk.isWriteThrough = true;
    const data = pattern(SECTOR);
    disk.add([header(VIRTIO_BLK_T_OUT, 3), readable(data), writable(1)]);
    disk.kick();
    assert.deepEqual(disk.answers(), []);
    disk.run();
    assert.deepEqual(
      disk.answers().map((it) => it.status),
      [OK],
    );
    assert.deepEqual(disk.image.content(disk.file.durable).subarray(3 * SECTOR, 4 * SECTOR), data);
  });

  it('a sync that failed is followed by no good one: what was not written is lost', () => {
    const disk = new BlkMachine();
    disk.engine.fault = (call) => (call === 'fdatasync' ? { errno: EIO } : undefined);
    assert.equal(disk.flush(), IOERR);
    disk.engine.fault = () => undefined;
    assert.equal(disk.flush(), IOERR);
    assert.equal(disk.told.length, 1);
    assert.match(disk.told[0] ?? '', /^cannot sync "\/disk\.img": EIO \(i\/o error\); /);
  });
});

describe('what the host refuses', () => {
  it('is IOERR to the guest, with nothing said of its data, and told to the user once', () => {
    const disk = new BlkMachine();
    disk.engine.fault = () => ({ errno: EIO });
    for (let i = 0; i < 3; i++) {
      const { status, writtenBytes } = disk.read(0, SECTOR);
      assert.deepEqual([status, writtenBytes], [IOERR, 1]);
    }
    assert.equal(disk.write(0, pattern(SECTOR)), IOERR);
    assert.equal(disk.told.length, 2);
    assert.match(disk.told[0] ?? '', /^cannot read "\/disk\.img": EIO \(i\/o error\); look into the host's/);
    assert.match(disk.told[1] ?? '', /^cannot write "\/disk\.img": EIO /);
  });

  it('for want of space fails writes until there is some', () => {
    const disk = new BlkMachine({ kinds: ['data', 'zero'] });
    disk.engine.fault = (call) => (call === 'writevNow' ? { errno: ENOSPC } : undefined);
    assert.equal(disk.write(8, pattern(SECTOR)), IOERR);
    assert.equal(disk.write(8, pattern(SECTOR)), IOERR);
    assert.equal(disk.read(0, SECTOR).status, OK);
    assert.equal(disk.image.kindAt(8 * SECTOR), 'zero', 'the place is not the disk’s');
    disk.engine.fault = () => undefined;
    assert.equal(disk.write(8, pattern(SECTOR)), OK);
    assert.deepEqual(disk.read(8, SECTOR).data, pattern(SECTOR));
    assert.deepEqual(disk.told, [
      'cannot write "/disk.img": ENOSPC (no space left on device); free some space and let the guest try again',
    ]);
  });

  it('is told in the words of the image when that fails', () => {
    const disk = new BlkMachine({ kinds: ['zero'] });
    disk.image.failNext = new DiskError('/disk.img is corrupt: …', EIO);
    assert.equal(disk.write(0, pattern(SECTOR)), IOERR);
    disk.image.failNext = new DiskError('/disk.img is corrupt: …', EIO);
    assert.equal(disk.flush(), IOERR);
    assert.deepEqual(disk.told, ['/disk.img is corrupt: …']);
    assert.equal(disk.io.taken, 0);
  });

  it('a transfer that ends early is an error: the file has become shorter', () => {
    const disk = new BlkMachine();
    disk.engine.fault = () => ({ shortBytes: 100 });
    assert.equal(disk.read(0, SECTOR).status, IOERR);
    assert.equal(disk.write(0, pattern(SECTOR)), IOERR);
    assert.match(
      disk.told[0] ?? '',
      /^"\/disk\.img" has become shorter than its disk .*: end the VM and restore the image$/,
    );
  });

  it('but not where a format lets its file end early: there are zeros', () => {
    const disk = new BlkMachine();
    disk.write(0, pattern(2 * SECTOR));
    disk.image.mayEndEarly = true;
    disk.engine.fault = () => ({ shortBytes: 700 });
    const { status, data } = disk.read(0, 2 * SECTOR);
    assert.equal(status, OK);
    assert.deepEqual(data.subarray(0, 700), pattern(2 * SECTOR).subarray(0, 700));
    assert.deepEqual(data.subarray(700), new Uint8Array(2 * SECTOR - 700));
    assert.equal(disk.write(0, pattern(SECTOR)), OK, 'a write of a sector is whole');
    assert.equal(disk.write(0, pattern(2 * SECTOR)), IOERR);
  });

  it('one extent of several fails the request, once all have ended', () => {
    const disk = new BlkMachine({ kinds: ['data', 'data', 'data'] });
    let nth = 0;
    disk.engine.fault = () => (++nth === 2 ? { errno: EIO } : undefined);
    const head = disk.add([header(VIRTIO_BLK_T_IN), writable(24 * SECTOR), writable(1)]);
    disk.kick();
    assert.equal(disk.engine.pending, 3);
    disk.finish(2);
    disk.finish(1);
    assert.deepEqual(disk.answers(), []);
    disk.finish(0);
    assert.deepEqual(
      disk.answers().map((it) => [it.head, it.status]),
      [[head, IOERR]],
    );
    assert.equal(disk.io.taken, 0);
  });

  it('a bug of ours is not taken for an error of the disk', () => {
    const disk = new BlkMachine({ kinds: ['zero'] });
    disk.image.failNext = new TypeError('a bug');
    assert.throws(() => disk.write(0, pattern(SECTOR)), TypeError);
  });
});

describe('through O_DIRECT', () => {
  const alignmentBytes = 4096;
  const kinds = ['data', 'zero', 'packed', 'data'] as const;

  it('aligned requests are asynchronous, and go straight into guest memory', () => {
    const disk = new BlkMachine({ kinds: ['data', 'data'], alignmentBytes });
    const at = 0x20_0000;
    disk.add([header(VIRTIO_BLK_T_OUT, 8), readable(pattern(4096), at), writable(1)]);
    disk.kick();
    assert.deepEqual(disk.engine.calls, [{ call: 'writev', lengthBytes: 4096, offset: 4096 }]);
    disk.run();
    assert.equal(disk.answers()[0]?.status, OK);
  });

  it('others are moved by the image, piece by piece', () => {
    const disk = new BlkMachine({ kinds, alignmentBytes, clusterBytes: 65536 });
    disk.image.pack(2, pattern(65536, 5));
    const expected = disk.image.content().slice();
    for (const [sector, count] of [
      [1, 1],
      [7, 2],
      [3, 200],
      [511, 1],
    ] as const) {
      const data = pattern(count * SECTOR, sector + count);
      assert.equal(disk.write(sector, data), OK);
      expected.set(data, sector * SECTOR);
      assert.deepEqual(disk.image.content(), expected);
      assert.deepEqual(disk.read(sector, count * SECTOR).data, data);
    }
    assert.deepEqual(disk.engine.calls, []);
  });

  it('an error on the way fails the request', () => {
    const disk = new BlkMachine({ kinds: ['data'], alignmentBytes });
    disk.image.failNext = new DiskError('/disk.img: read failed', EIO);
    assert.equal(disk.read(1, SECTOR).status, IOERR);
    assert.equal(disk.io.taken, 0);
    assert.deepEqual(disk.told, ['/disk.img: read failed']);
  });

  it('a request that the image moves is alone: around its data is that of others', () => {
    const disk = new BlkMachine({ kinds: ['data', 'data'], alignmentBytes });
    disk.add([header(VIRTIO_BLK_T_OUT, 8), readable(pattern(4096), 0x20_0000), writable(1)]);
    disk.add([header(VIRTIO_BLK_T_OUT, 9), readable(pattern(SECTOR, 7)), writable(1)]);
    disk.add([header(VIRTIO_BLK_T_OUT, 8), readable(pattern(4096, 8), 0x21_0000), writable(1)]);
    disk.kick();
    assert.equal(disk.engine.pending, 1);
    disk.run();
    assert.deepEqual(
      disk.answers().map((it) => it.status),
      [OK, OK, OK],
    );
    assert.deepEqual(disk.image.content().subarray(4096), pattern(4096, 8));
  });
});

describe('the thread', () => {
  it('gets one interrupt for a batch', () => {
    const disk = new BlkMachine();
    for (let i = 0; i < 5; i++) disk.add([header(VIRTIO_BLK_T_IN, i), writable(SECTOR), writable(1)]);
    disk.kick();
    disk.run();
    assert.equal(disk.answers().length, 5);
    assert.equal(disk.interrupts, 1);
  });

  it('takes a bounded number of requests and bytes at a time (rule 14)', () => {
    const disk = new BlkMachine({ queueSize: 256, slots: 256 });
    for (let i = 0; i < 80; i++) disk.add([header(VIRTIO_BLK_T_FLUSH), writable(1)]);
    assert.equal(disk.requests.onKick(0), true);
    assert.equal(disk.engine.pending, 64);
    assert.equal(disk.requests.onKick(0), false);
    assert.equal(disk.engine.pending, 80);
    const large = new BlkMachine({
      kinds: Array.from({ length: 512 }, () => 'data'),
      queueSize: 64,
      memoryBytes: 16 << 20,
    });
    for (let i = 0; i < 6; i++) large.add([header(VIRTIO_BLK_T_OUT), readable(1 << 18), writable(1)]);
    assert.equal(large.requests.onKick(0), true);
    assert.equal(large.answers().length, 4);
  });

  it('serves queues in turn', () => {
    const disk = new BlkMachine({ queues: 3 });
    for (let queue = 0; queue < 3; queue++)
      for (let i = 0; i < 3; i++)
        disk.add([header(VIRTIO_BLK_T_OUT, 3 * i + queue), readable(SECTOR), writable(1)], queue);
    for (let queue = 0; queue < 3; queue++) disk.kick(queue);
    for (let queue = 0; queue < 3; queue++) assert.equal(disk.answers(queue).length, 3);
    assert.equal(disk.interrupts, 3);
  });

  it('waits for slots, and goes on when there are some', () => {
    const disk = new BlkMachine({ kinds: Array.from({ length: 16 }, () => 'data'), slots: 2 });
    for (let i = 0; i < 5; i++)
      disk.add([header(VIRTIO_BLK_T_IN, 8 * i), writable(32 * SECTOR), writable(1)]);
    disk.kick();
    assert.equal(disk.engine.pending, 2);
    disk.run();
    assert.equal(disk.answers().length, 5);
    assert.equal(disk.io.taken, 0);
  });

  it('holds a request back until its rate allows it', () => {
    const disk = new BlkMachine({ rates: { iops: 1 } });
    for (let i = 0; i < 3; i++) disk.add([header(VIRTIO_BLK_T_OUT), readable(SECTOR), writable(1)]);
    disk.kick();
    assert.equal(disk.answers().length, 2, 'one, and one in advance');
    assert.equal(disk.io.timers.length, 1);
    disk.nowMs += disk.io.timers[0] ?? 0;
    disk.requests.proceed();
    assert.equal(disk.answers().length, 1);
  });
});

describe('pauses and resets', () => {
  it('paused, it finishes what has begun and takes nothing more', () => {
    const disk = new BlkMachine({ kinds: ['data', 'data', 'data', 'data'], slots: 2 });
    disk.add([header(VIRTIO_BLK_T_IN), writable(32 * SECTOR), writable(1)]);
    disk.add([header(VIRTIO_BLK_T_IN), writable(SECTOR), writable(1)]);
    disk.kick();
    disk.requests.pause();
    assert.equal(disk.requests.isIdle, false);
    disk.run();
    assert.equal(disk.requests.isIdle, true);
    assert.equal(disk.answers().length, 1);
    disk.requests.resume();
    disk.kick();
    disk.run();
    assert.equal(disk.answers().length, 1);
  });

  it('a request that waits for its rate is forgotten by a reset, and kept by a pause', () => {
    for (const isReset of [true, false]) {
      const disk = new BlkMachine({ rates: { iops: 1 } });
      for (let i = 0; i < 3; i++) disk.add([header(VIRTIO_BLK_T_OUT), readable(SECTOR), writable(1)]);
      disk.kick();
      disk.requests.pause();
      assert.equal(disk.requests.isIdle, true);
      if (isReset) disk.requests.reset();
      disk.nowMs += 10_000;
      assert.equal(disk.requests.proceed(), false);
      assert.equal(disk.answers().length, 2);
      disk.requests.resume();
      disk.kick();
      assert.equal(disk.answers().length, isReset ? 0 : 1);
    }
  });

  it('a request that waits is forgotten when its queue is reset, and no other (§2.6.1)', () => {
    for (const reset of [0, 1]) {
      const disk = new BlkMachine({ queues: 2, rates: { iops: 1 } });
      for (let i = 0; i < 3; i++) disk.add([header(VIRTIO_BLK_T_OUT), readable(SECTOR), writable(1)]);
      disk.kick();
      assert.equal(disk.answers().length, 2);
      disk.requests.pause();
      disk.requests.resetQueue(reset);
      disk.requests.resume();
      disk.nowMs += 10_000;
      disk.requests.proceed();
      assert.equal(disk.answers().length, reset);
    }
  });

  it('a completion of before a reset is dropped, and its slot is free again (rule 15)', () => {
    const disk = new BlkMachine();
    disk.add([header(VIRTIO_BLK_T_IN), writable(SECTOR), writable(1)]);
    disk.kick();
    disk.requests.reset();
    disk.run();
    assert.deepEqual(disk.answers(), []);
    assert.equal(disk.interrupts, 0);
    assert.equal(disk.io.taken, 0);
    assert.equal(disk.requests.isIdle, true);
  });

  it('another medium is served from then on', () => {
    const disk = new BlkMachine();
    const file = disk.file;
    const image = new PatchworkImage(file, ['packed'], {});
    image.pack(0, pattern(4096));
    disk.requests.disk = { image, path: '/other.img', isReadOnly: true, id: idOf('B') };
    assert.deepEqual(disk.read(0, 4096).data, pattern(4096));
    assert.equal(disk.write(0, pattern(SECTOR)), IOERR);
    assert.equal(disk.read(8, SECTOR).status, IOERR);
    assert.deepEqual(disk.getId().data, idOf('B'));
  });

  it('a request that waits is checked against the medium that it will meet', () => {
    const disk = new BlkMachine({ rates: { iops: 1 } });
    for (const sector of [0, 1, 8, 9])
      disk.add([header(VIRTIO_BLK_T_IN, sector), writable(SECTOR), writable(1)]);
    disk.kick();
    disk.run();
    assert.equal(disk.answers().length, 2);
    disk.requests.pause();
    const image = new PatchworkImage(disk.file, ['zero'], {});
    disk.requests.disk = { image, path: '/smaller.img', isReadOnly: true, id: idOf('B') };
    disk.nowMs += 10_000;
    disk.requests.resume();
    disk.kick();
    assert.deepEqual(
      disk.answers().map(({ status }) => status),
      [IOERR, IOERR],
    );
  });
});
