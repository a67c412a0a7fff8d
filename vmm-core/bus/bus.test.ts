import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomNumbers } from '../../test/support/devices.ts';
import { Log } from '../log.ts';
import { Bus } from './bus.ts';
import type { BusDevice } from './busDevice.ts';

/** Answers every byte read with its offset + 1, records all accesses. */
class Recorder implements BusDevice {
  readonly log: string[] = [];
  readonly name: string;
  readonly accessBytes: 1 | 2 | 4;
  constructor(name: string, accessBytes: 1 | 2 | 4 = 4) {
    this.name = name;
    this.accessBytes = accessBytes;
  }
  read(offset: number, sizeBytes: number): number {
    this.log.push(`r${offset}/${sizeBytes}`);
    let value = 0;
    for (let i = sizeBytes - 1; i >= 0; i--) value = value * 256 + offset + i + 1;
    return value;
  }
  write(offset: number, sizeBytes: number, value: number): void {
    this.log.push(`w${offset}/${sizeBytes}=${value.toString(16)}`);
  }
}

class Thrower implements BusDevice {
  readonly name = 'thrower';
  read(): number {
    throw new Error('read bug (expected by this test)');
  }
  write(): void {
    throw new Error('write bug (expected by this test)');
  }
}

for (const kind of ['port', 'mmio'] as const) {
  test(`${kind}: an access reaches the device at its offset`, () => {
    const bus = new Bus(kind);
    const device = new Recorder('a');
    bus.register(0x100, 8, device);
    assert.equal(bus.read(0x104, 1), 5);
    assert.equal(bus.read(0x104, 4), 0x08070605);
    bus.write(0x107, 1, 0x1ff);
    assert.deepEqual(device.log, ['r4/1', 'r4/4', 'w7/1=ff']);
  });

  test(`${kind}: what no device has reads all ones in its size, writes are dropped`, () => {
    const bus = new Bus(kind);
    bus.write(0x80, 4, 1);
    assert.equal(bus.read(0x80, 1), 0xff);
    assert.equal(bus.read(0x80, 2), 0xffff);
    assert.equal(bus.read(0x80, 4), 0xffff_ffff);
    const bytes = new Uint8Array(10);
    bus.readBytes(0x80, bytes, 1, 8);
    assert.deepEqual([...bytes], [0, 255, 255, 255, 255, 255, 255, 255, 255, 0]);
  });

  test(`${kind}: an access not wholly inside one window reads all ones and is dropped, even where a neighbour is`, () => {
    const bus = new Bus(kind);
    const low = new Recorder('low');
    const high = new Recorder('high', 1);
    bus.register(0xc00, 3, low);
    bus.register(0xc03, 1, high);
    assert.equal(bus.read(0xc02, 2), 0xffff);
    bus.write(0xc00, 4, 0x06060606);
    bus.write(0xbff, 2, 0x0606);
    assert.deepEqual([...low.log, ...high.log], []);
  });

  test(`${kind}: overlapping windows are a bug found at assembly`, () => {
    const bus = new Bus(kind);
    bus.register(0x3f8, 8, new Recorder('com1'));
    assert.throws(() => bus.register(0x3ff, 1, new Recorder('other')), /other .* overlaps com1/);
    assert.throws(() => bus.register(0x3f0, 16, new Recorder('other')), /overlaps/);
    bus.register(0x3f0, 8, new Recorder('below'));
    bus.register(0x400, 8, new Recorder('above'));
    assert.throws(() => bus.register(-1, 1, new Recorder('x')), RangeError);
    assert.throws(() => bus.register(0x10, 0, new Recorder('x')), RangeError);
  });

  test(`${kind}: a wide access to a narrow device is split, low address first`, () => {
    const bus = new Bus(kind);
    const device = new Recorder('narrow', 1);
    bus.register(0x70, 4, device);
    bus.write(0x70, 2, 0xab0c);
    assert.equal(bus.read(0x70, 4), 0x04030201);
    assert.deepEqual(device.log, ['w0/1=c', 'w1/1=ab', 'r0/1', 'r1/1', 'r2/1', 'r3/1']);
  });

  test(`${kind}: eight bytes are two accesses of four, low address first, and lose nothing as bytes`, () => {
    const bus = new Bus(kind);
    const device = new Recorder('wide');
    bus.register(0x100, 16, device);
    const bytes = Uint8Array.of(0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11);
    bus.writeBytes(0x100, bytes, 0, 8);
    bus.readBytes(0x108, bytes, 0, 8);
    assert.deepEqual(device.log, ['w0/4=55667788', 'w4/4=11223344', 'r8/4', 'r12/4']);
    assert.deepEqual([...bytes], [9, 10, 11, 12, 13, 14, 15, 16]);
    bus.write(0x100, 8, 0x0001_0000_0002);
    assert.deepEqual(device.log.slice(4), ['w0/4=2', 'w4/4=1']);
    assert.equal(bus.read(0x100, 8), Number(0x0807060504030201n));
  });

  test(`${kind}: odd lengths, parts of an access across a page, are single bytes`, () => {
    const bus = new Bus(kind);
    const device = new Recorder('d');
    bus.register(0x100, 8, device);
    const bytes = new Uint8Array(4);
    bus.readBytes(0x101, bytes, 0, 3);
    assert.deepEqual([...bytes], [2, 3, 4, 0]);
    assert.deepEqual(device.log, ['r1/1', 'r2/1', 'r3/1']);
  });

  test(`${kind}: an exception of a device does not cross the bus, and is logged once per register and direction`, () => {
    const lines: string[] = [];
    const bus = new Bus(kind, new Log({ write: (line) => lines.push(line) }));
    bus.register(0x100, 4, new Thrower());
    for (let i = 0; i < 100; i++) {
      assert.equal(bus.read(0x100, 2), 0xffff);
      bus.write(0x100, 1, 0);
    }
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? '', /thrower threw.*read bug/);
  });
}

