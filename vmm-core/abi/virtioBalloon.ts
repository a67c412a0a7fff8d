/** Virtio memory balloons, as <linux/virtio_balloon.h> spells them. Virtio 1.2 §5.5. */
import { struct, u16, u32, u64 } from './struct.ts';

// Feature bits, §5.5.3.
export const VIRTIO_BALLOON_F_STATS_VQ = 1;
export const VIRTIO_BALLOON_F_DEFLATE_ON_OOM = 2;
export const VIRTIO_BALLOON_F_REPORTING = 5; // F_PAGE_REPORTING in the text

/** A page of the balloon has 4 KiB, whatever the guest's have. */
export const VIRTIO_BALLOON_PFN_SHIFT = 12;

/** §5.5.4. */
export const VirtioBalloonConfig = struct('virtio_balloon_config', 16, {
  num_pages: u32(0), // that the driver shall give up
  actual: u32(4), // RW: that it has
  free_page_hint_cmd_id: u32(8),
  poison_val: u32(12), // RW
});

/** §5.5.6.3; the driver's buffer has an array of them, packed. */
export const VirtioBalloonStat = struct('virtio_balloon_stat', 10, {
  tag: u16(0),
  val: u64(2),
});

// Tags, §5.5.6.4.
export const VIRTIO_BALLOON_S_SWAP_IN = 0;
export const VIRTIO_BALLOON_S_SWAP_OUT = 1;
export const VIRTIO_BALLOON_S_MAJFLT = 2;
export const VIRTIO_BALLOON_S_MINFLT = 3;
export const VIRTIO_BALLOON_S_MEMFREE = 4;
export const VIRTIO_BALLOON_S_MEMTOT = 5;
export const VIRTIO_BALLOON_S_AVAIL = 6;
export const VIRTIO_BALLOON_S_CACHES = 7;
export const VIRTIO_BALLOON_S_HTLB_PGALLOC = 8;
export const VIRTIO_BALLOON_S_HTLB_PGFAIL = 9;
