/** Virtio block devices, as <linux/virtio_blk.h> spells them. Virtio 1.2 §5.2. */
import { struct, u16, u32, u64, u8 } from './struct.ts';

// Feature bits, §5.2.3.
export const VIRTIO_BLK_F_SEG_MAX = 2;
export const VIRTIO_BLK_F_RO = 5;
export const VIRTIO_BLK_F_BLK_SIZE = 6;
export const VIRTIO_BLK_F_FLUSH = 9;
export const VIRTIO_BLK_F_TOPOLOGY = 10;
export const VIRTIO_BLK_F_CONFIG_WCE = 11;
export const VIRTIO_BLK_F_MQ = 12;
export const VIRTIO_BLK_F_DISCARD = 13;
export const VIRTIO_BLK_F_WRITE_ZEROES = 14;

/** §5.2.4. The header's `wce` is `writeback` in the text. */
export const VirtioBlkConfig = struct('virtio_blk_config', 72, {
  capacity: u64(0), // in sectors of 512 bytes, whatever blk_size is
  size_max: u32(8),
  seg_max: u32(12),
  blk_size: u32(20),
  physical_block_exp: u8(24), // log2 of logical blocks in a physical one
  alignment_offset: u8(25),
  min_io_size: u16(26), // in logical blocks, as opt_io_size
  opt_io_size: u32(28),
  wce: u8(32), // RW
  num_queues: u16(34),
  max_discard_sectors: u32(36),
  max_discard_seg: u32(40),
  discard_sector_alignment: u32(44),
  max_write_zeroes_sectors: u32(48),
  max_write_zeroes_seg: u32(52),
  write_zeroes_may_unmap: u8(56),
});

/** The driver's part of a request, §5.2.6; its data and the status byte follow. */
export const VirtioBlkOuthdr = struct('virtio_blk_outhdr', 16, {
  type: u32(0),
  ioprio: u32(4),
  sector: u64(8),
});

// Types.
export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_FLUSH = 4;
export const VIRTIO_BLK_T_GET_ID = 8;
export const VIRTIO_BLK_T_DISCARD = 11;
export const VIRTIO_BLK_T_WRITE_ZEROES = 13;

export const VIRTIO_BLK_ID_BYTES = 20;

/** A range to discard or to zero; a request has an array of them. */
export const VirtioBlkDiscardWriteZeroes = struct('virtio_blk_discard_write_zeroes', 16, {
  sector: u64(0),
  num_sectors: u32(8),
  flags: u32(12),
});
export const VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP = 0x00000001;

// The status byte.
export const VIRTIO_BLK_S_OK = 0;
export const VIRTIO_BLK_S_IOERR = 1;
export const VIRTIO_BLK_S_UNSUPP = 2;
