/** What IoEngine promises, of every engine that this host has. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { engineUnavailable } from '../../../test/support/ioEngines.ts';
import { nthFaults, IoRecorder, PlannedFaults } from '../../../test/support/ioFaults.ts';
import { type IoEngine, type IoEvents, MAX_SEGMENTS } from '../../bus/ioEngine.ts';
import { allocateGuestMemory, gpa } from '../../memory/guestMemory.ts';
import { closeFd, createEventFd, signalEventFd } from '../libc.ts';
import { injectFaults } from './faults.ts';
import { IO_ENGINES, openIoEngine } from './openIoEngine.ts';

const { EAGAIN, EBADF, EBUSY, ECANCELED, EINTR, EIO, ENOSPC } = constants.errno;
const RAM = [
  { base: 0, sizeBytes: 0x20000 },
  { base: 0x100000, sizeBytes: 0x10000 },
];
const memory = allocateGuestMemory(RAM);
const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-engine-'));
const file = path.join(folder, 'disk');
after(() => rmSync(folder, { recursive: true }));

class Told implements IoEvents {
  readonly done: [slot: number, result: number][] = [];
  readonly ready: number[] = [];

  onDone(slot: number, result: number): void {
    this.done.push([slot, result]);
  }
  onReady(tag: number): void {
    this.ready.push(tag);
  }
}

function pattern(lengthBytes: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 0xff);
}

for (const kind of IO_ENGINES) {
  const reason = engineUnavailable(kind);
  describe(`the engine ${kind}`, { skip: reason }, () => {
    let engine: IoEngine;
    let fd: number;
    let told: Told;

    beforeEach(() => {
      writeFileSync(file, '');
      fd = openSync(file, 'r+');
      engine = openIoEngine(kind, memory.slots);
      told = new Told();
    });
    afterEach(() => {
      injectFaults(undefined);
      engine.close();
      closeSync(fd);
    });

    function waitFor(completions: number): void {
      while (told.done.length < completions) engine.wait(-1, told);
    }
    function guestRow(slot: number, ...segments: [address: number, lengthBytes: number][]): void {
      engine.iovecs.clear(slot);
      for (const [address, lengthBytes] of segments)
        assert.ok(engine.iovecs.addGuest(slot, address, lengthBytes));
    }

    test('reads from a file into guest memory, segment after segment', () => {
      const bytes = pattern(10_000);
      writeFileSync(file, bytes);
      guestRow(3, [0x1000, 4096], [0x100000, 904], [0x9000, 1000]);
      engine.readv(3, fd, 1000);
      waitFor(1);
      assert.deepEqual(told.done, [[3, 6000]]);
      assert.deepEqual(memory.slice(gpa(0x1000), 4096), bytes.subarray(1000, 5096));
      assert.deepEqual(memory.slice(gpa(0x100000), 904), bytes.subarray(5096, 6000));
      assert.deepEqual(memory.slice(gpa(0x9000), 1000), bytes.subarray(6000, 7000));
    });

    test('writes guest memory, at offsets beyond 4 GiB too', () => {
      memory.write(gpa(0x2000), pattern(512, 3));
      memory.write(gpa(0x100000), pattern(3000, 2));
      guestRow(0, [0x2000, 512], [0x100000, 3000]);
      assert.equal(engine.iovecs.lengthBytes(0), 3512);
      const far = 5 * 2 ** 32 + 512;
      engine.writev(0, fd, far);
      waitFor(1);
      guestRow(1, [0x8000, 3512]);
      engine.readv(1, fd, far);
      waitFor(2);
      assert.deepEqual(told.done, [
        [0, 3512],
        [1, 3512],
      ]);
      assert.deepEqual(memory.slice(gpa(0x8000), 512), pattern(512, 3));
      assert.deepEqual(memory.slice(gpa(0x8000 + 512), 3000), pattern(3000, 2));
    });

    test('a write at once is done when it returns', () => {
      memory.write(gpa(0), pattern(3000));
      guestRow(0, [0, 1000], [1000, 2000]);
      assert.equal(engine.writevNow(0, fd, 4), 3000);
      assert.deepEqual(Uint8Array.from(readFileSync(file).subarray(4)), pattern(3000));
      guestRow(0, [0, 1]);
      assert.equal(engine.writevNow(0, -1, 0), -EBADF);
    });

    test('where a read has ended early, what it has not filled can be zeroed, and nothing else', () => {
      writeFileSync(file, pattern(700));
      memory.slice(gpa(0), 0x3000).fill(0xff);
      memory.slice(gpa(0x100000), 0x1000).fill(0xff);
      guestRow(0, [0, 512], [0x1000, 512], [0x100008, 100]);
      engine.readv(0, fd, 0);
      waitFor(1);
      engine.iovecs.zeroRest(0);
      assert.deepEqual(memory.slice(gpa(0), 512).slice(), pattern(700).slice(0, 512));
      assert.deepEqual(memory.slice(gpa(0x1000), 188).slice(), pattern(700).slice(512));
      assert.deepEqual(memory.slice(gpa(0x1000 + 188), 324).slice(), new Uint8Array(324));
      assert.equal(memory.readU8(gpa(512)), 0xff);
      assert.equal(memory.readU8(gpa(0x1200)), 0xff);
      const other = memory.slice(gpa(0x100007), 102);
      assert.deepEqual([...other], [0xff, ...new Uint8Array(100), 0xff]);
    });

    test('a read ends at the end of the file, and says how far it came', () => {
      writeFileSync(file, pattern(700));
      guestRow(0, [0, 512], [0x1000, 512]);
      engine.readv(0, fd, 0);
      guestRow(1, [0x2000, 512]);
      engine.readv(1, fd, 4096);
      waitFor(2);
      assert.deepEqual(told.done.sort(), [
        [0, 700],
        [1, 0],
      ]);
    });

    test('tells of an eventfd that is watched again what was signalled meanwhile, and of none that is not', () => {
      const [event, other] = [createEventFd(), createEventFd()];
      const untilReady = (tag: number): void => {
        while (!told.ready.includes(tag)) engine.wait(-1, told);
      };
      engine.watch(7, event);
      engine.watch(8, other);
      for (let round = 0; round < 3; round++) {
        signalEventFd(event);
        untilReady(7);
        engine.unwatch(7);
        engine.wait(0, told); // it may come once more
        told.ready.length = 0;
        signalEventFd(event);
        signalEventFd(other);
        untilReady(8);
        signalEventFd(other);
        told.ready.length = 0;
        untilReady(8);
        assert.ok(!told.ready.includes(7));
        engine.watch(7, event);
        untilReady(7);
      }
      [event, other].forEach(closeFd);
    });

    test('syncs', () => {
      engine.fdatasync(1, fd);
      waitFor(1);
      assert.deepEqual(told.done, [[1, 0]]);
    });

    test("a request's error is its negated errno", () => {
      guestRow(0, [0, 512]);
      engine.readv(0, -1, 0);
      engine.fdatasync(1, -1);
      waitFor(2);
      assert.deepEqual(told.done.sort(), [
        [0, -EBADF],
        [1, -EBADF],
      ]);
    });

    test('all slots can be under way at once', () => {
      const bytes = pattern(engine.slots * 16);
      writeFileSync(file, bytes);
      for (let slot = 0; slot < engine.slots; slot++) {
        guestRow(slot, [slot * 16, 16]);
        engine.readv(slot, fd, slot * 16);
      }
      waitFor(engine.slots);
      assert.deepEqual(memory.slice(gpa(0), bytes.length), bytes);
      assert.equal(new Set(told.done.map(([slot]) => slot)).size, engine.slots);
      assert.ok(told.done.every(([, result]) => result === 16));
    });

    test('what is done may ask for more at once, as often as it likes', () => {
      writeFileSync(file, pattern(512));
      let left = 2000;
      let over = 0;
      const events: IoEvents = {
        onDone: (slot, result) => {
          assert.equal(result, 512);
          over++;
          if (left-- > 0) again(slot);
        },
        onReady: () => assert.fail(),
      };
      const again = (slot: number): void => {
        guestRow(slot, [0, 512]);
        engine.readv(slot, fd, 0);
      };
      for (let slot = 0; slot < 32; slot++) again(slot);
      while (over < 2032) engine.wait(-1, events);
    });

    test('an iovec outside RAM, across two slots of it or too many are refused, and leave the row as it was', () => {
      const { iovecs } = engine;
      iovecs.clear(0);
      const outside: [number, number][] = [
        [0x20000, 1],
        [0x1ffff, 2],
        [0xfffff, 2],
        [0, 0],
        [-1, 2],
        [0, NaN],
        [NaN, 1],
        [0.5 + 2 ** 52, 2 ** 52],
        [0, Infinity],
      ];
      for (const [address, lengthBytes] of outside)
        assert.equal(iovecs.addGuest(0, address, lengthBytes), false, `${address} ${lengthBytes}`);
      for (let i = 0; i < MAX_SEGMENTS; i++) assert.ok(iovecs.addGuest(0, i, 1));
      assert.equal(iovecs.addGuest(0, 0, 1), false);
      assert.equal(iovecs.lengthBytes(0), MAX_SEGMENTS);
    });

    test('an eventfd is told of each time it has been signalled', () => {
      const [one, other] = [createEventFd(), createEventFd()];
      signalEventFd(one); // before it is watched
      engine.watch(7, one);
      engine.watch(9, other);
      while (!told.ready.includes(7)) engine.wait(-1, told);
      for (let round = 0; round < 10; round++) {
        told.ready.length = 0;
        signalEventFd(other);
        signalEventFd(other);
        while (!told.ready.includes(9)) engine.wait(-1, told);
      }
      closeFd(one);
      closeFd(other);
    });

    test('eventfds and requests are waited for together', () => {
      const eventFd = createEventFd();
      engine.watch(1, eventFd);
      writeFileSync(file, pattern(512));
      guestRow(0, [0, 512]);
      engine.readv(0, fd, 0);
      signalEventFd(eventFd);
      while (told.done.length === 0 || told.ready.length === 0) engine.wait(-1, told);
      closeFd(eventFd);
    });

    test('a wait ends when its time is over', () => {
      engine.wait(0, told);
      engine.wait(2, told);
      assert.deepEqual([told.done, told.ready], [[], []]);
    });

    test('short transfers are gone on from, across segments, and what passes by itself is tried again', () => {
      const bytes = pattern(6000);
      writeFileSync(file, bytes);
      injectFaults(
        nthFaults({
          read: {
            1: { shortBytes: 100 },
            2: { errno: EINTR },
            3: { errno: EAGAIN },
            4: { shortBytes: 900 },
            5: { errno: ECANCELED },
          },
        }),
      );
      guestRow(0, [0x1000, 1000], [0x3000, 4096], [0x8000, 904]);
      engine.readv(0, fd, 0);
      waitFor(1);
      assert.deepEqual(told.done, [[0, 6000]]);
      assert.deepEqual(memory.slice(gpa(0x1000), 1000), bytes.subarray(0, 1000));
      assert.deepEqual(memory.slice(gpa(0x3000), 4096), bytes.subarray(1000, 5096));
      assert.deepEqual(memory.slice(gpa(0x8000), 904), bytes.subarray(5096));
    });

    test('of a write that is cut short again and again nothing is lost, torn or reordered', () => {
      memory.write(gpa(0), pattern(5000));
      let seed = 5;
      injectFaults(
        new PlannedFaults(() => {
          seed = (seed * 1103515245 + 12345) & 0x7fff_ffff;
          return seed % 3 === 0 ? { errno: EINTR } : { shortBytes: 1 + (seed % 700) };
        }),
      );
      guestRow(0, [0, 1], [1, 999], [1000, 4000]);
      engine.writev(0, fd, 0);
      waitFor(1);
      assert.deepEqual(told.done, [[0, 5000]]);
      guestRow(1, [0, 2500], [2500, 2500]);
      assert.equal(engine.writevNow(1, fd, 5000), 5000);
      assert.deepEqual(
        Uint8Array.from(readFileSync(file)),
        Uint8Array.of(...pattern(5000), ...pattern(5000)),
      );
    });

    test('errors that stay are told: after part of a transfer, and of what never stops to be tried again', () => {
      injectFaults(
        new PlannedFaults(({ call }, nth) => {
          if (call === 'write') return nth === 1 ? { shortBytes: 512 } : { errno: ENOSPC };
          if (call === 'sync') return { errno: EIO };
          if (call === 'read') return { errno: EAGAIN };
          return undefined;
        }),
      );
      guestRow(0, [0, 1024]);
      engine.writev(0, fd, 0);
      engine.fdatasync(1, fd);
      guestRow(2, [0, 512]);
      engine.readv(2, fd, 0);
      waitFor(3);
      assert.deepEqual(told.done.sort(), [
        [0, -ENOSPC],
        [1, -EIO],
        [2, -EAGAIN],
      ]);
    });

    test('a kernel that is interrupted, out of room or takes less than it is given loses nothing', () => {
      const bytes = pattern(64 * 512);
      writeFileSync(file, bytes);
      const faults = [
        { errno: EINTR },
        { errno: EAGAIN },
        { errno: EBUSY },
        { shortBytes: 0 },
        { shortBytes: 3 },
      ];
      injectFaults(
        new PlannedFaults(({ call }, nth) =>
          call === 'submit' ? faults[nth % (faults.length + 1)] : undefined,
        ),
      );
      for (let slot = 0; slot < 64; slot++) {
        guestRow(slot, [slot * 512, 512]);
        engine.readv(slot, fd, slot * 512);
      }
      waitFor(64);
      assert.deepEqual(memory.slice(gpa(0), bytes.length), bytes);
      assert.ok(told.done.every(([, result]) => result === 512));
    });

    test('a recorder sees the bytes that are written, and syncs', () => {
      const recorder = new IoRecorder();
      injectFaults(recorder);
      memory.write(gpa(0), pattern(1000));
      guestRow(0, [0, 600], [600, 400]);
      engine.writev(0, fd, 8);
      waitFor(1);
      engine.fdatasync(1, fd);
      waitFor(2);
      assert.deepEqual(recorder.log, [
        { kind: 'write', fd, offset: 8, bytes: pattern(1000) },
        { kind: 'sync', fd },
      ]);
    });
  });
}
