/** Reads a ZIP archive: just what a VSIX needs (APPNOTE.TXT 6.3.3, §4.3; no ZIP64, no encryption). */
import { inflateRawSync } from 'node:zlib';

const END_OF_DIRECTORY = 0x06054b50; // §4.3.16
const END_OF_DIRECTORY_BYTES = 22;
const DIRECTORY_ENTRY = 0x02014b50; // §4.3.12
const DIRECTORY_ENTRY_BYTES = 46;
const LOCAL_HEADER_BYTES = 30; // §4.3.7
const DEFLATED = 8;

/** Path -> contents of every file. */
export function unzip(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const end = archive.lastIndexOf(uint32(END_OF_DIRECTORY), archive.length - END_OF_DIRECTORY_BYTES);
  if (end < 0) throw new Error('not a ZIP archive: no end of central directory');
  const entries = archive.readUInt16LE(end + 10);
  let at = archive.readUInt32LE(end + 16);
  for (let i = 0; i < entries; i++) {
    if (archive.readUInt32LE(at) !== DIRECTORY_ENTRY)
      throw new Error(`no directory entry at 0x${at.toString(16)}`);
    const nameBytes = archive.readUInt16LE(at + 28);
    const name = archive.toString('utf8', at + DIRECTORY_ENTRY_BYTES, at + DIRECTORY_ENTRY_BYTES + nameBytes);
    if (!name.endsWith('/')) files.set(name, contents(archive, at));
    at += DIRECTORY_ENTRY_BYTES + nameBytes + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  return files;
}

function contents(archive: Buffer, entry: number): Buffer {
  const method = archive.readUInt16LE(entry + 10);
  const packedBytes = archive.readUInt32LE(entry + 20);
  const local = archive.readUInt32LE(entry + 42);
  // The local header's own lengths: its extra field may differ from the directory's.
  const start =
    local + LOCAL_HEADER_BYTES + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
  const packed = archive.subarray(start, start + packedBytes);
  return method === DEFLATED ? inflateRawSync(packed) : packed;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
