/**
 * Puts together what a guest has cut into fragments (RFC 791 §3.2, RFC 8200 §4.5). What a guest can have us
 * keep is bounded: MAX_DATAGRAMS of 64 KiB, a few holes in each, for LIFETIME_MS. Fragments that overlap end
 * their datagram (RFC 5722), and IPv4's are treated alike: only attackers send them.
 */
import type { IpPacket } from './packet/ipPacket.ts';

export const MAX_DATAGRAMS = 16;
/** Fragments that follow each other are one piece; a datagram that comes in order never has another. */
const MAX_PIECES = 32;
const MAX_BYTES = 0xffff;
export const LIFETIME_MS = 15_000;

interface Datagram {
  /** Free when -1. */
  untilMs: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  addressBytes: number;
  identification: number;
  protocol: number;
  /** Of the whole; -1: the last fragment has not come. */
  totalBytes: number;
  receivedBytes: number;
  /** Start and end of each piece, in order. */
  readonly pieces: Int32Array;
  pieceCount: number;
  readonly bytes: Uint8Array;
}

/** `drop`: it and what it belongs to are gone. */
export type FragmentVerdict = 'kept' | 'whole' | 'drop';

export class Fragments {
  readonly #datagrams: Datagram[] = [];
  /** Of the datagram that has become whole: until the next call. */
  bytes: Uint8Array = new Uint8Array(0);
  lengthBytes = 0;
  protocol = 0;

  /** `payload` has the packet's payload, `packet.payloadBytes` of it. */
  add(packet: IpPacket, payload: Uint8Array, nowMs: number): FragmentVerdict {
    const { fragmentOffset: start, payloadBytes, hasMoreFragments } = packet;
    const end = start + payloadBytes;
    if (end > MAX_BYTES) return 'drop';
    const datagram = this.#find(packet, nowMs) ?? this.#begin(packet, nowMs);
    if (!this.#place(datagram, start, end, !hasMoreFragments)) {
      free(datagram);
      return 'drop';
    }
    if (start === 0) datagram.protocol = packet.protocol; // the others' word of it does not count
    datagram.bytes.set(payload.subarray(0, payloadBytes), start);
    if (datagram.receivedBytes !== datagram.totalBytes) return 'kept';
    this.bytes = datagram.bytes;
    this.lengthBytes = datagram.totalBytes;
    this.protocol = datagram.protocol;
    free(datagram);
    return 'whole';
  }

  get count(): number {
    return this.#datagrams.filter((it) => it.untilMs !== -1).length;
  }

  clear(): void {
    this.#datagrams.length = 0;
    this.bytes = new Uint8Array(0);
  }

  #find(packet: IpPacket, nowMs: number): Datagram | undefined {
    for (const it of this.#datagrams) {
      if (it.untilMs !== -1 && it.untilMs <= nowMs) free(it);
      if (it.untilMs !== -1 && isOf(it, packet)) return it;
    }
    return undefined;
  }

  /** In the place of the oldest when there is no other. */
  #begin(packet: IpPacket, nowMs: number): Datagram {
    let place = this.#datagrams.find((it) => it.untilMs === -1);
    if (place === undefined && this.#datagrams.length < MAX_DATAGRAMS) {
      place = {
        untilMs: -1,
        source: new Uint8Array(16),
        destination: new Uint8Array(16),
        addressBytes: 0,
        identification: 0,
        protocol: 0,
        totalBytes: -1,
        receivedBytes: 0,
        pieces: new Int32Array(2 * MAX_PIECES),
        pieceCount: 0,
        bytes: new Uint8Array(MAX_BYTES + 1),
      };
      this.#datagrams.push(place);
    }
    place ??= this.#datagrams.reduce((oldest, it) => (it.untilMs < oldest.untilMs ? it : oldest));
    const { head, sourceAt, destinationAt, addressBytes } = packet;
    for (let index = 0; index < addressBytes; index++) {
      place.source[index] = head[sourceAt + index] ?? 0;
      place.destination[index] = head[destinationAt + index] ?? 0;
    }
    place.untilMs = nowMs + LIFETIME_MS;
    place.addressBytes = addressBytes;
    place.identification = packet.identification;
    place.protocol = packet.protocol;
    place.totalBytes = -1;
    place.receivedBytes = 0;
    place.pieceCount = 0;
    return place;
  }

  /** False: it overlaps, contradicts another, or makes too many pieces. */
  #place(datagram: Datagram, start: number, end: number, isLast: boolean): boolean {
    const { pieces, pieceCount } = datagram;
    if (isLast) {
      if (datagram.totalBytes !== -1 && datagram.totalBytes !== end) return false;
      datagram.totalBytes = end;
    }
    let index = 0; // of the first piece behind this one
    while (index < pieceCount && (pieces[2 * index] ?? 0) < start) index++;
    const before = index > 0 ? (pieces[2 * index - 1] ?? 0) : -1;
    const after = index < pieceCount ? (pieces[2 * index] ?? 0) : MAX_BYTES + 1;
    if (before > start || after < end) return false;
    datagram.receivedBytes += end - start;
    if (before === start && after === end) {
      pieces[2 * index - 1] = pieces[2 * index + 1] ?? 0;
      pieces.copyWithin(2 * index, 2 * index + 2, 2 * pieceCount);
      datagram.pieceCount--;
    } else if (before === start) pieces[2 * index - 1] = end;
    else if (after === end) pieces[2 * index] = start;
    else {
      if (pieceCount === MAX_PIECES) return false;
      pieces.copyWithin(2 * index + 2, 2 * index, 2 * pieceCount);
      pieces[2 * index] = start;
      pieces[2 * index + 1] = end;
      datagram.pieceCount++;
    }
    const farthest = pieces[2 * datagram.pieceCount - 1] ?? 0;
    return datagram.totalBytes === -1 || farthest <= datagram.totalBytes;
  }
}

function free(datagram: Datagram): void {
  datagram.untilMs = -1;
}

/** The protocol of IPv6 is that of the first fragment: others' may be anything (RFC 8200 §4.5). */
function isOf(datagram: Datagram, packet: IpPacket): boolean {
  const { head, sourceAt, destinationAt, addressBytes, identification, protocol } = packet;
  if (datagram.identification !== identification || datagram.addressBytes !== addressBytes) return false;
  if (addressBytes === 4 && datagram.protocol !== protocol) return false;
  for (let index = 0; index < addressBytes; index++) {
    if (datagram.source[index] !== head[sourceAt + index]) return false;
    if (datagram.destination[index] !== head[destinationAt + index]) return false;
  }
  return true;
}
