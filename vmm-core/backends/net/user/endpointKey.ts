/**
 * A number for an address and a port. Those of IPv4 are all different; those of IPv6 may meet, so that who
 * finds something by its key compares the address.
 */
export function endpointKey(bytes: Uint8Array, at: number, addressBytes: number, port: number): number {
  if (addressBytes === 4) return word(bytes, at) * 0x10000 + port;
  let hash = 0x811c9dc5; // FNV-1a
  for (let index = at; index < at + addressBytes; index++)
    hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
  return 2 ** 48 + (hash >>> 0) * 0x10000 + port;
}

function word(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16);
  return (high | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0;
}
