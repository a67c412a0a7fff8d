const CR = 0x0d;
const LF = 0x0a;

/**
 * Text as Telnet's NVT has it (RFC 764): a line ends with CR LF, and CR alone is CR NUL. `into` has room for
 * twice as much. Returns how many bytes there are.
 */
export function toNetascii(bytes: Uint8Array, into: Uint8Array): number {
  let at = 0;
  for (const byte of bytes) {
    if (byte === LF) into[at++] = CR;
    into[at++] = byte;
    if (byte === CR) into[at++] = 0;
  }
  return at;
}
