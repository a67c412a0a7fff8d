/** `0x…` lower-case hex, up to 64 bits: how addresses and register values travel. */
export type Hex = string;
