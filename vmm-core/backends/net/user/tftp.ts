/**
 * A TFTP server, read-only (RFC 1350, options of RFC 2347 to 2349, windows of RFC 7440): datagrams in,
 * datagrams out. Files are read elsewhere and without waiting (TftpFiles). A guest has at most MAX_TRANSFERS
 * at a time, each with a bounded buffer.
 */
import {
  TFTP_ACK,
  TFTP_ACCESS,
  TFTP_DATA,
  TFTP_DEFAULT_BLKSIZE,
  TFTP_ERROR,
  TFTP_HEADER_BYTES,
  TFTP_ILLEGAL,
  TFTP_MAX_BLKSIZE,
  TFTP_MIN_BLKSIZE,
  TFTP_OACK,
  TFTP_RRQ,
  TFTP_UNDEFINED,
  TFTP_WRQ,
} from '../../../abi/tftp.ts';
import { sameBytes } from './addresses.ts';
import { toNetascii } from './netascii.ts';

/** Reads files one piece after the other; answers come by `opened`, `data` and `failed` of the server. */
export interface TftpFiles {
  /** Is answered once, also where `close` has come before. */
  open(id: number, name: string): void;
  /** The next piece, at most READ_BYTES; an empty one is the end. */
  read(id: number): void;
  close(id: number): void;
}

export interface TftpPeer {
  readonly address: Uint8Array;
  readonly port: number;
}

/** From our port `from`. Both the peer and the bytes are valid during the call only. */
export type TftpSend = (peer: TftpPeer, from: number, bytes: Uint8Array) => void;

export const MAX_TRANSFERS = 8;
export const READ_BYTES = 64 * 1024;
/** What one transfer may have on its way to the guest. */
const WINDOW_BYTES = 256 * 1024;
const MAX_WINDOW = 64;
/** RFC 7440: of a window's blocks, where the client says none. */
const DEFAULT_WINDOW = 1;
const RETRANSMIT_MS = 1000;
const TRIES = 6;
/** Our ports of transfers are from here on. */
const FIRST_PORT = 49152;
const PORTS = 8192;
const MAX_NAME_BYTES = 255;
/** RFC 2347: with all its options. */
const MAX_REQUEST_BYTES = 512;
/** IPv6, UDP and TFTP: a block of the rest is not fragmented. */
const HEADERS_BYTES = 40 + 8 + TFTP_HEADER_BYTES;

interface Transfer {
  readonly id: number;
  readonly port: number;
  readonly peer: TftpPeer;
  readonly name: string;
  readonly isNetascii: boolean;
  readonly options: RequestOptions;
  state: 'opening' | 'oack' | 'data';
  blkSize: number;
  window: number;
  retransmitMs: number;
  /** Bytes that the client has not acknowledged, and what was read ahead. */
  buffer: Uint8Array;
  bufferedBytes: number;
  /** The block that starts the buffer; its number on the wire is of 16 bits. */
  base: number;
  /** Blocks of the window that were sent. */
  sent: number;
  isReading: boolean;
  isAtEnd: boolean;
  /** What of the client's options we take. */
  oack: Uint8Array;
  triesLeft: number;
  dueMs: number;
  sentBytes: number;
}

interface RequestOptions {
  blksize?: number;
  tsize?: number;
  timeout?: number;
  windowsize?: number;
}

export class TftpServer {
  readonly #files: TftpFiles;
  readonly #send: TftpSend;
  readonly #maxBlock: number;
  readonly #transfers = new Map<number, Transfer>();
  /** Files that were asked for and not answered yet, also those of transfers that have ended. */
  readonly #opening = new Set<number>();
  #nextId = 0;
  #out = new Uint8Array(2048);

  constructor(files: TftpFiles, send: TftpSend, mtu: number) {
    this.#files = files;
    this.#send = send;
    this.#maxBlock = Math.max(TFTP_MIN_BLKSIZE, mtu - HEADERS_BYTES);
  }

