/** Compressed clusters: a raw deflate stream or a zstd frame, of which only the first cluster counts. */
import { Decompress } from 'fzstd';
import { createRequire } from 'node:module';
import type * as Zlib from 'node:zlib';

/** What QEMU reads: its window is 4 KiB. */
const WINDOW_BITS = 12;
const ZSTD_MAGIC = 0xfd2fb528;
/** What every decoder should take (RFC 8878 §3.1.1.1.2), and more than a cluster. */
const MAX_ZSTD_WINDOW_BYTES = 8 << 20;

export type Compression = 'zlib' | 'zstd';

let loadedZlib: typeof Zlib | undefined;

/** Throws when it does not unpack to `clusterBytes` bytes; what follows them is padding. */
export function unpackCluster(
  packed: Uint8Array,
  compression: Compression,
  clusterBytes: number,
): Uint8Array {
  const bytes = compression === 'zlib' ? inflate(packed, clusterBytes) : unzstd(packed, clusterBytes);
  return wholeCluster(bytes, clusterBytes);
}

/** The same by a thread of node's pool, where that can do it. */
export async function unpackClusterAhead(
  packed: Uint8Array,
  compression: Compression,
  clusterBytes: number,
): Promise<Uint8Array> {
  if (compression === 'zstd') return unpackCluster(packed, compression, clusterBytes);
  return wholeCluster(await inflateAhead(packed, clusterBytes), clusterBytes);
}

/** Undefined: it does not become smaller. */
export function packCluster(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    zlib().deflateRaw(bytes, { windowBits: WINDOW_BITS, memLevel: 9 }, (error, packed) => {
      if (error !== null) reject(error);
      else resolve(packed.length < bytes.length ? packed : undefined);
    });
  });
}

/** Loaded when it is needed: an I/O thread would start milliseconds later, and few images are compressed. */
function zlib(): typeof Zlib {
  loadedZlib ??= createRequire(import.meta.filename)('node:zlib') as typeof Zlib;
  return loadedZlib;
}

function wholeCluster(bytes: Uint8Array, clusterBytes: number): Uint8Array {
  if (bytes.length !== clusterBytes) throw new Error(`it unpacks to ${bytes.length} bytes`);
  return bytes;
}

function inflate(packed: Uint8Array, clusterBytes: number): Uint8Array {
  return zlib().inflateRawSync(packed, inflateOptions(clusterBytes));
}

function inflateAhead(packed: Uint8Array, clusterBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    zlib().inflateRaw(packed, inflateOptions(clusterBytes), (error, bytes) => {
      if (error !== null) reject(error);
      else resolve(bytes);
    });
  });
}

/** In one piece: else it would come in many, and be put together again. */
function inflateOptions(clusterBytes: number): Zlib.ZlibOptions {
  return { maxOutputLength: clusterBytes, chunkSize: clusterBytes };
}

function unzstd(packed: Uint8Array, clusterBytes: number): Uint8Array {
  assertSmallWindow(packed, clusterBytes);
  const cluster = new Uint8Array(clusterBytes);
  let length = 0;
  const stream = new Decompress((part) => {
    cluster.set(part, length); // throws when it is too long
    length += part.length;
  });
  try {
    stream.push(packed, true);
  } catch (error) {
    // the stream takes the padding for another frame
    if (length !== clusterBytes) throw error;
  }
  return cluster.subarray(0, length);
}

/** The library allocates the window that a frame's header asks for (RFC 8878 §3.1.1.1). */
function assertSmallWindow(packed: Uint8Array, clusterBytes: number): void {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (packed.length < 6 || view.getUint32(0, true) !== ZSTD_MAGIC) throw new Error('no zstd frame');
  const descriptor = view.getUint8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const windowBytes = isSingleSegment
    ? contentBytes(view, 5 + ([0, 1, 2, 4][descriptor & 3] ?? 0), descriptor >> 6)
    : windowSize(view.getUint8(5));
  if (windowBytes > Math.max(MAX_ZSTD_WINDOW_BYTES, clusterBytes))
    throw new Error(`a window of ${windowBytes} bytes`);
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function contentBytes(view: DataView, at: number, code: number): number {
  switch (code) {
    case 0:
      return view.getUint8(at);
    case 1:
      return view.getUint16(at, true) + 256;
    case 2:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}
