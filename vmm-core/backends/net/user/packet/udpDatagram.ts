/** Reads the UDP header of a packet, RFC 768, into one object that is used again for each. */
import { UDPHDR_BYTES, UDPHDR_DEST, UDPHDR_LEN, UDPHDR_SOURCE } from '../../../../abi/packets.ts';
import type { IpPacket } from './ipPacket.ts';

export class UdpDatagram {
  sourcePort = 0;
  destinationPort = 0;
  /** The payload, from the frame's first byte on. */
  dataAt = 0;
  dataBytes = 0;

  /** The packet is no fragment. False: malformed. The checksum is another matter (transportChecksum.ts). */
  read({ view, headBytes, payloadAt, payloadBytes }: IpPacket): boolean {
    if (payloadBytes < UDPHDR_BYTES || payloadAt + UDPHDR_BYTES > headBytes) return false;
    const lengthBytes = view.getUint16(payloadAt + UDPHDR_LEN);
    if (lengthBytes < UDPHDR_BYTES || lengthBytes > payloadBytes) return false;
    this.sourcePort = view.getUint16(payloadAt + UDPHDR_SOURCE);
    this.destinationPort = view.getUint16(payloadAt + UDPHDR_DEST);
    this.dataAt = payloadAt + UDPHDR_BYTES;
    this.dataBytes = lengthBytes - UDPHDR_BYTES;
    return true;
  }
}
