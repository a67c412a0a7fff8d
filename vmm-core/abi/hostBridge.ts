/** The bridge from the processors to PCI bus 0, as Intel's 440FX is one. PCI 3.0 §3.2.2.3.2: mechanism 1. */
export const PORT_CONFIG_ADDRESS = 0xcf8; // RW  32 bit
export const PORT_CONFIG_DATA = 0xcfc; // RW  8, 16, 32 bit
export const CONFIG_DATA_PORTS = 4;

// CONFIG_ADDRESS
export const CONFIG_ENABLE = 0x8000_0000;
export const CONFIG_BUS = 0x00ff_0000;
export const CONFIG_DEVFN_SHIFT = 8;
export const CONFIG_REGISTER = 0xfc;
export const CONFIG_BYTE = 3; // reserved; see hostBridge.ts
export const CONFIG_READABLE = 0x80ff_fffc; // the others are reserved, and read 0

export const HOST_BRIDGE_IDS = { vendorId: 0x8086, deviceId: 0x1237, revisionId: 0x02, classCode: 0x06_0000 };

// The enhanced mechanism, PCI Express 5.0 §7.2.2.
export const ECAM_DEVFN_SHIFT = 12;
export const ECAM_REGISTER = 0xfff;
