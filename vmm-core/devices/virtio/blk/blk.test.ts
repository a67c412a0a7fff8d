import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { header, idOf } from '../../../../test/support/blkMachine.ts';
import { DiskMachine } from '../../../../test/support/diskMachine.ts';
import { IoRecorder } from '../../../../test/support/ioFaults.ts';
import { readable, writable } from '../../../../test/support/mockDriver.ts';
import {
  VIRTIO_BLK_F_CONFIG_WCE,
  VIRTIO_BLK_F_DISCARD,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_MQ,
  VIRTIO_BLK_F_RO,
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_F_WRITE_ZEROES,
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VirtioBlkConfig,
} from '../../../abi/virtioBlk.ts';
import {
  VIRTIO_MMIO_CONFIG,
  VIRTIO_MMIO_CONFIG_GENERATION,
  VIRTIO_MMIO_DEVICE_FEATURES,
} from '../../../abi/virtioMmio.ts';
import { QCOW2_SIZE } from '../../../abi/qcow2.ts';
import { createImage } from '../../../backends/disk/createImage.ts';
import type { DiskConfig } from '../../../config/settings/diskOptions.ts';
import { UserError } from '../../../errors.ts';
import { injectFaults } from '../../../kvm/io/faults.ts';

const MIB = 2 ** 20;
const SECTOR = 512;
const { fields } = VirtioBlkConfig;
const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-blk-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => path.join(folder, name);

function pattern(lengthBytes: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 0xff);
}

function file(name: string, sizeBytes = MIB): string {
  writeFileSync(at(name), pattern(64 * 1024));
  truncateSync(at(name), sizeBytes);
  return at(name);
}

function config(disk: DiskMachine, field: keyof typeof fields): number {
  const { offset, lengthBytes } = fields[field];
  const low = disk.mmio.read(VIRTIO_MMIO_CONFIG + offset, Math.min(4, lengthBytes));
  return lengthBytes === 8 ? low + 2 ** 32 * disk.mmio.read(VIRTIO_MMIO_CONFIG + offset + 4) : low;
}

function read(disk: DiskMachine, sector: number, lengthBytes: number): Uint8Array {
  const { status, data } = disk.ask(header(VIRTIO_BLK_T_IN, sector), writable(lengthBytes), writable(1));
  assert.equal(status, VIRTIO_BLK_S_OK);
  return data;
}

function write(disk: DiskMachine, sector: number, data: Uint8Array): number {
  return disk.ask(header(VIRTIO_BLK_T_OUT, sector), readable(data), writable(1)).status;
}

function openPaths(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // the one that lists them
    }
  });
}

const machines: DiskMachine[] = [];
function machine(disk: DiskConfig, cpus?: number): DiskMachine {
  const made = new DiskMachine(disk, cpus);
  machines.push(made);
  return made;
}
afterEach(() => {
  injectFaults(undefined);
  for (const it of machines.splice(0)) it.close();
});

describe('what a block device offers (§5.2.3)', () => {
  const offered = (disk: DiskConfig): ((bit: number) => boolean) => {
    const features = machine(disk).mmio.read(VIRTIO_MMIO_DEVICE_FEATURES);
    return (bit) => (features & (1 << bit)) !== 0;
  };

  it('is FLUSH with CONFIG_WCE, always (§5.2.5.2)', () => {
    for (const readonly of [true, false]) {
      const has = offered({ path: file(`${readonly}.img`), readonly });
      for (const bit of [VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_MQ])
        assert.ok(has(bit));
    }
  });

  it('is RO, and nothing that writes, for a read-only disk', () => {
    const has = offered({ path: file('a.img'), readonly: true });
    assert.deepEqual([VIRTIO_BLK_F_RO, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES].map(has), [
      true,
      false,
      false,
    ]);
  });

  it('is DISCARD unless the user does not want it', () => {
    assert.equal(offered({ path: file('a.img') })(VIRTIO_BLK_F_DISCARD), true);
    const has = offered({ path: file('b.img'), discard: false });
    assert.deepEqual([VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES].map(has), [false, true]);
  });
});

describe('the configuration space (§5.2.4)', () => {
  it('tells the capacity in sectors of 512 bytes, limits and queues', () => {
    const disk = machine({ path: file('a.img') }, 3);
    assert.deepEqual(
      (['capacity', 'blk_size', 'seg_max', 'num_queues', 'wce'] as const).map((it) => config(disk, it)),
      [MIB / SECTOR, 512, 254, 3, 1],
    );
    assert.equal(config(machine({ path: file('b.img') }, 64), 'num_queues'), 4);
  });

  it('has zeros for padding (§5.2.5.2)', () => {
    const disk = machine({ path: file('a.img') });
    assert.equal(disk.mmio.read(VIRTIO_MMIO_CONFIG + 33, 1), 0);
    for (let i = 57; i < 60; i++) assert.equal(disk.mmio.read(VIRTIO_MMIO_CONFIG + i, 1), 0);
  });

  it('tells whether zeroing may give space back (§5.2.6.2)', () => {
    assert.equal(config(machine({ path: file('a.img') }), 'write_zeroes_may_unmap'), 1);
    assert.equal(config(machine({ path: file('b.img'), discard: false }), 'write_zeroes_may_unmap'), 0);
  });

  it('takes 0 and 1 for writeback, and no other write', () => {
    const disk = machine({ path: file('a.img') });
    disk.start();
    const put = (offset: number, value: number, size = 1): void =>
      disk.mmio.write(VIRTIO_MMIO_CONFIG + offset, value, size);
    put(fields.wce.offset, 0);
    assert.equal(config(disk, 'wce'), 0);
    put(fields.wce.offset, 2);
    put(fields.wce.offset, 1, 4);
    assert.equal(config(disk, 'wce'), 0);
    put(fields.capacity.offset, 1);
    assert.equal(config(disk, 'capacity'), MIB / SECTOR);
    put(fields.wce.offset, 1);
    assert.equal(config(disk, 'wce'), 1);
  });
});

