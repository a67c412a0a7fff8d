/**
 * OpenBSD's VM control interface, vmmci(4): a PCI function of OpenBSD's own with the registers of virtio 0.9
 * (virtioPci.ts), no queues, and these in its configuration space. Names are those of sys/dev/pv/vmmci.c.
 */

export const PCI_VENDOR_OPENBSD = 0x0b5d;
export const PCI_PRODUCT_OPENBSD_CONTROL = 0x0777;
/** Its type, by which drivers of virtio know it: the subsystem id. */
export const PCI_PRODUCT_VIRTIO_VMMCI = 0xffff;

// Feature bit numbers.
export const VMMCI_F_TIMESYNC = 0; // it tells the host's time
export const VMMCI_F_ACK = 1; // the driver writes back the command that it obeys

// From the start of the configuration space.
export const VMMCI_CONFIG_COMMAND = 0; // RW  32 bits
export const VMMCI_CONFIG_TIME_SEC = 4; // R   64 bits, since 1970; reading its low half takes the time
export const VMMCI_CONFIG_TIME_USEC = 12; // R   64 bits
export const VMMCI_CONFIG_BYTES = 20;

// Commands.
export const VMMCI_NONE = 0;
export const VMMCI_SHUTDOWN = 1;
export const VMMCI_REBOOT = 2;
