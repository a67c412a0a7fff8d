/**
 * The image of a CD-ROM with files in its root: ISO 9660 (ECMA-119), as plain as a file system can be. Names
 * are those of level 1, with their version: "HELLO.TXT;1".
 */

const BLOCK = 2048;
const VOLUME_BLOCK = 16;
const PATH_TABLES_BLOCK = 18; // the little-endian one, then the other
const ROOT_BLOCK = 20;
const DIRECTORY = 2;

export function isoImage(files: Readonly<Record<string, Uint8Array>>): Buffer {
  let next = ROOT_BLOCK + 1;
  const placed = Object.entries(files).map(([name, data]) => {
    const block = next;
    next += Math.ceil(data.length / BLOCK);
    return { name, data, block };
  });
  const image = Buffer.alloc(next * BLOCK);
  const own = record('\0', ROOT_BLOCK, BLOCK, DIRECTORY);
  const parent = record('\x01', ROOT_BLOCK, BLOCK, DIRECTORY);
  const entries = placed.map(({ name, data, block }) => record(name, block, data.length, 0));
  Buffer.concat([own, parent, ...entries]).copy(image, ROOT_BLOCK * BLOCK);
  for (const { data, block } of placed) image.set(data, block * BLOCK);
  writeVolume(image.subarray(VOLUME_BLOCK * BLOCK), next, own);
  const terminator = image.subarray((VOLUME_BLOCK + 1) * BLOCK);
  terminator[0] = 255;
  terminator.write('CD001\x01', 1, 'latin1');
  writePathTable(image.subarray(PATH_TABLES_BLOCK * BLOCK), false);
  writePathTable(image.subarray((PATH_TABLES_BLOCK + 1) * BLOCK), true);
  return image;
}

/** §8.4, the primary volume descriptor. */
function writeVolume(into: Buffer, blocks: number, root: Buffer): void {
  into[0] = 1;
  into.write('CD001\x01', 1, 'latin1');
  into.fill(' ', 8, 72);
  into.write('LAB', 40, 'latin1');
  both32(into, 80, blocks);
  both16(into, 120, 1); // volumes in the set
  both16(into, 124, 1); // which this is
  both16(into, 128, BLOCK);
  both32(into, 132, 10); // bytes of a path table
  into.writeUInt32LE(PATH_TABLES_BLOCK, 140);
  into.writeUInt32BE(PATH_TABLES_BLOCK + 1, 148);
  root.copy(into, 156);
  into.fill(' ', 190, 813);
  into[881] = 1;
}

/** §9.4: the root alone. */
function writePathTable(into: Buffer, isBigEndian: boolean): void {
  into[0] = 1;
  if (isBigEndian) into.writeUInt32BE(ROOT_BLOCK, 2);
  else into.writeUInt32LE(ROOT_BLOCK, 2);
  if (isBigEndian) into.writeUInt16BE(1, 6);
  else into.writeUInt16LE(1, 6);
}

/** §9.1, of a directory. */
function record(name: string, block: number, lengthBytes: number, flags: number): Buffer {
  const bytes = Buffer.alloc(33 + name.length + ((name.length + 1) % 2));
  bytes[0] = bytes.length;
  both32(bytes, 2, block);
  both32(bytes, 10, lengthBytes);
  bytes.set([126, 11, 30, 12, 0, 0, 0], 18); // 30 November 2026
  bytes[25] = flags;
  both16(bytes, 28, 1);
  bytes[32] = name.length;
  bytes.write(name, 33, 'latin1');
  return bytes;
}

function both16(into: Buffer, at: number, value: number): void {
  into.writeUInt16LE(value, at);
  into.writeUInt16BE(value, at + 2);
}

function both32(into: Buffer, at: number, value: number): void {
  into.writeUInt32LE(value, at);
  into.writeUInt32BE(value, at + 4);
}
