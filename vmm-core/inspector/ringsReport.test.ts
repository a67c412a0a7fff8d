import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  VRING_DESC_F_INDIRECT as INDIRECT,
  VRING_DESC_F_NEXT as NEXT,
  VRING_DESC_F_WRITE as WRITE,
} from '../abi/virtioRing.ts';
import { allocateGuestMemory, type GuestMemory, gpa } from '../memory/guestMemory.ts';
import type { RingsReport } from '../protocol/devices.ts';
import { type QueuePlaces, readRings } from './ringsReport.ts';

const RAM_BYTES = 0x10000;
const QUEUE: QueuePlaces = {
  size: 4,
  desc: 0x1000,
  driver: 0x2000,
  device: 0x3000,
  hasEventIdx: false,
  hasIndirect: true,
  nextAvail: 0,
  nextUsed: 0,
};

type Descriptor = readonly [address: number, lengthBytes: number, flags?: number, next?: number];

/** Rings as a driver leaves them: `heads` available from index `from` on. */
function rings({
  heads = [],
  from = 0,
  table = [],
}: {
  readonly heads?: readonly number[];
  readonly from?: number;
  readonly table?: readonly Descriptor[];
}): GuestMemory {
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: RAM_BYTES }]);
  writeTable(memory, QUEUE.desc, table);
  heads.forEach((head, i) => memory.writeU16(gpa(QUEUE.driver + 4 + 2 * ((from + i) % QUEUE.size)), head));
  memory.writeU16(gpa(QUEUE.driver + 2), (from + heads.length) & 0xffff);
  return memory;
}

function writeTable(memory: GuestMemory, at: number, table: readonly Descriptor[]): void {
  table.forEach(([address, lengthBytes, flags = 0, next = 0], i) => {
    memory.writeU64(gpa(at + 16 * i), BigInt(address));
    memory.writeU32(gpa(at + 16 * i + 8), lengthBytes);
    memory.writeU16(gpa(at + 16 * i + 12), flags);
    memory.writeU16(gpa(at + 16 * i + 14), next);
  });
}

function read(memory: GuestMemory, more: Partial<QueuePlaces> = {}): RingsReport {
  const report = readRings({ ...QUEUE, ...more }, memory);
  if (typeof report === 'string') assert.fail(report);
  return report;
}

function problemOf(places: Partial<QueuePlaces>): string {
  const report = readRings({ ...QUEUE, ...places }, rings({}));
  return typeof report === 'string' ? report : 'none';
}

test('a chain that waits is shown with its buffers, those the device writes apart', () => {
  const memory = rings({
    heads: [2],
    table: [
      [0, 0],
      [0x5000, 512, WRITE],
      [0x4000, 16, NEXT, 1],
    ],
  });
  const { available, chains } = read(memory);
  assert.equal(available, 1);
  assert.deepEqual(chains, [
    {
      head: 2,
      buffers: [
        { address: '0x4000', lengthBytes: 16, isWritable: false, isIndirect: false },
        { address: '0x5000', lengthBytes: 512, isWritable: true, isIndirect: false },
      ],
    },
  ]);
});

test('indexes wrap at 16 bits (§2.7.6), and what the device has taken is in flight', () => {
  const memory = rings({
    heads: [1, 0],
    from: 0xffff,
    table: [
      [0x4000, 1],
      [0x5000, 2],
    ],
  });
  const report = read(memory, { nextAvail: 0xffff, nextUsed: 0xfffd });
  assert.deepEqual([report.availIdx, report.available, report.inFlight], [1, 2, 2]);
  assert.deepEqual(
    report.chains.map(({ head }) => head),
    [1, 0],
  );
});

test('the buffers of an indirect table are told apart (§2.7.5.3)', () => {
  const memory = rings({ heads: [0], table: [[0x6000, 32, INDIRECT]] });
  writeTable(memory, 0x6000, [
    [0x4000, 8, NEXT, 1],
    [0x5000, 8, WRITE],
  ]);
  const [chain] = read(memory).chains;
  assert.equal(chain?.problem, undefined);
  assert.deepEqual(
    chain?.buffers.map(({ isIndirect }) => isIndirect),
    [true, true],
  );
});

