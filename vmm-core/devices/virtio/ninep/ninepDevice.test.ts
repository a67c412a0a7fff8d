import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { MockDriver, OFF_START, readable, writable } from '../../../../test/support/mockDriver.ts';
import { Fields } from '../../../../test/support/ninepClient.ts';
import { MmioDriver, PciFinder, VirtioMachine } from '../../../../test/support/virtioMachine.ts';
import * as abi from '../../../abi/ninep.ts';
import { PCI_VENDOR_ID } from '../../../abi/pci.ts';
import { VIRTIO_TRANS_ID_9P } from '../../../abi/virtioIds.ts';
import { VIRTIO_MMIO_CONFIG } from '../../../abi/virtioMmio.ts';
import { UserError } from '../../../errors.ts';
import { allocateGuestMemory } from '../../../memory/guestMemory.ts';
import { virtio9p } from './ninepDevice.ts';
import { NINEP_STATE } from './ninepState.ts';

before(() => virtio9p.load?.([]));

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-9p-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, 'hello'), 'hello, guest');
  return folder;
}

function started(t: TestContext) {
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: 0x40_0000 }], OFF_START);
  const queue = new MockDriver({ memory, size: 64, hasEventIdx: true });
  const folder = makeFolder(t);
  const shares = [{ path: folder, tag: 'work', readonly: false }];
  const machine = new VirtioMachine(virtio9p, NINEP_STATE, queue.memory, { virtio: 'mmio', shares });
  t.after(() => {
    machine.service?.pause();
    machine.service?.close();
  });
  const driver = new MmioDriver(machine);
  driver.start([queue.rings]);
  return { queue, machine, driver, folder };
}

function message(type: number, fields: Fields): Buffer {
  const body = fields.all;
  return Buffer.concat([
    new Fields()
      .u32(abi.P9_HDRSZ + body.length)
      .u8(type)
      .u16(1).all,
    body,
  ]);
}

const VERSION = message(abi.P9_TVERSION, new Fields().u32(8192).string('9P2000.L'));
const VERSION_LARGE = message(abi.P9_TVERSION, new Fields().u32(256 * 1024).string('9P2000.L'));
const ATTACH = message(
  abi.P9_TATTACH,
  new Fields().u32(0).u32(abi.P9_NOFID).string('root').string('').u32(0),
);

