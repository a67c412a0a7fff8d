/** Virtio over PCI, virtio 1.2 §4.1; names as in Linux's virtio_pci.h. */

export const PCI_VENDOR_ID_REDHAT_QUMRANET = 0x1af4;
/** §4.1.2: the device id of a modern device is this and its type. */
export const VIRTIO_PCI_MODERN_ID = 0x1040;

// The legacy interface: ports from BAR 0 on, §4.1.4.10.
export const VIRTIO_PCI_HOST_FEATURES = 0; // R   32 bits
export const VIRTIO_PCI_GUEST_FEATURES = 4; // RW
export const VIRTIO_PCI_QUEUE_PFN = 8; // RW  0: the queue is not in use
export const VIRTIO_PCI_QUEUE_NUM = 12; // R   16 bits
export const VIRTIO_PCI_QUEUE_SEL = 14; // RW
export const VIRTIO_PCI_QUEUE_NOTIFY = 16; // RW
export const VIRTIO_PCI_STATUS = 18; // RW  8 bits
export const VIRTIO_PCI_ISR = 19; // R   clears it, and the interrupt pin
export const VIRTIO_MSI_CONFIG_VECTOR = 20; // RW  16 bits, this and the next only while MSI-X is enabled
export const VIRTIO_MSI_QUEUE_VECTOR = 22; // RW
export const VIRTIO_PCI_QUEUE_ADDR_SHIFT = 12;
export const VIRTIO_PCI_VRING_ALIGN = 4096;

export const VIRTIO_PCI_ISR_QUEUE = 0x1;
export const VIRTIO_PCI_ISR_CONFIG = 0x2;
export const VIRTIO_MSI_NO_VECTOR = 0xffff;

// Types of capabilities, §4.1.4.
export const VIRTIO_PCI_CAP_COMMON_CFG = 1;
export const VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
export const VIRTIO_PCI_CAP_ISR_CFG = 3;
export const VIRTIO_PCI_CAP_DEVICE_CFG = 4;
export const VIRTIO_PCI_CAP_PCI_CFG = 5;

// struct virtio_pci_cap: offsets in a capability.
export const VIRTIO_PCI_CAP_VNDR = 0;
export const VIRTIO_PCI_CAP_NEXT = 1;
export const VIRTIO_PCI_CAP_LEN = 2;
export const VIRTIO_PCI_CAP_CFG_TYPE = 3;
export const VIRTIO_PCI_CAP_BAR = 4;
export const VIRTIO_PCI_CAP_OFFSET = 8;
export const VIRTIO_PCI_CAP_LENGTH = 12;
export const VIRTIO_PCI_NOTIFY_CAP_MULT = 16; // NOTIFY_CFG only
export const VIRTIO_PCI_CAP_PCI_CFG_DATA = 16; // PCI_CFG only

// struct virtio_pci_common_cfg, §4.1.4.3.
export const VIRTIO_PCI_COMMON_DFSELECT = 0; // RW
export const VIRTIO_PCI_COMMON_DF = 4; // R
export const VIRTIO_PCI_COMMON_GFSELECT = 8; // RW
export const VIRTIO_PCI_COMMON_GF = 12; // RW
export const VIRTIO_PCI_COMMON_MSIX = 16; // RW  16 bits
export const VIRTIO_PCI_COMMON_NUMQ = 18; // R   16 bits
export const VIRTIO_PCI_COMMON_STATUS = 20; // RW  8 bits
export const VIRTIO_PCI_COMMON_CFGGENERATION = 21; // R   8 bits
export const VIRTIO_PCI_COMMON_Q_SELECT = 22; // RW  16 bits, as the next four
export const VIRTIO_PCI_COMMON_Q_SIZE = 24; // RW  0: there is no such queue
export const VIRTIO_PCI_COMMON_Q_MSIX = 26; // RW
export const VIRTIO_PCI_COMMON_Q_ENABLE = 28; // RW
export const VIRTIO_PCI_COMMON_Q_NOFF = 30; // R
export const VIRTIO_PCI_COMMON_Q_DESCLO = 32; // RW  64 bits, as the next two
export const VIRTIO_PCI_COMMON_Q_DESCHI = 36;
export const VIRTIO_PCI_COMMON_Q_AVAILLO = 40;
export const VIRTIO_PCI_COMMON_Q_AVAILHI = 44;
export const VIRTIO_PCI_COMMON_Q_USEDLO = 48;
export const VIRTIO_PCI_COMMON_Q_USEDHI = 52;
export const VIRTIO_PCI_COMMON_Q_NDATA = 56; // R   16 bits
export const VIRTIO_PCI_COMMON_Q_RESET = 58; // RW  16 bits
/** Bytes of the struct. */
export const VIRTIO_PCI_COMMON_BYTES = 60;