test('what is wrong with a chain is said, and nothing outside memory is read', () => {
  const cases: readonly (readonly [readonly Descriptor[], number, RegExp])[] = [
    [[[0x4000, 1, NEXT, 0]], 0, /a loop/],
    [[], 9, /descriptor 9 of 4/],
    [[[0x4000, 1, NEXT, 7]], 0, /descriptor 7 of 4/],
    [[[RAM_BYTES - 1, 2]], 0, /buffer is outside/],
    [[[2 ** 52, 2 ** 32 - 1]], 0, /buffer is outside/],
    [[[0x6000, 17, INDIRECT]], 0, /table of 17 bytes/],
    [[[0x6000, 0, INDIRECT]], 0, /table of 0 bytes/],
    [[[RAM_BYTES - 16, 32, INDIRECT]], 0, /table outside/],
    [[[QUEUE.desc, 64, INDIRECT]], 0, /inside an indirect table/],
    [[[0x6000, 16, INDIRECT | NEXT, 1]], 0, /with a next descriptor/],
    [
      [
        [0x4000, 8, NEXT | WRITE, 1],
        [0x4000, 8],
      ],
      0,
      /read after one to be written/,
    ],
  ];
  for (const [table, head, problem] of cases) {
    const [chain] = read(rings({ heads: [head], table })).chains;
    assert.match(chain?.problem ?? 'none', problem);
  }
  const indirect = rings({ heads: [0], table: [[0x6000, 32, INDIRECT]] });
  const [chain] = read(indirect, { hasIndirect: false }).chains;
  assert.equal(chain?.problem, 'an indirect table, which was not negotiated');
});

test('rings that are not in memory are a sentence', () => {
  for (const name of ['desc', 'driver', 'device'] as const) {
    for (const address of [RAM_BYTES, RAM_BYTES - 4, 2 ** 53, 2 ** 64])
      assert.match(problemOf({ [name]: address }), /outside guest memory/);
  }
  for (const size of [0, 65536]) assert.match(problemOf({ size }), /a queue of/);
});

test('an available index further ahead than the queue is long has nothing behind it', () => {
  const memory = rings({ heads: [0] });
  memory.writeU16(gpa(QUEUE.driver + 2), 5);
  const { available, chains } = read(memory);
  assert.deepEqual([available, chains.length], [0, 0]);
});

test('a kick is missing when chains wait and the device has not asked for silence (§2.7.10)', () => {
  const memory = rings({ heads: [0], from: 6 });
  assert.equal(read(memory, { nextAvail: 6 }).noKickSince, 6);
  assert.equal(read(memory, { nextAvail: 7 }).noKickSince, undefined, 'none waits');
  memory.writeU16(gpa(QUEUE.device), 1);
  assert.equal(read(memory, { nextAvail: 6 }).noKickSince, undefined, 'VRING_USED_F_NO_NOTIFY');
});

test('with the event index a kick is due for the chain that avail_event names (§2.7.7.2)', () => {
  const memory = rings({ heads: [0, 0], from: 6 });
  const availEvent = gpa(QUEUE.device + 4 + 8 * QUEUE.size);
  const places = { hasEventIdx: true, nextAvail: 6 };
  memory.writeU16(availEvent, 6);
  assert.equal(read(memory, places).noKickSince, 6);
  memory.writeU16(availEvent, 7);
  assert.equal(read(memory, places).noKickSince, 6);
  memory.writeU16(availEvent, 8);
  assert.equal(read(memory, places).noKickSince, undefined, 'it asked for the one after');
  memory.writeU16(availEvent, 5);
  assert.equal(read(memory, places).noKickSince, undefined, 'the driver kicked for that one');
});