describe('the device of a shared folder', () => {
  it('tells its tag', (t) => {
    const { driver } = started(t);
    const length = driver.read(VIRTIO_MMIO_CONFIG, 2);
    const tag = Array.from({ length }, (_, i) => driver.read(VIRTIO_MMIO_CONFIG + 2 + i, 1));
    assert.equal(String.fromCharCode(...tag), 'work');
  });

  it('is found on PCI by drivers of virtio 0.9, too', (t) => {
    const { memory } = new MockDriver();
    const shares = [{ path: makeFolder(t) }];
    const machine = new VirtioMachine(virtio9p, NINEP_STATE, memory, { shares });
    t.after(() => machine.service?.close());
    assert.equal(new PciFinder(machine).readConfig(PCI_VENDOR_ID) >>> 16, VIRTIO_TRANS_ID_9P);
  });

  it('answers a message however it is in pieces', (t) => {
    const { queue, driver, machine } = started(t);
    const pieces = Array.from(VERSION, (_, i) => readable(VERSION.subarray(i, i + 1)));
    const rooms = Array.from({ length: 21 }, () => writable(1));
    const head = queue.addChain([...pieces, ...rooms]);
    const places = rooms.map((_, i) => queue.descriptorOf(head, pieces.length + i));
    driver.kick(0);
    assert.deepEqual(queue.used(), [{ head, writtenBytes: 21 }]);
    const answer = Buffer.concat(places.map((it) => queue.bytesOf(it)));
    assert.equal(answer.readUInt8(4), abi.P9_TVERSION + 1);
    assert.equal(answer.toString('utf8', 13), '9P2000.L');
    assert.equal(machine.brokenRule, '');
  });

  it('moves the data of files straight to and from where the driver has it, in whatever pieces', (t) => {
    const { queue, driver, folder } = started(t);
    const content = randomBytes(200_000);
    writeFileSync(path.join(folder, 'big'), content);
    const walk = message(abi.P9_TWALK, new Fields().u32(0).u32(1).u16(1).string('big'));
    const open = message(abi.P9_TLOPEN, new Fields().u32(1).u32(abi.P9_DOTL_RDWR));
    for (const it of [VERSION_LARGE, ATTACH, walk, open]) queue.addChain([readable(it), writable(64)]);
    driver.kick(0);
    assert.equal(queue.used().length, 4);

    const room = [5, 4, 2 + 3000, 1, 70_000, 50_000].map((it) => writable(it));
    const read = message(abi.P9_TREAD, new Fields().u32(1).u64(1000).u32(120_000));
    const head = queue.addChain([readable(read), ...room]);
    const pieces = room.map((_, i) => queue.descriptorOf(head, 1 + i));
    driver.kick(0);
    assert.deepEqual(queue.used(), [{ head, writtenBytes: 11 + 120_000 }]);
    const answer = Buffer.concat(pieces.map((it) => queue.bytesOf(it)));
    assert.equal(answer.readUInt32LE(0), 11 + 120_000);
    assert.equal(answer.readUInt32LE(7), 120_000);
    assert.deepEqual(answer.subarray(11, 11 + 120_000), content.subarray(1000, 121_000));

    const data = randomBytes(90_000);
    const write = message(abi.P9_TWRITE, new Fields().u32(1).u64(5).u32(data.length).bytes(data));
    const cut = [0, 10, 23, 24, 30_000, write.length];
    const parts = cut.slice(1).map((end, i) => readable(write.subarray(cut[i], end)));
    const other = queue.addChain([...parts, writable(11)]);
    const at = queue.descriptorOf(other, parts.length);
    driver.kick(0);
    assert.deepEqual(queue.used(), [{ head: other, writtenBytes: 11 }]);
    assert.equal(Buffer.from(queue.bytesOf(at)).readUInt32LE(7), data.length);
    data.copy(content, 5);
    assert.deepEqual(readFileSync(path.join(folder, 'big')), content);
  });

  it('forgets the session at a reset of the driver', (t) => {
    const { queue, driver } = started(t);
    for (const it of [VERSION, ATTACH]) queue.addChain([readable(it), writable(64)]);
    driver.kick(0);
    assert.equal(queue.used().length, 2);
    driver.status = 0;
    const fresh = new MockDriver({ memory: queue.memory, size: 64, hasEventIdx: true });
    fresh.bytes.fill(0, 0x1_0000, 0x1_4000);
    driver.start([fresh.rings]);
    const head = fresh.addChain([readable(ATTACH), writable(64)]);
    driver.kick(0);
    assert.deepEqual(fresh.used(), [{ head, writtenBytes: 11 }]);
    const answer = fresh.bytesOf(head + 1);
    assert.equal(answer[4], abi.P9_TLERROR + 1, 'there is no session yet');
  });

  for (const [what, segments] of [
    ['shorter than its header', [readable(6), writable(64)]],
    ['without room for an error', [readable(VERSION), writable(10)]],
  ] as const)
    it(`needs a reset after a message ${what}`, (t) => {
      const { queue, driver, machine } = started(t);
      queue.addChain(segments);
      driver.kick(0);
      assert.deepEqual(queue.used(), []);
      assert.match(machine.brokenRule, /^9P: a message/);
    });

  it('takes a bounded number of messages at a time, and all in the end', (t) => {
    const { queue, driver } = started(t);
    for (let i = 0; i < 32; i++) queue.addChain([readable(VERSION), writable(64)]);
    driver.kick(0);
    assert.equal(queue.used().length, 32);
  });

  it('is not made for what is no folder', (t) => {
    const folder = makeFolder(t);
    const { memory } = new MockDriver();
    const make = (it: string) => () =>
      new VirtioMachine(virtio9p, NINEP_STATE, memory, { virtio: 'mmio', shares: [{ path: it }] });
    const isTold = (pattern: RegExp) => (error: unknown) =>
      error instanceof UserError && pattern.test(error.message);
    assert.throws(make(path.join(folder, 'hello')), isTold(/it is no folder/));
    assert.throws(make(path.join(folder, 'missing')), isTold(/is not there: make the folder/));
  });
});
