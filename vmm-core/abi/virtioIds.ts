/** Virtio device types, virtio 1.2 §5; names as in Linux's virtio_ids.h. */

export const VIRTIO_ID_NET = 1;
export const VIRTIO_ID_BLOCK = 2;
export const VIRTIO_ID_CONSOLE = 3;
export const VIRTIO_ID_RNG = 4;
export const VIRTIO_ID_BALLOON = 5;
export const VIRTIO_ID_SCSI = 8;
export const VIRTIO_ID_9P = 9;
export const VIRTIO_ID_VSOCK = 19;

/** §4.1.2: PCI device ids of drivers that know virtio 0.9 only. Types that are not here have none. */
export const VIRTIO_TRANS_ID_NET = 0x1000;
export const VIRTIO_TRANS_ID_BLOCK = 0x1001;
export const VIRTIO_TRANS_ID_BALLOON = 0x1002;
export const VIRTIO_TRANS_ID_CONSOLE = 0x1003;
export const VIRTIO_TRANS_ID_SCSI = 0x1004;
export const VIRTIO_TRANS_ID_RNG = 0x1005;
export const VIRTIO_TRANS_ID_9P = 0x1009;