describe('a disk', () => {
  it('is its file: what is written is there, and what is there is read', () => {
    const disk = machine({ path: file('a.img') });
    disk.start();
    assert.deepEqual(read(disk, 3, 8 * SECTOR), pattern(64 * 1024).slice(3 * SECTOR, 11 * SECTOR));
    const data = pattern(5 * SECTOR, 9);
    assert.equal(write(disk, 1000, data), VIRTIO_BLK_S_OK);
    assert.deepEqual(new Uint8Array(readFileSync(at('a.img'))).slice(1000 * SECTOR, 1005 * SECTOR), data);
  });

  it('can be past the page cache', { skip: noDirectIo() }, () => {
    const disk = machine({ path: file('a.img'), cache: 'none' });
    disk.start();
    const data = pattern(3 * SECTOR, 5);
    for (const sector of [0, 1, 7, 100]) {
      assert.equal(write(disk, sector, data), VIRTIO_BLK_S_OK);
      assert.deepEqual(read(disk, sector, 3 * SECTOR), data);
    }
  });

  it('can forget what was written to it', () => {
    const before = readFileSync(file('a.img'));
    const disk = machine({ path: at('a.img'), snapshot: true });
    disk.start();
    const data = pattern(SECTOR, 9);
    assert.equal(write(disk, 0, data), VIRTIO_BLK_S_OK);
    assert.deepEqual(read(disk, 0, SECTOR), data);
    assert.deepEqual(readFileSync(at('a.img')), before);
  });

  it('has a serial number, its own or one from its place', () => {
    const ask = (disk: DiskMachine): Uint8Array => {
      disk.start();
      return disk.ask(header(VIRTIO_BLK_T_GET_ID), writable(20), writable(1)).data;
    };
    assert.deepEqual(ask(machine({ path: file('a.img') })), idOf('blk0'));
    assert.deepEqual(ask(machine({ path: file('b.img'), serial: 'WD 4711' })), idOf('WD 4711'));
  });

  it('does what was negotiated, and nothing else', () => {
    const disk = machine({ path: file('a.img') });
    disk.start([VIRTIO_BLK_F_DISCARD]);
    const { status } = disk.ask(header(VIRTIO_BLK_T_DISCARD), readable(16), writable(1));
    assert.equal(status, VIRTIO_BLK_S_UNSUPP);
  });

  it('that is read-only is not written', () => {
    const disk = machine({ path: file('a.img'), readonly: true });
    disk.start();
    assert.equal(write(disk, 0, pattern(SECTOR)), VIRTIO_BLK_S_IOERR);
  });

  it('is closed at the end', () => {
    const disk = new DiskMachine({ path: file('closed.img') });
    assert.ok(openPaths().includes(at('closed.img')));
    disk.close();
    assert.ok(!openPaths().includes(at('closed.img')));
  });
});

describe('stable writes (§5.2.6.2)', () => {
  const syncs = (disk: DiskMachine): number => {
    const recorder = new IoRecorder();
    injectFaults(recorder);
    assert.equal(write(disk, 0, pattern(SECTOR)), VIRTIO_BLK_S_OK);
    injectFaults(undefined);
    return recorder.log.filter((it) => it.kind === 'sync').length;
  };

  it('are those that a flush follows, while the cache is on', () => {
    const disk = machine({ path: file('a.img') });
    disk.start();
    assert.equal(syncs(disk), 0);
    const recorder = new IoRecorder();
    injectFaults(recorder);
    assert.equal(disk.ask(header(VIRTIO_BLK_T_FLUSH), writable(1)).status, VIRTIO_BLK_S_OK);
    assert.deepEqual(
      recorder.log.map((it) => it.kind),
      ['sync'],
    );
  });

  it('are all, once the driver has set writeback to 0', () => {
    const disk = machine({ path: file('a.img') });
    disk.start();
    disk.mmio.write(VIRTIO_MMIO_CONFIG + fields.wce.offset, 0, 1);
    assert.equal(syncs(disk), 1);
    disk.mmio.write(VIRTIO_MMIO_CONFIG + fields.wce.offset, 1, 1);
    assert.equal(syncs(disk), 0);
  });

  it('are all for a driver that knows no FLUSH, and writeback is 0 then', () => {
    const disk = machine({ path: file('a.img') });
    disk.start([VIRTIO_BLK_F_FLUSH]);
    assert.equal(config(disk, 'wce'), 0);
    assert.equal(syncs(disk), 1);
    const neither = machine({ path: file('b.img') });
    neither.start([VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE]);
    assert.equal(syncs(neither), 1);
  });

  it('are none when the user says so', () => {
    const disk = machine({ path: file('a.img'), cache: 'unsafe' });
    disk.start([VIRTIO_BLK_F_FLUSH]);
    assert.equal(syncs(disk), 0);
  });
});

