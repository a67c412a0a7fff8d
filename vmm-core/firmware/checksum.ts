/**
 * The byte that makes the sum of all bytes zero, as ACPI and the MP specification want it; `bytes` has 0 in
 * its place.
 */
export function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}
