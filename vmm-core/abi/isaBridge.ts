/** Intel's PIIX3 as a bridge to the ISA bus: datasheet 290550, §2.2. */
export const ISA_BRIDGE_IDS = { vendorId: 0x8086, deviceId: 0x7000, revisionId: 0, classCode: 0x06_0100 };
export const PIRQRC = 0x60; // to 63h: the ISA interrupt of PIRQA# to PIRQD#, bit 7: of none
