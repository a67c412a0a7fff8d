/**
 * Seeded requests to a disk of the machine, from its registers to a real file, while the host fails calls of
 * every kind: what the guest was told is written is there, at the time and when the disk is opened again, and
 * a qcow2 image stays sound.
 */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import {
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_WRITE_ZEROES,
} from '../../vmm-core/abi/virtioBlk.ts';
import { checkQcow2 } from '../../vmm-core/backends/disk/checkImage.ts';
import { createImage } from '../../vmm-core/backends/disk/createImage.ts';
import { HostFile } from '../../vmm-core/backends/disk/imageFile.ts';
import { DEFAULT_FORMAT } from '../../vmm-core/backends/disk/qcow2/formatQcow2.ts';
import type { DiskConfig } from '../../vmm-core/config/settings/diskOptions.ts';
import { type Fault, injectFaults } from '../../vmm-core/kvm/io/faults.ts';
import { header, rangeBytes } from './blkMachine.ts';
import { seededRandom } from './bytes.ts';
import { DiskMachine } from './diskMachine.ts';
import { PlannedFaults } from './ioFaults.ts';
import { readable, writable } from './mockDriver.ts';

const SECTOR = 512;
const STEPS = 40;
const MAX_SECTORS = 64;
const { EINTR, EIO, ENOSPC } = constants.errno;

export function diskRound(seed: number): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-disk-'));
  try {
    new DiskRound(seed, path.join(folder, 'disk')).run();
  } finally {
    injectFaults(undefined);
    rmSync(folder, { recursive: true });
  }
}

class DiskRound {
  readonly #random: () => number;
  readonly #disk: DiskConfig;
  readonly #sectors: number;
  readonly #content: Uint8Array;
  /** By sector: 1 where a request has failed, and anything may be. */
  readonly #isTorn: Uint8Array;
  readonly #hasFaults: boolean;

  constructor(seed: number, file: string) {
    this.#random = seededRandom(seed);
    this.#sectors = 64 + this.#below(1000);
    this.#hasFaults = this.#random() < 0.6;
    const format = this.#pick(['raw', 'qcow2', 'qcow2'] as const);
    const cache = this.#pick(['writeback', 'unsafe'] as const);
    this.#disk = { path: file, format, cache, discard: this.#random() < 0.7 };
    const clusterBytes = this.#pick([512, 4096, 65536]);
    const refcountBits = this.#pick([1, 16, 64]);
    createImage(file, {
      format,
      sizeBytes: this.#sectors * SECTOR,
      qcow2: { ...DEFAULT_FORMAT, clusterBytes, refcountBits },
    });
    this.#content = new Uint8Array(this.#sectors * SECTOR);
    this.#isTorn = new Uint8Array(this.#sectors);
  }

  run(): void {
    const machine = new DiskMachine(this.#disk);
    machine.start();
    if (this.#hasFaults) injectFaults(new PlannedFaults(() => this.#fault()));
    for (let step = 0; step < STEPS; step++) this.#step(machine);
    injectFaults(undefined);
    machine.close();
    this.#checkImage();
    // What could not be made durable may be gone, and the guest knows.
    if (machine.troubles.some((it) => /\bsync\b/.test(it))) return;
    const again = new DiskMachine({ ...this.#disk, readonly: true });
    again.start();
    for (let sector = 0; sector < this.#sectors; sector += MAX_SECTORS)
      this.#read(again, sector, Math.min(MAX_SECTORS, this.#sectors - sector));
    again.close();
  }

  #fault(): Fault | undefined {
    if (this.#random() >= 0.04) return undefined;
    return this.#pick([
      { errno: EINTR },
      { errno: EIO },
      { errno: ENOSPC },
      { shortBytes: this.#below(600) },
    ]);
  }

  #step(machine: DiskMachine): void {
    const sectors = 1 + this.#below(MAX_SECTORS);
    const sector = this.#below(this.#sectors - sectors + 1);
    const what = this.#random();
    if (what < 0.3) this.#read(machine, sector, sectors);
    else if (what < 0.7) this.#write(machine, sector, sectors);
    else if (what < 0.8) this.#flush(machine);
    else this.#erase(machine, sector, sectors, what < 0.9);
  }

  #read(machine: DiskMachine, sector: number, sectors: number): void {
    const request = [header(VIRTIO_BLK_T_IN, sector), writable(sectors * SECTOR), writable(1)];
    const { status, data } = machine.ask(...request);
    if (!this.#isGood(status)) return;
    for (let i = 0; i < sectors; i++) {
      if (this.#isTorn[sector + i] === 1) continue;
      const expected = this.#content.subarray((sector + i) * SECTOR, (sector + i + 1) * SECTOR);
      const found = data.subarray(i * SECTOR, (i + 1) * SECTOR);
      assert.ok(Buffer.compare(found, expected) === 0, `sector ${sector + i} is not what was written`);
    }
  }

  #write(machine: DiskMachine, sector: number, sectors: number): void {
    const mark = this.#below(256);
    const data = Uint8Array.from({ length: sectors * SECTOR }, (_, i) => (i * 7 + (i >> 9) + mark) & 0xff);
    const { status } = machine.ask(header(VIRTIO_BLK_T_OUT, sector), readable(data), writable(1));
    const isGood = this.#isGood(status);
    this.#isTorn.fill(isGood ? 0 : 1, sector, sector + sectors);
    if (isGood) this.#content.set(data, sector * SECTOR);
  }

  #flush(machine: DiskMachine): void {
    this.#isGood(machine.ask(header(VIRTIO_BLK_T_FLUSH), writable(1)).status);
  }

  /** What is discarded may be anything. */
  #erase(machine: DiskMachine, sector: number, sectors: number, isDiscard: boolean): void {
    if (isDiscard && this.#disk.discard !== true) return;
    const type = isDiscard ? VIRTIO_BLK_T_DISCARD : VIRTIO_BLK_T_WRITE_ZEROES;
    const flags = isDiscard ? 0 : this.#below(2);
    const ranges = readable(rangeBytes([{ sector, sectors, flags }]));
    const isGood = this.#isGood(machine.ask(header(type), ranges, writable(1)).status);
    this.#isTorn.fill(isGood && !isDiscard ? 0 : 1, sector, sector + sectors);
    this.#content.fill(0, sector * SECTOR, (sector + sectors) * SECTOR);
  }

  #isGood(status: number): boolean {
    if (status !== VIRTIO_BLK_S_OK) assert.ok(this.#hasFaults, 'a request failed and nothing was wrong');
    return status === VIRTIO_BLK_S_OK;
  }

  #checkImage(): void {
    if (this.#disk.format !== 'qcow2') return;
    const fd = openSync(this.#disk.path, 'r');
    try {
      const file = new HostFile({ fd, path: this.#disk.path, alignmentBytes: 1, isUnsafe: false });
      const { errors, problems } = checkQcow2(file, { repairsLeaks: false });
      assert.equal(errors, 0, problems.join('\n'));
    } finally {
      closeSync(fd);
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }
}
