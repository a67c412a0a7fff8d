/** Status bits and reserved feature bits, virtio 1.2 §2.1 and §6; names as in Linux's virtio_config.h. */

export const VIRTIO_CONFIG_S_ACKNOWLEDGE = 1; // the guest has seen the device
export const VIRTIO_CONFIG_S_DRIVER = 2; // and has a driver for it
export const VIRTIO_CONFIG_S_DRIVER_OK = 4; // which is ready
export const VIRTIO_CONFIG_S_FEATURES_OK = 8; // features are negotiated
export const VIRTIO_CONFIG_S_NEEDS_RESET = 0x40; // set by the device: it cannot go on
export const VIRTIO_CONFIG_S_FAILED = 0x80; // the driver has given up

// Feature bit numbers.
export const VIRTIO_F_NOTIFY_ON_EMPTY = 24; // legacy only
export const VIRTIO_F_ANY_LAYOUT = 27; // legacy only
export const VIRTIO_F_VERSION_1 = 32;
export const VIRTIO_F_ACCESS_PLATFORM = 33;
export const VIRTIO_F_RING_PACKED = 34;
export const VIRTIO_F_IN_ORDER = 35;
export const VIRTIO_F_RING_RESET = 40;
