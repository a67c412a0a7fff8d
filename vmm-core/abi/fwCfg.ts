/**
 * QEMU's firmware configuration device: docs/specs/fw_cfg.rst and hw/nvram/fw_cfg
 * (standard-headers/linux/qemu_fw_cfg.h).
 */
export const PORT_FW_CFG_SELECTOR = 0x510; // 16 bit; data at 0x511

// Offsets from PORT_FW_CFG_SELECTOR.
export const FW_CFG_SELECTOR = 0; // W   16 bit: the key of the item that is read
export const FW_CFG_DATA = 1; // R   8 bit: its next byte, 0 behind its end
export const FW_CFG_PORTS = 2;

export const FW_CFG_SIGNATURE = 0x00; // "QEMU"
export const FW_CFG_ID = 0x01; // u32, features
export const FW_CFG_VERSION = 1 << 0; // of FW_CFG_ID: the traditional interface; bit 1 would be DMA
export const FW_CFG_RAM_SIZE = 0x03; // u64
export const FW_CFG_NOGRAPHIC = 0x04; // u16
export const FW_CFG_NB_CPUS = 0x05; // u16
export const FW_CFG_MAX_CPUS = 0x0f; // u16: APIC ids are below this
export const FW_CFG_FILE_DIR = 0x19; // u32 count, big-endian, then the entries
