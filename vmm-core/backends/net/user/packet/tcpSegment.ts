/** Reads the TCP header of a packet, RFC 9293 §3.1, into one object that is used again for each. */
import {
  TCP_MAX_WINSHIFT,
  TCPHDR_ACK_SEQ,
  TCPHDR_BYTES,
  TCPHDR_DEST,
  TCPHDR_SEQ,
  TCPHDR_SOURCE,
  TCPHDR_WINDOW,
  TCPOLEN_MAXSEG,
  TCPOLEN_SACK_PERMITTED,
  TCPOLEN_WINDOW,
  TCPOPT_EOL,
  TCPOPT_MAXSEG,
  TCPOPT_NOP,
  TCPOPT_SACK,
  TCPOPT_SACK_PERMITTED,
  TCPOPT_WINDOW,
} from '../../../../abi/packets.ts';
import type { IpPacket } from './ipPacket.ts';

/** RFC 2018 §3: more do not fit. */
const MAX_SACK_BLOCKS = 4;

export class TcpSegment {
  sourcePort = 0;
  destinationPort = 0;
  /** Sequence numbers are signed, so that differences are compared by `(a - b) | 0`. */
  sequence = 0;
  acknowledgement = 0;
  /** TH_… */
  flags = 0;
  /** As it is in the header. */
  window = 0;
  /** The payload, from the frame's first byte on. */
  dataAt = 0;
  dataBytes = 0;

  // Options. 0 resp. -1: the segment has none.
  maxSegmentBytes = 0;
  windowShift = -1;
  isSackPermitted = false;
  sackBlocks = 0;
  /** Left and right edge of each. */
  readonly sackEdges = new Int32Array(2 * MAX_SACK_BLOCKS);

  /** The packet is no fragment. False: malformed. The checksum is another matter (transportChecksum.ts). */
  read({ view, headBytes, payloadAt, payloadBytes }: IpPacket): boolean {
    if (payloadBytes < TCPHDR_BYTES || payloadAt + TCPHDR_BYTES > headBytes) return false;
    const headerBytes = (view.getUint8(payloadAt + 12) >> 4) * 4;
    if (headerBytes < TCPHDR_BYTES || headerBytes > payloadBytes) return false;
    if (payloadAt + headerBytes > headBytes) return false;
    this.sourcePort = view.getUint16(payloadAt + TCPHDR_SOURCE);
    this.destinationPort = view.getUint16(payloadAt + TCPHDR_DEST);
    this.sequence = view.getInt32(payloadAt + TCPHDR_SEQ);
    this.acknowledgement = view.getInt32(payloadAt + TCPHDR_ACK_SEQ);
    this.flags = view.getUint8(payloadAt + 13);
    this.window = view.getUint16(payloadAt + TCPHDR_WINDOW);
    this.dataAt = payloadAt + headerBytes;
    this.dataBytes = payloadBytes - headerBytes;
    this.maxSegmentBytes = 0;
    this.windowShift = -1;
    this.isSackPermitted = false;
    this.sackBlocks = 0;
    if (headerBytes > TCPHDR_BYTES) this.#readOptions(view, payloadAt + TCPHDR_BYTES, this.dataAt);
    return true;
  }

  /** §3.1: what is not known is skipped. An option that is cut off ends them: the rest means nothing. */
  #readOptions(view: DataView, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const kind = view.getUint8(at);
      if (kind === TCPOPT_EOL) return;
      if (kind === TCPOPT_NOP) {
        at++;
        continue;
      }
      const lengthBytes = at + 1 < end ? view.getUint8(at + 1) : 0;
      if (lengthBytes < 2 || at + lengthBytes > end) return;
      this.#readOption(view, kind, at, lengthBytes);
      at += lengthBytes;
    }
  }

  #readOption(view: DataView, kind: number, at: number, lengthBytes: number): void {
    if (kind === TCPOPT_MAXSEG && lengthBytes === TCPOLEN_MAXSEG)
      this.maxSegmentBytes = view.getUint16(at + 2);
    else if (kind === TCPOPT_WINDOW && lengthBytes === TCPOLEN_WINDOW)
      this.windowShift = Math.min(TCP_MAX_WINSHIFT, view.getUint8(at + 2));
    else if (kind === TCPOPT_SACK_PERMITTED && lengthBytes === TCPOLEN_SACK_PERMITTED)
      this.isSackPermitted = true;
    else if (kind === TCPOPT_SACK) this.#readSack(view, at + 2, (lengthBytes - 2) >> 3);
  }

  #readSack(view: DataView, at: number, blocks: number): void {
    this.sackBlocks = Math.min(MAX_SACK_BLOCKS, blocks);
    for (let i = 0; i < 2 * this.sackBlocks; i++) this.sackEdges[i] = view.getInt32(at + 4 * i);
  }
}
