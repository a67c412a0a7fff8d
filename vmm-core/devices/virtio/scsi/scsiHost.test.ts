import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { MockDriver, OFF_START, readable, writable } from '../../../../test/support/mockDriver.ts';
import { MmioDriver, VirtioMachine } from '../../../../test/support/virtioMachine.ts';
import * as scsiAbi from '../../../abi/scsi.ts';
import { ASC } from '../../../abi/scsi.ts';
import { VIRTIO_MMIO_CONFIG } from '../../../abi/virtioMmio.ts';
import * as abi from '../../../abi/virtioScsi.ts';
import { openImage } from '../../../backends/disk/openImage.ts';
import { UserError } from '../../../errors.ts';
import { GuestTransfer } from '../../../kvm/guestTransfer.ts';
import { allocateGuestMemory } from '../../../memory/guestMemory.ts';
import { virtioScsi } from './scsiHost.ts';
import { SCSI_STATE } from './scsiState.ts';

const BLOCK = 2048;
const BLOCKS = 100;
const LUN_0 = [1, 0, 0x40, 0, 0, 0, 0, 0];
const RESPONSE_BYTES = 108;

before(() => virtioScsi.load?.([]));

interface Done {
  readonly response: number;
  readonly status: number;
  readonly residual: number;
  /** The key and the additional code. */
  readonly sense: readonly [number, number] | undefined;
  readonly data: Buffer;
}

class ScsiDriver {
  readonly #control: MockDriver;
  readonly #requests: MockDriver;
  readonly machine: VirtioMachine;
  readonly driver: MmioDriver;
  readonly image = randomBytes(BLOCK * BLOCKS);
  readonly path: string;

