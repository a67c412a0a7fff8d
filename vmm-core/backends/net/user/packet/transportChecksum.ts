/** Whether the checksum of a packet's TCP, UDP or ICMPv6 holds, and what an offload makes of it. */
import { VIRTIO_NET_HDR_F_NEEDS_CSUM } from '../../../../abi/virtioNetHdr.ts';
import type { GuestFrame } from '../../netLink.ts';
import { fold, GOOD_SUM, pseudoHeaderSum, sumOf } from './checksum.ts';
import type { IpPacket } from './ipPacket.ts';

const MAX_PAYLOAD_BYTES = 0x10000;

export class TransportChecksum {
  readonly #bytes = new Uint8Array(MAX_PAYLOAD_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);

  /**
   * Of the first `lengthBytes` of the packet's payload, with the checksum at byte `checkAt` of it. A guest
   * that leaves it to the device (NEEDS_CSUM) has put the pseudo-header's sum there, which protects nothing:
   * then only its place is checked.
   */
  holds(frame: GuestFrame, packet: IpPacket, checkAt: number, lengthBytes = packet.payloadBytes): boolean {
    const { flags, csumStart, csumOffset } = frame.offload;
    const { payloadAt, view, headBytes } = packet;
    if ((flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0) return csumStart === payloadAt && csumOffset === checkAt;
    const pseudo = pseudoHeaderSum(
      view,
      packet.sourceAt,
      2 * packet.addressBytes,
      packet.protocol,
      lengthBytes,
    );
    return fold(pseudo + this.#sum(frame, view, headBytes, payloadAt, lengthBytes)) === GOOD_SUM;
  }

  /** Of bytes of the frame: of the private copy where all of them are there. */
  #sum(frame: GuestFrame, head: DataView, headBytes: number, start: number, lengthBytes: number): number {
    if (start + lengthBytes <= headBytes) return sumOf(head, start, start + lengthBytes);
    frame.copyTo(this.#bytes.subarray(0, lengthBytes), start);
    return sumOf(this.#view, 0, lengthBytes);
  }
}
