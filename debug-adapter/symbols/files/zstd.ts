/**
 * Zstandard (RFC 8878) that produces no more than allowed. The library has no limit, so frames are checked
 * before they are given to it: a block's output is of known size or at most 128 KiB.
 */
import { decompress } from 'fzstd';
import { xxHash64 } from './xxHash64.ts';

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50; // to …5f
const MAX_BLOCK_BYTES = 1 << 17;
/** What every decoder should take (§3.1.1.1.2), and the most that zstd's own program takes by default. */
const USUAL_WINDOW_BYTES = 1 << 23;
const MAX_WINDOW_BYTES = 1 << 27;
/** Compressors make blocks of 128 KiB, and split some into parts of about this size. */
const SMALL_BLOCK_BYTES = 1 << 11;
const FEW_BLOCKS = 64;
/** Kernel modules are far smaller. Checking more would take longer than unpacking it. */
const MAX_CHECKED_BYTES = 1 << 26;

const BLOCK = { raw: 0, rle: 1, compressed: 2 } as const;

interface Frame {
  readonly end: number;
  /** Undefined for what a skippable frame has. */
  readonly contentBytes: number | undefined;
  readonly isSkippable: boolean;
  readonly windowBytes: number;
  /** Bytes of blocks that are stored as they are or repeat one byte, and the number of all blocks. */
  readonly plainBytes: number;
  readonly blocks: number;
  /** The library does not check it. */
  readonly checksum: number | undefined;
}

/**
 * At most `maxBytes`, of however many frames: linkers that compress in parallel leave several. Throws for
 * more, and for broken data.
 */
export function unzstd(compressed: Uint8Array, maxBytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let left = maxBytes;
  for (let at = 0; at < compressed.length;) {
    const frame = readFrame(compressed, at);
    if (!frame.isSkippable) {
      checkFrame(frame, left);
      const part = decompress(compressed.subarray(at, frame.end));
      if (part.length > left) throw tooLarge(maxBytes);
      if (frame.checksum !== undefined && part.length <= MAX_CHECKED_BYTES)
        checkContent(part, frame.checksum);
      left -= part.length;
      parts.push(part);
    }
    at = frame.end;
  }
  return parts.length === 1 ? (parts[0] as Uint8Array) : joined(parts);
}

function checkFrame({ contentBytes, windowBytes, plainBytes, blocks }: Frame, left: number): void {
  if (Math.max(contentBytes ?? 0, plainBytes) > left) throw tooLarge(left);
  if (blocks > FEW_BLOCKS + left / SMALL_BLOCK_BYTES) throw tooLarge(left);
  // Each block costs a move of the window.
  const maxWindowBytes = Math.max(USUAL_WINDOW_BYTES, Math.min(MAX_WINDOW_BYTES, 4 * left));
  if (contentBytes === undefined && windowBytes > maxWindowBytes)
    throw new Error(`a window of ${windowBytes} bytes for at most ${left}`);
}

/** §3.1.1 "Content_Checksum": the low 4 bytes. */
function checkContent(content: Uint8Array, checksum: number): void {
  if (Number(BigInt.asUintN(32, xxHash64(content))) !== checksum) throw new Error('wrong checksum');
}

function tooLarge(maxBytes: number): Error {
  return new Error(`more than ${maxBytes} bytes`);
}

/** §3.1.1, §3.1.2 */
function readFrame(data: Uint8Array, start: number): Frame {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const magic = view.getUint32(start, true);
  if ((magic & ~0xf) >>> 0 === SKIPPABLE_MAGIC) {
    const end = start + 8 + view.getUint32(start + 4, true);
    const nothing = {
      contentBytes: undefined,
      windowBytes: 0,
      plainBytes: 0,
      blocks: 0,
      checksum: undefined,
    };
    return { ...nothing, end, isSkippable: true };
  }
  if (magic !== MAGIC) throw new Error('no zstd frame');
  const descriptor = view.getUint8(start + 4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  let at = start + 5;
  const windowDescriptor = isSingleSegment ? undefined : view.getUint8(at++);
  at += [0, 1, 2, 4][descriptor & 3] ?? 0; // dictionary
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const contentBytes = contentSize(view, at, sizeBytes);
  const blocks = readBlocks(data, at + sizeBytes);
  const hasChecksum = (descriptor & 4) !== 0;
  return {
    ...blocks,
    end: blocks.end + (hasChecksum ? 4 : 0),
    checksum: hasChecksum ? view.getUint32(blocks.end, true) : undefined,
    isSkippable: false,
    contentBytes,
    windowBytes: windowDescriptor === undefined ? (contentBytes ?? 0) : windowSize(windowDescriptor),
  };
}

function contentSize(view: DataView, at: number, sizeBytes: number): number | undefined {
  switch (sizeBytes) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true) + 256;
    case 4:
      return view.getUint32(at, true);
    case 8:
      return Number(view.getBigUint64(at, true));
    default:
      return undefined;
  }
}

/** §3.1.1.1.2 */
function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** §3.1.1.2: three bytes each, then the content. */
function readBlocks(data: Uint8Array, start: number): Pick<Frame, 'end' | 'plainBytes' | 'blocks'> {
  let plainBytes = 0;
  let blocks = 0;
  for (let at = start; ;) {
    if (at + 3 > data.length) throw new Error('a frame is cut short');
    const header = (data[at] as number) | ((data[at + 1] as number) << 8) | ((data[at + 2] as number) << 16);
    const type = (header >> 1) & 3;
    const sizeBytes = header >> 3;
    if (type > BLOCK.compressed || sizeBytes > MAX_BLOCK_BYTES) throw new Error('a broken block');
    at += 3 + (type === BLOCK.rle ? 1 : sizeBytes);
    if (type !== BLOCK.compressed) plainBytes += sizeBytes;
    blocks++;
    if ((header & 1) !== 0) return { end: at, plainBytes, blocks };
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, it) => sum + it.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
