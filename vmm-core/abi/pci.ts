/**
 * A PCI function's configuration space: offsets and bits. PCI Local Bus 3.0 §6; names as in Linux's
 * pci_regs.h.
 */
export const PCI_CFG_SPACE_SIZE = 256;

// §6.1, type 00h
export const PCI_VENDOR_ID = 0x00; // R    16 bit
export const PCI_DEVICE_ID = 0x02; // R    16 bit
export const PCI_COMMAND = 0x04; // RW   16 bit
export const PCI_STATUS = 0x06; // R, RW1C 16 bit
export const PCI_CLASS_REVISION = 0x08; // R    24 bits of class, 8 of revision
export const PCI_CACHE_LINE_SIZE = 0x0c; // RW   8 bit
export const PCI_LATENCY_TIMER = 0x0d; // RW   8 bit
export const PCI_HEADER_TYPE = 0x0e; // R    8 bit
export const PCI_BASE_ADDRESS_0 = 0x10; // RW   32 bit
export const PCI_SUBSYSTEM_VENDOR_ID = 0x2c; // R    16 bit
export const PCI_SUBSYSTEM_ID = 0x2e; // R    16 bit
export const PCI_CAPABILITY_LIST = 0x34; // R    8 bit
export const PCI_INTERRUPT_LINE = 0x3c; // RW   8 bit
export const PCI_INTERRUPT_PIN = 0x3d; // R    8 bit
export const PCI_STD_HEADER_SIZEOF = 64;
export const PCI_STD_NUM_BARS = 6;

// PCI_COMMAND, §6.2.2
export const PCI_COMMAND_IO = 1 << 0;
export const PCI_COMMAND_MEMORY = 1 << 1;
export const PCI_COMMAND_MASTER = 1 << 2;
export const PCI_COMMAND_PARITY = 1 << 6;
export const PCI_COMMAND_SERR = 1 << 8;
export const PCI_COMMAND_INTX_DISABLE = 1 << 10;

// PCI_STATUS, §6.2.3
export const PCI_STATUS_INTERRUPT = 1 << 3; // R
export const PCI_STATUS_CAP_LIST = 1 << 4; // R
export const PCI_STATUS_PARITY = 1 << 8; // RW1C
export const PCI_STATUS_SIG_TARGET_ABORT = 1 << 11; // RW1C
export const PCI_STATUS_REC_TARGET_ABORT = 1 << 12; // RW1C
export const PCI_STATUS_REC_MASTER_ABORT = 1 << 13; // RW1C
export const PCI_STATUS_SIG_SYSTEM_ERROR = 1 << 14; // RW1C
export const PCI_STATUS_DETECTED_PARITY = 1 << 15; // RW1C

// PCI_HEADER_TYPE
export const PCI_HEADER_TYPE_MFD = 0x80; // other functions have the same device number

// PCI_BASE_ADDRESS_x, §6.2.5.1
export const PCI_BASE_ADDRESS_SPACE_IO = 0x01;
export const PCI_BASE_ADDRESS_MEM_TYPE_64 = 0x04;

// Capabilities, §6.7 and appendix H
export const PCI_CAP_LIST_ID = 0; // R    8 bit
export const PCI_CAP_LIST_NEXT = 1; // R    8 bit
export const PCI_CAP_SIZEOF = 4; // they start at multiples of it
export const PCI_CAP_ID_VNDR = 0x09;
export const PCI_CAP_ID_MSIX = 0x11;

// MSI-X capability, §6.8.2
export const PCI_CAP_MSIX_SIZEOF = 12;
export const PCI_MSIX_FLAGS = 2; // RW   16 bit, Message Control
export const PCI_MSIX_FLAGS_QSIZE = 0x07ff; // R    entries of the table, less one
export const PCI_MSIX_FLAGS_MASKALL = 0x4000;
export const PCI_MSIX_FLAGS_ENABLE = 0x8000;
export const PCI_MSIX_TABLE = 4; // R    32 bit, offset and BAR
export const PCI_MSIX_PBA = 8; // R    32 bit, offset and BAR

// MSI-X table entries, §6.8.2.6 to §6.8.2.9
export const PCI_MSIX_ENTRY_SIZE = 16;
export const PCI_MSIX_ENTRY_LOWER_ADDR = 0;
export const PCI_MSIX_ENTRY_UPPER_ADDR = 4;
export const PCI_MSIX_ENTRY_DATA = 8;
export const PCI_MSIX_ENTRY_VECTOR_CTRL = 12;
export const PCI_MSIX_ENTRY_CTRL_MASKBIT = 0x0000_0001;