test('a device with several windows sees the offset each was registered with', () => {
  const bus = new Bus('port');
  const device = new Recorder('i8042', 1);
  bus.register(0x60, 1, device, 0);
  bus.register(0x64, 1, device, 4);
  bus.read(0x64, 1);
  bus.read(0x60, 1);
  assert.deepEqual(device.log, ['r4/1', 'r0/1']);
  assert.equal(bus.read(0x61, 1), 0xff);
});

test('port windows end at 0xffff', () => {
  const bus = new Bus('port');
  const device = new Recorder('last');
  bus.register(0xfffe, 2, device);
  assert.equal(bus.read(0xffff, 1), 2);
  assert.equal(bus.read(0xffff, 2), 0xffff);
  assert.throws(() => bus.register(0xffff, 2, new Recorder('x')), RangeError);
});

test('mmio windows above 4 GiB are found', () => {
  const bus = new Bus('mmio');
  for (let i = 0; i < 20; i++)
    bus.register(0x80_0000_0000 + ((i * 7) % 20) * 0x1000, 0x200, new Recorder(`d${i}`));
  assert.equal(bus.read(0x80_0000_3010, 1), 0x11);
  assert.equal(bus.read(0x80_0000_3200, 1), 0xff);
  assert.equal(bus.read(0x80_0001_3000, 1), 1);
  assert.equal(bus.read(0x7f_ffff_ffff, 1), 0xff);
});

test('a result wider than the access is cut to its size', () => {
  const bus = new Bus('port');
  bus.register(0, 4, { name: 'loud', read: () => -1, write: () => undefined });
  assert.equal(bus.read(0, 1), 0xff);
  assert.equal(bus.read(0, 2), 0xffff);
  assert.equal(bus.read(0, 4), 0xffff_ffff);
});

test('fuzz: bus look-ups agree with a list of windows', () => {
  const random = randomNumbers(7);
  for (const kind of ['port', 'mmio'] as const) {
    const bus = new Bus(kind);
    const owner = new Map<number, number>();
    for (let i = 0; i < 60; i++) {
      const base = random(0x400);
      const size = 1 + random(16);
      const cells = Array.from({ length: size }, (_, at) => base + at);
      const device: BusDevice = { name: `d${i}`, accessBytes: 1, read: () => i, write: () => undefined };
      if (cells.some((at) => owner.has(at))) assert.throws(() => bus.register(base, size, device));
      else {
        bus.register(base, size, device);
        for (const at of cells) owner.set(at, i);
      }
    }
    for (let at = 0; at < 0x420; at++) assert.equal(bus.read(at, 1), owner.get(at) ?? 0xff);
  }
});
