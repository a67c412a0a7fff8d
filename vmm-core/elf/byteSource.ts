/**
 * Random access to the bytes of a file, whatever holds them: the programs implement it over fs, tests over
 * arrays.
 */
export interface ByteSource {
  /** For messages: the path the user gave. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Fills `target` from `offset`. Throws RangeError when the range is not inside the source. */
  readInto(offset: number, target: Uint8Array): void;
}

export function readBytes(source: ByteSource, offset: number, lengthBytes: number): Uint8Array {
  if (lengthBytes > source.sizeBytes)
    throw new RangeError(`${source.name}: read past the end at 0x${offset.toString(16)}`);
  const bytes = new Uint8Array(lengthBytes);
  source.readInto(offset, bytes);
  return bytes;
}

/** A ByteSource over bytes in memory. */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    sizeBytes: bytes.length,
    readInto(offset, target) {
      if (!(offset >= 0 && offset + target.length <= bytes.length)) {
        throw new RangeError(`${name}: read past the end at 0x${offset.toString(16)}`);
      }
      target.set(bytes.subarray(offset, offset + target.length));
    },
  };
}