  constructor(t: TestContext) {
    const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-scsi-'));
    t.after(() => rmSync(folder, { recursive: true }));
    this.path = path.join(folder, 'a.iso');
    writeFileSync(this.path, this.image);
    const memory = allocateGuestMemory([{ base: 0, sizeBytes: 0x80_0000 }], OFF_START);
    const rings = { memory, size: 64, hasEventIdx: true };
    this.#control = new MockDriver({ ...rings, base: 0x1_0000 });
    const events = new MockDriver({ ...rings, base: 0x2_0000 });
    this.#requests = new MockDriver({ ...rings, base: 0x3_0000 });
    this.machine = new VirtioMachine(virtioScsi, SCSI_STATE, memory, { virtio: 'mmio', cdrom: this.path });
    t.after(() => this.machine.service?.close());
    this.driver = new MmioDriver(this.machine);
    this.driver.start([this.#control.rings, events.rings, this.#requests.rings]);
  }

  /** `room`: for data, in pieces. */
  command(cdb: readonly number[], room: readonly number[] = [], lun: readonly number[] = LUN_0): Done {
    const header = Buffer.alloc(51);
    header.set(lun);
    header.set(cdb, 19);
    const head = this.#requests.addChain([
      readable(header),
      writable(RESPONSE_BYTES),
      ...room.map((it) => writable(it)),
    ]);
    const places = room.map((_, i) => this.#requests.descriptorOf(head, 2 + i));
    const at = this.#requests.descriptorOf(head, 1);
    this.driver.kick(2);
    const response = Buffer.from(this.#requests.bytesOf(at));
    const all = Buffer.concat(places.map((it) => this.#requests.bytesOf(it)));
    const [used, ...others] = this.#requests.used();
    assert.deepEqual(others, []);
    assert.equal(used?.head, head);
    const residual = response.readUInt32LE(4);
    assert.equal(used?.writtenBytes, RESPONSE_BYTES + all.length - residual);
    const hasSense = response.readUInt32LE(0) > 0;
    return {
      response: response.readUInt8(11),
      status: response.readUInt8(10),
      residual,
      sense: hasSense ? [response.readUInt8(12 + 2) & 0xf, response.readUInt16BE(12 + 12)] : undefined,
      data: all.subarray(0, all.length - residual),
    };
  }

  /** Up to where a driver comes after the first attention. */
  ready(): this {
    this.command([scsiAbi.TEST_UNIT_READY]);
    return this;
  }

  task(subtype: number, lun = LUN_0): number {
    const request = Buffer.alloc(24);
    request.writeUInt32LE(subtype, 4);
    request.set(lun, 8);
    return this.control(request, 1);
  }

  insert(file: string): void {
    const opened = openImage({
      ...{ path: file, format: 'raw', isReadOnly: true, cache: 'writeback' },
      ...{ discards: false, backing: 'none', isSnapshot: false },
    });
    this.machine.service?.onMessage?.({ id: 1, medium: { opened, path: file } });
  }

  control(request: Uint8Array, roomBytes: number): number {
    const head = this.#control.addChain([readable(request), writable(roomBytes)]);
    const at = this.#control.descriptorOf(head, 1);
    this.driver.kick(0);
    assert.equal(this.#control.used()[0]?.head, head);
    return this.#control.bytesOf(at)[roomBytes - 1] ?? -1;
  }
}

function read10(block: number, count: number): number[] {
  const cdb = Buffer.alloc(10);
  cdb[0] = scsiAbi.READ_10;
  cdb.writeUInt32BE(block, 2);
  cdb.writeUInt16BE(count, 7);
  return [...cdb];
}

const { CHECK, GOOD } = { CHECK: scsiAbi.SAM_STAT_CHECK_CONDITION, GOOD: scsiAbi.SAM_STAT_GOOD };

describe('the CD-ROM drive', () => {
  it('tells of its power-on once, and to no INQUIRY', (t) => {
    const drive = new ScsiDriver(t);
    const inquiry = drive.command([scsiAbi.INQUIRY, 0, 0, 0, 36], [36]);
    assert.deepEqual([inquiry.status, inquiry.data[0], inquiry.data[1]], [GOOD, scsiAbi.TYPE_ROM, 0x80]);
    assert.equal(inquiry.data.toString('latin1', 8, 32), 'TRAPFRMEVIRTUAL CD-ROM  ');
    assert.deepEqual(drive.command([scsiAbi.TEST_UNIT_READY]).sense, [6, ASC.POWER_ON_OR_RESET]);
    assert.equal(drive.command([scsiAbi.TEST_UNIT_READY]).status, GOOD);
  });

  it('is one unit of one target', (t) => {
    const drive = new ScsiDriver(t);
    const luns = drive.command([scsiAbi.REPORT_LUNS, 0, 0, 0, 0, 0, 0, 0, 0, 16], [16]);
    assert.deepEqual([...luns.data], [0, 0, 0, 8, ...Array<number>(12).fill(0)]);
    const far = drive.command([scsiAbi.INQUIRY, 0, 0, 0, 36], [36], [1, 1, 0x40, 0]);
    assert.equal(far.response, abi.VIRTIO_SCSI_S_BAD_TARGET);
    const other = drive.command([scsiAbi.INQUIRY, 0, 0, 0, 36], [36], [1, 0, 0x40, 1]);
    assert.equal(other.data[0], scsiAbi.NO_LOGICAL_UNIT);
    const refused = drive.command([scsiAbi.TEST_UNIT_READY], [], [1, 0, 0x40, 1]);
    assert.deepEqual(refused.sense, [5, ASC.LOGICAL_UNIT_NOT_SUPPORTED]);
  });

  it('has a capacity, and its blocks are read into any pieces by each of the commands', (t) => {
    const drive = new ScsiDriver(t).ready();
    const short = drive.command([scsiAbi.READ_CAPACITY], [8]).data;
    assert.deepEqual([short.readUInt32BE(0), short.readUInt32BE(4)], [BLOCKS - 1, BLOCK]);
    const cdb16 = [
      scsiAbi.SERVICE_ACTION_IN_16,
      scsiAbi.SAI_READ_CAPACITY_16,
      ...Array<number>(11).fill(0),
      32,
    ];
    const long = drive.command(cdb16, [32]).data;
    assert.deepEqual([long.readBigUInt64BE(0), long.readUInt32BE(8)], [BigInt(BLOCKS - 1), BLOCK]);
    const wanted = drive.image.subarray(7 * BLOCK, 10 * BLOCK);
    const pieces = [1, 3000, 2048, 1095];
    assert.deepEqual(drive.command(read10(7, 3), pieces).data, wanted);
    assert.deepEqual(drive.command([scsiAbi.READ_6, 0, 0, 7, 3], pieces).data, wanted);
    assert.deepEqual(drive.command([scsiAbi.READ_12, 0, 0, 0, 0, 7, 0, 0, 0, 3], pieces).data, wanted);
    const cdb = [scsiAbi.READ_16, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 3];
    assert.deepEqual(drive.command(cdb, pieces).data, wanted);
    assert.equal(drive.command(read10(0, 0)).status, GOOD);
  });

  it('reads nothing beyond its end, nor more than there is room for', (t) => {
    const drive = new ScsiDriver(t).ready();
    for (const cdb of [read10(BLOCKS, 1), read10(BLOCKS - 1, 2), read10(0xffff_ffff, 0xffff)])
      assert.deepEqual(drive.command(cdb, [BLOCK]).sense, [5, ASC.LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE]);
    const far = [scsiAbi.READ_16, 0, ...Array<number>(12).fill(0xff)];
    assert.deepEqual(drive.command(far, [BLOCK]).sense, [5, ASC.LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE]);
    const over = drive.command(read10(0, 4), [BLOCK]);
    assert.deepEqual([over.response, over.residual], [abi.VIRTIO_SCSI_S_OVERRUN, 0]);
    assert.deepEqual(drive.command(read10(0, 1), [BLOCK, 100]).residual, 100);
  });

  it('tells the guest of what the medium does not give', (t) => {
    const drive = new ScsiDriver(t).ready();
    truncateSync(drive.path, 10 * BLOCK);
    assert.deepEqual(drive.command(read10(9, 2), [2 * BLOCK]).sense, [3, ASC.UNRECOVERED_READ_ERROR]);
    assert.equal(drive.command(read10(9, 1), [BLOCK]).status, GOOD);
  });

  it('goes on with a read that the host ends early', (t) => {
    const drive = new ScsiDriver(t).ready();
    type Read = (this: GuestTransfer, fd: number, at: number) => number;
    const read: Read = Reflect.get(GuestTransfer.prototype, 'read');
    t.mock.method(GuestTransfer.prototype, 'read', function (this: GuestTransfer, fd: number, at: number) {
      const result = read.call(this, fd, at);
      return result > 1000 ? 1000 : result;
    });
    const { data } = drive.command(read10(3, 2), [BLOCK - 1, 1, BLOCK]);
    assert.deepEqual(data, drive.image.subarray(3 * BLOCK, 5 * BLOCK));
  });

  it('has a table of contents with one track, in blocks and in minutes', (t) => {
    const drive = new ScsiDriver(t).ready();
    const toc = drive.command([scsiAbi.READ_TOC, 0, 0, 0, 0, 0, 0, 0, 20], [20]).data;
    assert.equal(toc.toString('hex'), '001201010014010000000000' + '0014aa0000000064');
    const times = drive.command([scsiAbi.READ_TOC, 2, 0, 0, 0, 0, 0xaa, 0, 20], [20]).data;
    assert.equal(times.toString('hex'), '000a01010014aa0000000319');
    const session = drive.command([scsiAbi.READ_TOC, 0, 1, 0, 0, 0, 0, 0, 12], [12]).data;
    assert.equal(session.toString('hex'), '000a01010014010000000000');
    for (const cdb of [
      [0, 2, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 2],
    ])
      assert.deepEqual(drive.command([scsiAbi.READ_TOC, ...cdb, 0, 20], [20]).sense, [
        5,
        ASC.INVALID_FIELD_IN_CDB,
      ]);
  });

  it('has modes, features, and pages about itself', (t) => {
    const drive = new ScsiDriver(t).ready();
    const mode = drive.command([scsiAbi.MODE_SENSE_10, 0, 0x2a, 0, 0, 0, 0, 0, 100], [100]);
    assert.deepEqual([mode.data.length, mode.data.readUInt16BE(0), mode.data[8]], [30, 28, 0x2a]);
    const all = drive.command([scsiAbi.MODE_SENSE, 0, 0x3f, 0, 255], [255]);
    assert.deepEqual([all.data.length, all.data[0]], [34, 33]);
    assert.deepEqual(drive.command([scsiAbi.MODE_SENSE, 0, 0x08, 0, 255], [255]).sense, [
      5,
      ASC.INVALID_FIELD_IN_CDB,
    ]);
    const features = drive.command([scsiAbi.GPCMD_GET_CONFIGURATION, 0, 0, 0, 0, 0, 0, 0, 20], [20]).data;
    assert.deepEqual([features.length, features.readUInt16BE(6)], [20, 8]);
    // From DVD Read on there is none: an answer with another feature would be taken for it.
    for (const request of [0, 1, 2]) {
      const cdb = [scsiAbi.GPCMD_GET_CONFIGURATION, request, 0, 0x1f, 0, 0, 0, 0, 20];
      const rest = drive.command(cdb, [20]).data;
      assert.deepEqual([rest.length, rest.readUInt32BE(0), rest.readUInt16BE(6)], [8, 4, 8]);
    }
    const pages = drive.command([scsiAbi.INQUIRY, 1, 0, 0, 255], [255]).data;
    for (const page of pages.subarray(4)) {
      const found = drive.command([scsiAbi.INQUIRY, 1, page, 0, 255], [255]).data;
      assert.deepEqual([found[1], found.readUInt16BE(2)], [page, found.length - 4]);
    }
    assert.equal(drive.command([scsiAbi.INQUIRY, 1, 0x99, 0, 255], [255]).status, CHECK);
    assert.equal(
      drive.command([scsiAbi.GPCMD_READ_DISC_INFO, 0, 0, 0, 0, 0, 0, 0, 34], [34]).data.length,
      34,
    );
    for (const code of [0x04, 0x2a, 0x55, 0xff])
      assert.deepEqual(drive.command([code], [64]).sense, [5, ASC.INVALID_COMMAND_OPERATION_CODE]);
  });

  it('is ejected by the guest unless that has locked it, and loaded again', (t) => {
    const drive = new ScsiDriver(t).ready();
    const event = () => [
      ...drive.command([scsiAbi.GPCMD_GET_EVENT_STATUS_NOTIFICATION, 1, 0, 0, 0x10, 0, 0, 0, 8], [8]).data,
    ];
    assert.deepEqual(event(), [0, 6, 4, 0x10, 0, 2, 0, 0]);
    drive.command([scsiAbi.ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 1]);
    const eject = [scsiAbi.START_STOP, 0, 0, 0, 2];
    assert.deepEqual(drive.command(eject).sense, [5, ASC.MEDIUM_REMOVAL_PREVENTED]);
    drive.command([scsiAbi.ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 0]);
    assert.equal(drive.command(eject).status, GOOD);
    assert.deepEqual(event(), [0, 6, 4, 0x10, 3, 0, 0, 0]);
    assert.deepEqual(drive.command(read10(0, 1), [BLOCK]).sense, [2, ASC.MEDIUM_NOT_PRESENT]);
    assert.equal(drive.command([scsiAbi.START_STOP, 0, 0, 0, 3]).status, GOOD);
    assert.deepEqual(drive.command([scsiAbi.TEST_UNIT_READY]).sense, [6, ASC.NOT_READY_TO_READY_CHANGE]);
    assert.deepEqual(drive.command(read10(0, 1), [BLOCK]).data, drive.image.subarray(0, BLOCK));
  });

  it('gets another medium, of which the guest hears', (t) => {
    const drive = new ScsiDriver(t).ready();
    const other = path.join(path.dirname(drive.path), 'b.iso');
    writeFileSync(other, Buffer.alloc(3 * BLOCK + 512, 0x42));
    drive.insert(other);
    assert.deepEqual(drive.command(read10(0, 1), [BLOCK]).sense, [6, ASC.NOT_READY_TO_READY_CHANGE]);
    assert.deepEqual(drive.command(read10(2, 1), [BLOCK]).data, Buffer.alloc(BLOCK, 0x42));
    assert.equal(drive.command([scsiAbi.READ_CAPACITY], [8]).data.readUInt32BE(0), 2);
  });

  it('has no task to abort, and is reset', (t) => {
    const drive = new ScsiDriver(t).ready();
    for (const subtype of [0, 1, 2, 3, 6, 7]) assert.equal(drive.task(subtype), abi.VIRTIO_SCSI_S_OK);
    assert.equal(drive.command([scsiAbi.TEST_UNIT_READY]).status, GOOD);
    for (const subtype of [abi.VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, abi.VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET]) {
      assert.equal(drive.task(subtype), abi.VIRTIO_SCSI_S_OK);
      assert.deepEqual(drive.command([scsiAbi.TEST_UNIT_READY]).sense, [6, ASC.POWER_ON_OR_RESET]);
    }
    assert.equal(drive.task(8), abi.VIRTIO_SCSI_S_FUNCTION_REJECTED);
    assert.equal(drive.task(0, [1, 0, 0x40, 3]), abi.VIRTIO_SCSI_S_INCORRECT_LUN);
    assert.equal(drive.task(0, [1, 9, 0x40, 0]), abi.VIRTIO_SCSI_S_BAD_TARGET);
    const query = Buffer.alloc(16);
    query.writeUInt32LE(abi.VIRTIO_SCSI_T_AN_QUERY, 0);
    query.set(LUN_0, 4);
    assert.equal(drive.control(query, abi.VIRTIO_SCSI_CTRL_AN_RESP_BYTES), abi.VIRTIO_SCSI_S_OK);
  });

  it('lets the driver set the sizes of commands and of sense data, and nothing else', (t) => {
    const { driver } = new ScsiDriver(t);
    const sense = VIRTIO_MMIO_CONFIG + abi.VirtioScsiConfig.fields.sense_size.offset;
    driver.write(sense, 18);
    assert.equal(driver.read(sense), 18);
    driver.write(sense, 0xffff_ffff);
    assert.equal(driver.read(sense), 18);
    [24, 0, 0, 0].forEach((it, i) => driver.write(sense + i, it, 1));
    assert.equal(driver.read(sense), 24);
    driver.write(VIRTIO_MMIO_CONFIG, 7);
    assert.equal(driver.read(VIRTIO_MMIO_CONFIG), 1);
  });

  it('needs a reset after a request that is cut', (t) => {
    const drive = new ScsiDriver(t);
    assert.throws(() => drive.control(Buffer.alloc(23), 1));
    assert.match(drive.machine.brokenRule, /^§5\.6\.6: a control request shorter/);
  });

  it('is not made of what is no medium', (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-scsi-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const image = path.join(folder, 'small.iso');
    writeFileSync(image, Buffer.alloc(512));
    const { memory } = new MockDriver();
    assert.throws(
      () => new VirtioMachine(virtioScsi, SCSI_STATE, memory, { virtio: 'mmio', cdrom: image }),
      (error) => error instanceof UserError && /not the image of a CD-ROM/.test(error.message),
    );
  });
});
