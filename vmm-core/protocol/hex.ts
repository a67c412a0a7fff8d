/** `0x…` lower-case hex, up to 64 bits: how addresses and register values travel. */
export type Hex = string;

export function hex(value: bigint | number): Hex {
  return `0x${value.toString(16)}`;
}

/** Registers by name. */
export function hexValues(values: Readonly<Record<string, bigint>>): Record<string, Hex> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, hex(value)]));
}