  /** A datagram to the server's well-known port. */
  onRequest(peer: TftpPeer, bytes: Uint8Array, nowMs: number): void {
    const opcode = u16(bytes, 0);
    if (opcode === TFTP_WRQ) return this.#error(peer, this.#port(), TFTP_ACCESS, 'this folder is read-only');
    if (opcode !== TFTP_RRQ) return;
    const request = parseRequest(bytes);
    if (request === undefined) return this.#error(peer, this.#port(), TFTP_ILLEGAL, 'malformed request');
    const { name, mode, options } = request;
    if (mode !== 'octet' && mode !== 'netascii')
      return this.#error(peer, this.#port(), TFTP_ILLEGAL, 'modes are octet and netascii');
    for (const transfer of this.#transfers.values()) {
      if (!isPeer(transfer, peer)) continue;
      // The request has come twice: our answer has crossed it, and the client goes by the port of the first.
      if (transfer.state === 'opening' || isBegunBy(transfer, name, options)) return;
      this.#end(transfer);
    }
    if (Math.max(this.#transfers.size, this.#opening.size) >= MAX_TRANSFERS)
      return this.#error(peer, this.#port(), TFTP_UNDEFINED, 'too many transfers at a time');
    this.#begin(peer, name, mode === 'netascii', options, nowMs);
  }

  /** A datagram to the port of a transfer. */
  onDatagram(peer: TftpPeer, port: number, bytes: Uint8Array, nowMs: number): void {
    const transfer = this.#find(peer, port);
    if (transfer === undefined) return;
    const opcode = u16(bytes, 0);
    if (opcode === TFTP_ERROR) this.#end(transfer);
    else if (opcode === TFTP_ACK && bytes.length >= TFTP_HEADER_BYTES)
      this.#onAck(transfer, u16(bytes, 2), nowMs);
  }

  /** Whether a datagram is of a transfer; others to our address are not for us. */
  hasTransfer(peer: TftpPeer, port: number): boolean {
    return this.#find(peer, port) !== undefined;
  }

  opened(id: number, sizeBytes: number, nowMs: number): void {
    this.#opening.delete(id);
    const transfer = this.#transfers.get(id);
    if (transfer?.state !== 'opening') return;
    const { options } = transfer;
    let taken = '';
    if (options.blksize !== undefined) {
      transfer.blkSize = Math.min(options.blksize, this.#maxBlock);
      taken += `blksize\0${transfer.blkSize}\0`;
    }
    if (options.timeout !== undefined) {
      transfer.retransmitMs = options.timeout * 1000;
      taken += `timeout\0${options.timeout}\0`;
    }
    // RFC 2349: of netascii the size is not known before the end.
    if (options.tsize !== undefined && !transfer.isNetascii) taken += `tsize\0${sizeBytes}\0`;
    if (options.windowsize !== undefined) {
      const most = Math.max(1, Math.floor(WINDOW_BYTES / transfer.blkSize));
      transfer.window = Math.min(options.windowsize, most, MAX_WINDOW);
      taken += `windowsize\0${transfer.window}\0`;
    }
    transfer.buffer = new Uint8Array(transfer.window * transfer.blkSize + 2 * READ_BYTES);
    transfer.state = taken === '' ? 'data' : 'oack';
    this.#touch(transfer, nowMs);
    if (taken !== '') {
      transfer.oack = Buffer.from(`\0${String.fromCharCode(TFTP_OACK)}${taken}`, 'latin1');
      this.#send(transfer.peer, transfer.port, transfer.oack);
    }
    this.#fill(transfer);
  }

  data(id: number, bytes: Uint8Array, nowMs: number): void {
    const transfer = this.#transfers.get(id);
    if (transfer === undefined || !transfer.isReading) return;
    transfer.isReading = false;
    if (bytes.length === 0) transfer.isAtEnd = true;
    else this.#append(transfer, bytes.subarray(0, READ_BYTES));
    this.#sendWindow(transfer, nowMs);
    this.#fill(transfer);
  }

  failed(id: number, code: number, text: string): void {
    this.#opening.delete(id);
    const transfer = this.#transfers.get(id);
    if (transfer === undefined) return;
    this.#error(transfer.peer, transfer.port, code, text);
    this.#end(transfer);
  }

  /** Returns when the next is due; Infinity: nothing is under way. */
  onTimer(nowMs: number): number {
    let nextMs = Infinity;
    for (const transfer of this.#transfers.values()) {
      if (transfer.dueMs <= nowMs) this.#again(transfer, nowMs);
      if (this.#transfers.has(transfer.id)) nextMs = Math.min(nextMs, transfer.dueMs);
    }
    return nextMs;
  }

  reset(): void {
    for (const transfer of this.#transfers.values()) this.#end(transfer);
  }

  get count(): number {
    return this.#transfers.size;
  }

  report(): { readonly file: string; readonly block: number; readonly bytes: number }[] {
    return [...this.#transfers.values()].map(({ name, base, sentBytes }) => ({
      file: name,
      block: base,
      bytes: sentBytes,
    }));
  }

  #begin(peer: TftpPeer, name: string, isNetascii: boolean, options: RequestOptions, nowMs: number): void {
    const port = this.#port();
    const transfer: Transfer = {
      id: this.#nextId++,
      port,
      peer: { address: peer.address.slice(), port: peer.port },
      name,
      isNetascii,
      options,
      state: 'opening',
      blkSize: TFTP_DEFAULT_BLKSIZE, // a shorter one would be the end: rather in fragments
      window: DEFAULT_WINDOW,
      retransmitMs: RETRANSMIT_MS,
      buffer: EMPTY,
      bufferedBytes: 0,
      base: 1,
      sent: 0,
      isReading: false,
      isAtEnd: false,
      oack: EMPTY,
      triesLeft: TRIES,
      dueMs: nowMs + TRIES * RETRANSMIT_MS,
      sentBytes: 0,
    };
    this.#transfers.set(transfer.id, transfer);
    this.#opening.add(transfer.id);
    this.#files.open(transfer.id, name);
  }

  #find(peer: TftpPeer, port: number): Transfer | undefined {
    for (const it of this.#transfers.values()) if (it.port === port && isPeer(it, peer)) return it;
    return undefined;
  }

  #port(): number {
    return FIRST_PORT + (this.#nextId % PORTS);
  }

  /** `block`: all up to it have arrived; 0 is the answer to our options. */
  #onAck(transfer: Transfer, block: number, nowMs: number): void {
    if (transfer.state === 'opening') return;
    if (transfer.state === 'oack') {
      if (block !== 0) return;
      transfer.state = 'data';
      this.#touch(transfer, nowMs);
      return this.#sendWindow(transfer, nowMs);
    }
    const count = (block - transfer.base + 1) & 0xffff;
    if (count > transfer.sent) return;
    // In lock step one that comes twice is not answered, or all would go twice (RFC 1123 §4.2.3.1).
    if (count === 0 && transfer.window === 1) return;
    const isLast = count === transfer.sent && this.#isLast(transfer, count);
    this.#drop(transfer, count);
    if (isLast) return this.#end(transfer);
    // The rest of the window was lost: it is sent again (RFC 7440 §4).
    transfer.sent = 0;
    if (count > 0) this.#touch(transfer, nowMs);
    this.#sendWindow(transfer, nowMs);
    this.#fill(transfer);
  }

  /** Whether the `count` first blocks of the buffer are the file's end: the last is a short one. */
  #isLast(transfer: Transfer, count: number): boolean {
    return transfer.isAtEnd && count * transfer.blkSize > transfer.bufferedBytes;
  }