describe('a disk that grows', () => {
  it('tells the driver, which reads and writes what is new', async () => {
    const disk = machine({ path: file('a.img') });
    disk.start();
    const generation = disk.mmio.read(VIRTIO_MMIO_CONFIG_GENERATION);
    const resized = disk.drive.resize(2 * MIB);
    disk.run();
    await resized;
    assert.equal(disk.drive.sizeBytes, 2 * MIB);
    assert.equal(statSync(at('a.img')).size, 2 * MIB);
    assert.equal(config(disk, 'capacity'), (2 * MIB) / SECTOR);
    assert.notEqual(disk.mmio.read(VIRTIO_MMIO_CONFIG_GENERATION), generation);
    const last = (2 * MIB) / SECTOR - 1;
    assert.equal(write(disk, last, pattern(SECTOR)), VIRTIO_BLK_S_OK);
    assert.deepEqual(read(disk, last, SECTOR), pattern(SECTOR));
  });

  it('is as large after a reset, and what the driver has chosen is not', async () => {
    const disk = machine({ path: file('a.img') });
    disk.start();
    disk.mmio.write(VIRTIO_MMIO_CONFIG + fields.wce.offset, 0, 1);
    const resized = disk.drive.resize(2 * MIB);
    disk.run();
    await resized;
    assert.equal(config(disk, 'wce'), 0);
    disk.mmio.status = 0;
    assert.deepEqual([config(disk, 'capacity'), config(disk, 'wce')], [(2 * MIB) / SECTOR, 1]);
  });

  it('refuses what cannot be, in a sentence', async () => {
    const disk = machine({ path: file('a.img') });
    await assert.rejects(disk.drive.resize(MIB / 2), {
      message: `${JSON.stringify(at('a.img'))} has ${MIB} bytes, and a disk in use can only grow`,
    });
    await assert.rejects(disk.drive.resize(2 * MIB + 1), /whole sectors: give a multiple of 512 bytes/);
    const readonly = machine({ path: file('b.img'), readonly: true });
    await assert.rejects(readonly.drive.resize(2 * MIB), /is read-only for this VM: it cannot be resized/);
  });
});

describe('another medium', () => {
  it('is read from then on, and the old one is closed', async () => {
    const disk = machine({ path: file('a.img') });
    disk.start();
    writeFileSync(at('b.img'), pattern(2 * MIB, 8));
    const changed = disk.drive.change(at('b.img'));
    disk.run();
    await changed;
    assert.deepEqual(read(disk, 0, SECTOR), pattern(SECTOR, 8));
    assert.equal(config(disk, 'capacity'), (2 * MIB) / SECTOR);
    assert.equal(disk.drive.path, at('b.img'));
    assert.ok(!openPaths().includes(at('a.img')));
  });

  it('that cannot be opened leaves all as it was', async () => {
    const disk = machine({ path: file('a.img') });
    disk.start();
    await assert.rejects(disk.drive.change(at('none.img')), UserError);
    assert.deepEqual(read(disk, 0, SECTOR), pattern(SECTOR));
  });
});

describe('an image that is not what it seems', () => {
  it('is refused before the VM starts, with what to do', () => {
    writeFileSync(at('copy.img'), 'QFI\xfb', 'latin1');
    truncateSync(at('copy.img'), MIB);
    assert.throws(() => new DiskMachine({ path: at('copy.img') }), {
      name: 'UserError',
      message: `${JSON.stringify(at('copy.img'))} looks like qcow2, which its name does not tell: say that its format is qcow2, or say that its format is raw`,
    });
    assert.ok(!openPaths().includes(at('copy.img')));
    machine({ path: at('copy.img'), format: 'raw' });
  });

  it('is refused when its disk has no sector', () => {
    const name = at('none.qcow2');
    createImage(name, { format: 'qcow2', sizeBytes: MIB });
    const image = readFileSync(name);
    image.writeBigUInt64BE(0n, QCOW2_SIZE);
    writeFileSync(name, image);
    const message = `${JSON.stringify(name)} is a disk of 0 bytes: give it a size with "vmm resize"`;
    assert.throws(() => new DiskMachine({ path: name }), { name: 'UserError', message });
    assert.ok(!openPaths().includes(name));
  });
});

/** Some file systems have no O_DIRECT. */
function noDirectIo(): string | false {
  try {
    new DiskMachine({ path: file('direct.img'), cache: 'none' }).close();
    return false;
  } catch (error) {
    return (error as Error).message;
  }
}
