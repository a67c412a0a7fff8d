/** The configuration space of a block device, virtio 1.2 §5.2.4. */
import { VIRTIO_BLK_ID_BYTES, VirtioBlkConfig } from '../../../abi/virtioBlk.ts';
import { type DiskImage, SECTOR_BYTES } from '../../../backends/disk/diskImage.ts';
import type { Decoded } from '../../../protocol/devices.ts';
import {
  MAX_DISCARD_SECTORS,
  MAX_DISCARD_SEG,
  MAX_WRITE_ZEROES_SECTORS,
  MAX_WRITE_ZEROES_SEG,
} from './sectorRanges.ts';

export const QUEUE_SIZE = 256;

/** The header and the status have a descriptor each. */
const SEG_MAX = QUEUE_SIZE - 2;
/** What most disks and file systems write at a time, and the host's page cache has. */
const PHYSICAL_BLOCK_EXP = 3;
const WRITEBACK = 1;

export interface BlkFeatures {
  readonly queues: number;
  readonly discards: boolean;
}

/**
 * Of a disk with that image, as it is when the driver comes. A block is 512 bytes whatever the host's disk
 * has, or partitions would lie elsewhere after the disk has moved.
 */
export function configOf(
  { sizeBytes, clusterBytes }: Pick<DiskImage, 'sizeBytes' | 'clusterBytes'>,
  { queues, discards }: BlkFeatures,
): Uint8Array {
  return VirtioBlkConfig.bytes({
    capacity: BigInt(sizeBytes / SECTOR_BYTES),
    seg_max: SEG_MAX,
    blk_size: SECTOR_BYTES,
    physical_block_exp: PHYSICAL_BLOCK_EXP,
    min_io_size: 1 << PHYSICAL_BLOCK_EXP,
    opt_io_size: clusterBytes / SECTOR_BYTES,
    wce: WRITEBACK,
    num_queues: queues,
    max_discard_sectors: MAX_DISCARD_SECTORS,
    max_discard_seg: MAX_DISCARD_SEG,
    discard_sector_alignment: clusterBytes / SECTOR_BYTES,
    max_write_zeroes_sectors: MAX_WRITE_ZEROES_SECTORS,
    max_write_zeroes_seg: MAX_WRITE_ZEROES_SEG,
    write_zeroes_may_unmap: discards ? 1 : 0,
  });
}

export function capacityOf(config: Uint8Array): number {
  return Number(viewOf(config).getBigUint64(VirtioBlkConfig.fields.capacity.offset, true)) * SECTOR_BYTES;
}

/** For the inspector, by the names of the header. */
export function decodeConfig(config: Uint8Array): Decoded {
  const values = Object.entries(VirtioBlkConfig.read(viewOf(config.slice())));
  return Object.fromEntries(values.map(([name, value]) => [name, Number(value)]));
}

/** What depends on the medium, from the configuration of another; what the driver has chosen stays. */
export function setMedium(config: Uint8Array, medium: Uint8Array): void {
  const { capacity, opt_io_size, discard_sector_alignment } = VirtioBlkConfig.fields;
  for (const { offset, lengthBytes } of [capacity, opt_io_size, discard_sector_alignment])
    config.set(medium.subarray(offset, offset + lengthBytes), offset);
}

export function isWriteback(config: Uint8Array): boolean {
  return config[VirtioBlkConfig.fields.wce.offset] === WRITEBACK;
}

export function setWriteback(config: Uint8Array, isOn: boolean): void {
  config[VirtioBlkConfig.fields.wce.offset] = isOn ? WRITEBACK : 0;
}

/** `writeback` is all that a driver may write, and only 0 or 1 (§5.2.5). */
export function writeConfig(config: Uint8Array, offset: number, sizeBytes: number, value: number): void {
  if (offset !== VirtioBlkConfig.fields.wce.offset || sizeBytes !== 1 || value > WRITEBACK) return;
  setWriteback(config, value === WRITEBACK);
}

/** The serial number, as GET_ID gives it. */
export function idBytes(serial: string): Uint8Array {
  const id = new Uint8Array(VIRTIO_BLK_ID_BYTES);
  new TextEncoder().encodeInto(serial, id);
  return id;
}

function viewOf(config: Uint8Array): DataView {
  return new DataView(config.buffer, config.byteOffset, config.byteLength);
}