  #drop(transfer: Transfer, blocks: number): void {
    const bytes = Math.min(blocks * transfer.blkSize, transfer.bufferedBytes);
    transfer.buffer.copyWithin(0, bytes, transfer.bufferedBytes);
    transfer.bufferedBytes -= bytes;
    transfer.base += blocks;
    transfer.sentBytes += bytes;
  }

  #append(transfer: Transfer, bytes: Uint8Array): void {
    const { buffer, bufferedBytes } = transfer;
    if (!transfer.isNetascii) {
      buffer.set(bytes, bufferedBytes);
      transfer.bufferedBytes += bytes.length;
      return;
    }
    transfer.bufferedBytes += toNetascii(bytes, buffer.subarray(bufferedBytes));
  }

  /** Reads ahead while a piece, of which netascii makes twice as much, has room. */
  #fill(transfer: Transfer): void {
    const { buffer, bufferedBytes, isReading, isAtEnd } = transfer;
    if (isReading || isAtEnd || buffer.length - bufferedBytes < 2 * READ_BYTES) return;
    transfer.isReading = true;
    this.#files.read(transfer.id);
  }

  /** What of the window was not sent, as far as it has been read. */
  #sendWindow(transfer: Transfer, nowMs: number): void {
    if (transfer.state !== 'data') return;
    const { blkSize, window, bufferedBytes, isAtEnd } = transfer;
    while (transfer.sent < window) {
      const from = transfer.sent * blkSize;
      const isWhole = from + blkSize <= bufferedBytes;
      if (!isWhole && (!isAtEnd || from > bufferedBytes)) return;
      if (transfer.sent === 0) this.#setDue(transfer, nowMs);
      const block = transfer.buffer.subarray(from, Math.min(from + blkSize, bufferedBytes));
      this.#sendBlock(transfer, transfer.base + transfer.sent, block);
      transfer.sent++;
    }
  }

  #sendBlock(transfer: Transfer, number: number, block: Uint8Array): void {
    const out = this.#header(TFTP_DATA, number & 0xffff, block.length);
    out.set(block, TFTP_HEADER_BYTES);
    this.#send(transfer.peer, transfer.port, out);
  }

  #error(peer: TftpPeer, port: number, code: number, text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    const out = this.#header(TFTP_ERROR, code, bytes.length + 1);
    out.set(bytes, TFTP_HEADER_BYTES);
    out[out.length - 1] = 0;
    this.#send(peer, port, out);
  }

  #header(opcode: number, value: number, lengthBytes: number): Uint8Array {
    const total = TFTP_HEADER_BYTES + lengthBytes;
    if (this.#out.length < total) this.#out = new Uint8Array(total);
    const out = this.#out.subarray(0, total);
    out[0] = 0;
    out[1] = opcode;
    out[2] = value >> 8;
    out[3] = value & 0xff;
    return out;
  }

  /** Nothing was heard in time: the window goes again, or the client is given up. */
  #again(transfer: Transfer, nowMs: number): void {
    if (transfer.state === 'data' && transfer.sent === 0) return this.#setDue(transfer, nowMs); // a slow disk
    if (transfer.state === 'opening' || --transfer.triesLeft <= 0) {
      this.#error(transfer.peer, transfer.port, TFTP_UNDEFINED, 'timeout');
      return this.#end(transfer);
    }
    this.#setDue(transfer, nowMs);
    if (transfer.state === 'oack') return this.#send(transfer.peer, transfer.port, transfer.oack);
    transfer.sent = 0;
    this.#sendWindow(transfer, nowMs);
  }

  #touch(transfer: Transfer, nowMs: number): void {
    transfer.triesLeft = TRIES;
    this.#setDue(transfer, nowMs);
  }

  #setDue(transfer: Transfer, nowMs: number): void {
    transfer.dueMs = nowMs + transfer.retransmitMs;
  }

  #end(transfer: Transfer): void {
    if (this.#transfers.delete(transfer.id)) this.#files.close(transfer.id);
  }
}

