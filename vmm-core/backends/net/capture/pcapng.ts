/**
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng), in the byte order of the host. Times are nanoseconds
 * since 1970, in two halves. Pure.
 */
const BLOCK = { SECTION: 0x0a0d0d0a, INTERFACE: 1, STATISTICS: 5, PACKET: 6 } as const; // §4
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;

// Options; numbers count for the kind of block (§3.5, §4.1 to §4.6).
const OPT_ENDOFOPT = 0;
const OPT_COMMENT = 1;
const SHB_HARDWARE = 2;
const SHB_OS = 3;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_MACADDR = 6;
const IF_TSRESOL = 9;
const EPB_FLAGS = 2;
const ISB_STARTTIME = 2;
const ISB_ENDTIME = 3;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;

const NANOSECONDS = 9; // as a power of ten
/** epb_flags: bits 0 and 1. */
const INBOUND = 1;
const OUTBOUND = 2;

const TWO_32 = 2 ** 32;
const OPTION_HEADER_BYTES = 4;
/** Type and length, and the length again at the end. */
const BLOCK_FRAME_BYTES = 12;
/** Interface, time, both lengths. */
const PACKET_HEADER_BYTES = 28;
const PACKET_OPTIONS_BYTES = 2 * OPTION_HEADER_BYTES + 4;

/** What a file says of where it comes from. */
export interface CaptureOrigin {
  readonly hardware: string;
  readonly os: string;
  readonly application: string;
  readonly comment?: string;
  readonly interfaceName: string;
  readonly description: string;
  readonly mac: Uint8Array;
  /** Of each frame at most so many bytes are there; 0: all. */
  readonly snapBytes: number;
}

/** Nanoseconds since 1970. */
export interface PcapTime {
  high: number;
  low: number;
}

/** What a file begins with: the section, and its one interface. */
export function fileHead(origin: CaptureOrigin): Uint8Array {
  return joined([sectionHeader(origin), interfaceDescription(origin)]);
}

function sectionHeader({ hardware, os, application, comment }: CaptureOrigin): Uint8Array {
  const body = new DataView(new ArrayBuffer(16));
  body.setUint32(0, BYTE_ORDER_MAGIC, true);
  body.setUint16(4, 1, true); // major version
  body.setBigInt64(8, -1n, true); // the section's length is not said
  return block(BLOCK.SECTION, body, [
    ...(comment === undefined ? [] : [textOption(OPT_COMMENT, comment)]),
    textOption(SHB_HARDWARE, hardware),
    textOption(SHB_OS, os),
    textOption(SHB_USERAPPL, application),
  ]);
}

function interfaceDescription(origin: CaptureOrigin): Uint8Array {
  const body = new DataView(new ArrayBuffer(8));
  body.setUint16(0, LINKTYPE_ETHERNET, true);
  body.setUint32(4, origin.snapBytes, true);
  return block(BLOCK.INTERFACE, body, [
    textOption(IF_NAME, origin.interfaceName),
    textOption(IF_DESCRIPTION, origin.description),
    option(IF_MACADDR, origin.mac),
    option(IF_TSRESOL, Uint8Array.of(NANOSECONDS)),
  ]);
}

export interface CaptureTotals {
  readonly start: Readonly<PcapTime>;
  readonly end: Readonly<PcapTime>;
  /** With those that were dropped. */
  readonly frames: number;
  readonly dropped: number;
}

/** What a file ends with. */
export function statistics({ start, end, frames, dropped }: CaptureTotals): Uint8Array {
  const body = new DataView(new ArrayBuffer(12));
  writeTime(body, 4, end);
  return block(BLOCK.STATISTICS, body, [
    timeOption(ISB_STARTTIME, start),
    timeOption(ISB_ENDTIME, end),
    countOption(ISB_IFRECV, frames),
    countOption(ISB_IFDROP, dropped),
  ]);
}

/** Of a packet of which so many bytes are there. */
export function packetBytes(capturedBytes: number): number {
  return BLOCK_FRAME_BYTES + PACKET_HEADER_BYTES - 8 + padded(capturedBytes) + PACKET_OPTIONS_BYTES;
}

/** Where in the block the packet's bytes are. */
export const PACKET_DATA = PACKET_HEADER_BYTES;

/** All of a packet's block but its bytes, at `at`; the block's length is `packetBytes`. */
export function writePacket(
  view: DataView,
  at: number,
  time: Readonly<PcapTime>,
  isFromGuest: boolean,
  capturedBytes: number,
  lengthBytes: number,
): void {
  const blockBytes = packetBytes(capturedBytes);
  view.setUint32(at, BLOCK.PACKET, true);
  view.setUint32(at + 4, blockBytes, true);
  view.setUint32(at + 8, 0, true); // the interface
  view.setUint32(at + 12, time.high, true);
  view.setUint32(at + 16, time.low, true);
  view.setUint32(at + 20, capturedBytes, true);
  view.setUint32(at + 24, lengthBytes, true);
  const dataEnd = at + PACKET_DATA + capturedBytes;
  const options = at + PACKET_DATA + padded(capturedBytes);
  for (let i = dataEnd; i < options; i++) view.setUint8(i, 0);
  view.setUint16(options, EPB_FLAGS, true);
  view.setUint16(options + 2, 4, true);
  view.setUint32(options + 4, isFromGuest ? OUTBOUND : INBOUND, true);
  view.setUint32(options + 8, OPT_ENDOFOPT, true);
  view.setUint32(at + blockBytes - 4, blockBytes, true);
}

/** Of the block that begins there. */
export function blockBytes(blocks: Uint8Array, at: number): number {
  return new DataView(blocks.buffer, blocks.byteOffset + at).getUint32(4, true);
}

function block(type: number, body: DataView, options: readonly Uint8Array[]): Uint8Array {
  const inside = [bytesOf(body), ...options, new Uint8Array(OPTION_HEADER_BYTES)]; // OPT_ENDOFOPT
  const length = BLOCK_FRAME_BYTES + inside.reduce((sum, it) => sum + it.length, 0);
  const head = new DataView(new ArrayBuffer(8));
  head.setUint32(0, type, true);
  head.setUint32(4, length, true);
  return joined([bytesOf(head), ...inside, bytesOf(head).subarray(4)]);
}

function option(code: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(OPTION_HEADER_BYTES + padded(value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code, true);
  view.setUint16(2, value.length, true);
  bytes.set(value, OPTION_HEADER_BYTES);
  return bytes;
}

/** The length of an option has 16 bits. */
function textOption(code: number, text: string): Uint8Array {
  return option(code, new TextEncoder().encode(text.slice(0, MAX_TEXT)));
}

const MAX_TEXT = 0x3fff;

function timeOption(code: number, time: Readonly<PcapTime>): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  writeTime(view, 0, time);
  return option(code, bytesOf(view));
}

function countOption(code: number, count: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, count % TWO_32, true);
  view.setUint32(4, count / TWO_32, true);
  return option(code, bytesOf(view));
}

/** §4.3: the upper half is the first. */
function writeTime(view: DataView, at: number, { high, low }: Readonly<PcapTime>): void {
  view.setUint32(at, high, true);
  view.setUint32(at + 4, low, true);
}

function padded(lengthBytes: number): number {
  return (lengthBytes + 3) & ~3;
}

function bytesOf({ buffer, byteOffset, byteLength }: DataView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, it) => sum + it.length, 0));
  let at = 0;
  for (const it of parts) {
    bytes.set(it, at);
    at += it.length;
  }
  return bytes;
}
