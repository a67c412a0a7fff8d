/** Registers of virtio over MMIO, version 2; virtio 1.2 §4.2.2. Names as in Linux's virtio_mmio.h. */

export const VIRTIO_MMIO_MAGIC_VALUE = 0x000; // R   "virt"
export const VIRTIO_MMIO_VERSION = 0x004; // R   2
export const VIRTIO_MMIO_DEVICE_ID = 0x008; // R   type of the device
export const VIRTIO_MMIO_VENDOR_ID = 0x00c; // R
export const VIRTIO_MMIO_DEVICE_FEATURES = 0x010; // R   32 of them
export const VIRTIO_MMIO_DEVICE_FEATURES_SEL = 0x014; // W   which 32
export const VIRTIO_MMIO_DRIVER_FEATURES = 0x020; // W
export const VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x024; // W
export const VIRTIO_MMIO_QUEUE_SEL = 0x030; // W   the queue that 0x034..0x0a4 are about
export const VIRTIO_MMIO_QUEUE_NUM_MAX = 0x034; // R   0: there is no such queue
export const VIRTIO_MMIO_QUEUE_NUM = 0x038; // W
export const VIRTIO_MMIO_QUEUE_READY = 0x044; // RW
export const VIRTIO_MMIO_QUEUE_NOTIFY = 0x050; // W   the queue's index
export const VIRTIO_MMIO_INTERRUPT_STATUS = 0x060; // R
export const VIRTIO_MMIO_INTERRUPT_ACK = 0x064; // W
export const VIRTIO_MMIO_STATUS = 0x070; // RW
export const VIRTIO_MMIO_QUEUE_DESC_LOW = 0x080; // W
export const VIRTIO_MMIO_QUEUE_DESC_HIGH = 0x084; // W
export const VIRTIO_MMIO_QUEUE_AVAIL_LOW = 0x090; // W
export const VIRTIO_MMIO_QUEUE_AVAIL_HIGH = 0x094; // W
export const VIRTIO_MMIO_QUEUE_USED_LOW = 0x0a0; // W
export const VIRTIO_MMIO_QUEUE_USED_HIGH = 0x0a4; // W
export const VIRTIO_MMIO_SHM_SEL = 0x0ac; // W
export const VIRTIO_MMIO_SHM_LEN_LOW = 0x0b0; // R   all ones: no such region
export const VIRTIO_MMIO_SHM_LEN_HIGH = 0x0b4; // R
export const VIRTIO_MMIO_SHM_BASE_LOW = 0x0b8; // R
export const VIRTIO_MMIO_SHM_BASE_HIGH = 0x0bc; // R
export const VIRTIO_MMIO_QUEUE_RESET = 0x0c0; // RW  not in the header yet
export const VIRTIO_MMIO_CONFIG_GENERATION = 0x0fc; // R
export const VIRTIO_MMIO_CONFIG = 0x100; // RW  device-specific

export const VIRTIO_MMIO_INT_VRING = 1 << 0; // used buffers were added
export const VIRTIO_MMIO_INT_CONFIG = 1 << 1; // the configuration space changed

/** "virt", little-endian. */
export const VIRTIO_MMIO_MAGIC = 0x74726976;
/** Of one device: registers and configuration space. */
export const VIRTIO_MMIO_BYTES = 0x1000;