const EMPTY = new Uint8Array(0);

function isPeer(transfer: Transfer, peer: TftpPeer): boolean {
  return transfer.peer.port === peer.port && sameBytes(transfer.peer.address, peer.address);
}

/** That request has begun it, and nothing was acknowledged yet. What the client waits for goes again. */
function isBegunBy(transfer: Transfer, name: string, options: RequestOptions): boolean {
  return (
    transfer.base === 1 &&
    transfer.name === name &&
    JSON.stringify(transfer.options) === JSON.stringify(options)
  );
}

/** Undefined: it is not what RFC 1350 §5 and RFC 2347 say. Options that are no good are as if not there. */
function parseRequest(
  bytes: Uint8Array,
): { readonly name: string; readonly mode: string; readonly options: RequestOptions } | undefined {
  if (bytes.length > MAX_REQUEST_BYTES || bytes[bytes.length - 1] !== 0) return undefined;
  const words = Buffer.from(bytes.subarray(2, -1)).toString('utf8').split('\0');
  const [name, mode] = words;
  if (name === undefined || mode === undefined || name === '' || name.length > MAX_NAME_BYTES)
    return undefined;
  const options: RequestOptions = {};
  for (let index = 2; index + 1 < words.length; index += 2)
    addOption(options, (words[index] ?? '').toLowerCase(), words[index + 1] ?? '');
  return { name, mode: mode.toLowerCase(), options };
}

function addOption(options: RequestOptions, name: string, text: string): void {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (name === 'blksize' && value >= TFTP_MIN_BLKSIZE && value <= TFTP_MAX_BLKSIZE) options.blksize = value;
  if (name === 'tsize' && value >= 0) options.tsize = value;
  if (name === 'timeout' && value >= 1 && value <= 255) options.timeout = value;
  if (name === 'windowsize' && value >= 1 && value <= 65535) options.windowsize = value;
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
