/** Domain names as DNS has them on the wire (RFC 1035 §3.1), one after the other, uncompressed. */
export function domainNames(names: readonly string[]): Uint8Array {
  const parts: number[] = [];
  for (const name of names) {
    for (const label of name.split('.').filter((it) => it !== '')) {
      const bytes = Buffer.from(label, 'latin1');
      parts.push(bytes.length, ...bytes);
    }
    parts.push(0);
  }
  return Uint8Array.from(parts);
}
