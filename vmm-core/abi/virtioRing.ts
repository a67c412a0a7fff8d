/** The split virtqueue, virtio 1.2 §2.7; names as in Linux's virtio_ring.h. */

// Flags of a descriptor.
export const VRING_DESC_F_NEXT = 1; // `next` is valid
export const VRING_DESC_F_WRITE = 2; // the device writes the buffer; it reads the others
export const VRING_DESC_F_INDIRECT = 4; // the buffer is a table of descriptors

export const VRING_AVAIL_F_NO_INTERRUPT = 1;
export const VRING_USED_F_NO_NOTIFY = 1;

// Feature bit numbers.
export const VIRTIO_RING_F_INDIRECT_DESC = 28;
export const VIRTIO_RING_F_EVENT_IDX = 29;

export const VRING_DESC_ALIGN_SIZE = 16;
export const VRING_AVAIL_ALIGN_SIZE = 2;
export const VRING_USED_ALIGN_SIZE = 4;

/** Of struct vring_desc: addr u64, len u32, flags u16, next u16. */
export const VRING_DESC_BYTES = 16;
/** Of struct vring_used_elem: id u32, len u32. */
export const VRING_USED_ELEM_BYTES = 8;
/** Of struct vring_avail and struct vring_used before their rings: flags u16, idx u16. */
export const VRING_HEADER_BYTES = 4;
